#pragma once

#include <memory>
#include <mutex>
#include <pm/cpp/record_schema.hpp>
#include <string>
#include <unordered_map>
#include <vector>

#include "connection.h"

namespace pm::repository_sqlite {

// A connection for reading, with the statements it has used. In WAL mode it neither waits for the
// writer nor makes it wait.
class Reader {
 public:
  Reader(Connection connection, const sdk::RecordSchema& schema)
      : connection_(std::move(connection)), gets_(schema.kinds.size()) {}

  const Connection& connection() const { return connection_; }

  // The statement that finds one record of kind `at` (its place in the schema) by its key.
  Result<sqlite3_stmt*> get_statement(const sdk::RecordSchema& schema, std::size_t at);
  Result<sqlite3_stmt*> scan_statement(const std::string& sql);

  // Hands the statement's current row to the host; what the host's function returned.
  bool visit(sqlite3_stmt* statement, const sdk::RecordKind& kind, pm_on_record_t on_record,
             void* data);

 private:
  Connection connection_;
  std::vector<Statement> gets_;
  std::unordered_map<std::string, Statement> scans_;
  std::vector<pm_value_t> values_;
};

// Lends readers, and opens one more when all are lent. Thread-safe.
class ReaderPool {
 public:
  ReaderPool(std::string path, std::uint64_t cache_bytes, std::uint64_t busy_timeout_ms)
      : path_(std::move(path)), cache_bytes_(cache_bytes), busy_timeout_ms_(busy_timeout_ms) {}

  struct GiveBack {
    ReaderPool* pool = nullptr;
    void operator()(Reader* reader) const { pool->give_back(reader); }
  };
  using Lent = std::unique_ptr<Reader, GiveBack>;

  Result<Lent> borrow(const sdk::RecordSchema& schema);

 private:
  void give_back(Reader* reader);

  const std::string path_;
  const std::uint64_t cache_bytes_;
  const std::uint64_t busy_timeout_ms_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Reader>> free_;
};

}  // namespace pm::repository_sqlite
