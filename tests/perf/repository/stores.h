#pragma once

#include <pm/repository.h>
#include <sqlite3.h>

#include <cstdint>
#include <string>
#include <vector>

namespace pm::perf {

// The record that a payload leaves, as a host keeps it.
const pm_schema_t& payload_schema();

// The same payloads for every store: random keys, an operation each. Another revision has the same
// keys and indexed fields, and another state; SQLite would drop a write of equal bytes.
class Payloads {
 public:
  explicit Payloads(std::size_t count, uint64_t revision = 1);
  std::size_t size() const { return operations_.size(); }
  const pm_operation_t* operations() const { return operations_.data(); }
  const pm_value_t* values(std::size_t payload) const { return operations_[payload].values; }

 private:
  static constexpr std::size_t field_count = 11;
  std::vector<unsigned char> ids_;
  std::vector<pm_value_t> values_;
  std::vector<pm_operation_t> operations_;
};

// A repository of a plugin, through the C ABI.
class PluginStore {
 public:
  PluginStore(const std::string& plugin, const std::string& config);
  ~PluginStore();
  void write(const Payloads& payloads, std::size_t first, std::size_t count, uint32_t durability);
  const pm_repository_t* repository() const { return repository_; }

 private:
  const pm_repository_t* repository_ = nullptr;
  pm_repository_state_t state_{};
};

// What it is measured against: a loop over a prepared statement of SQLite, with the same table,
// indexes and settings. With `keeps_sequence` each transaction also writes the number of its batch,
// which is what it takes at least to know a batch that is sent again.
class RawStore {
 public:
  RawStore(const std::string& path, bool keeps_sequence);
  ~RawStore();
  void write(const Payloads& payloads, std::size_t first, std::size_t count, uint32_t durability);

 private:
  void run(const char* sql);

  const bool keeps_sequence_;
  sqlite3* db_ = nullptr;
  sqlite3_stmt* begin_ = nullptr;
  sqlite3_stmt* insert_ = nullptr;
  sqlite3_stmt* sequence_ = nullptr;
  sqlite3_stmt* commit_ = nullptr;
  uint32_t durability_ = 0;
};

// Ends the program when a step that cannot be measured without fails.
void must(bool condition, const std::string& words);

}  // namespace pm::perf
