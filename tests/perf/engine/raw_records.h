#pragma once

#include <cstdint>
#include <string>
#include <vector>

struct sqlite3;
struct sqlite3_stmt;

namespace pm::perf {

// The payload table of a store that a host has written: how it was made, and its rows in the order
// in which they were made.
struct RawRecords {
  struct Value {
    std::int64_t number = 0;
    std::string bytes;
    int type = 0;  // SQLITE_INTEGER, SQLITE_TEXT or SQLITE_BLOB
  };
  std::string create_table;
  std::size_t columns = 0;
  std::vector<Value> values;  // Row by row.

  std::size_t size() const { return values.size() / columns; }
  static RawRecords read(const std::string& database);
};

// What the engine is measured against: a loop over one prepared INSERT of SQLite with the settings
// of the repository (WAL, synchronous=NORMAL, the same cache and checkpoints).
class RawDatabase {
 public:
  RawDatabase(const std::string& path, const RawRecords& records);
  ~RawDatabase();
  RawDatabase(const RawDatabase&) = delete;
  RawDatabase& operator=(const RawDatabase&) = delete;

  // Inserts all rows in transactions of `rows_each`, and gives the seconds.
  double insert_all(std::size_t rows_each);

 private:
  void run(const char* sql);
  void insert(std::size_t row);

  const RawRecords& records_;
  sqlite3* database_ = nullptr;
  sqlite3_stmt* begin_ = nullptr;
  sqlite3_stmt* insert_ = nullptr;
  sqlite3_stmt* commit_ = nullptr;
};

}  // namespace pm::perf
