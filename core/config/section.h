#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/value.h"

namespace pm::config {

// Reads the keys of one table by name and type. Adds an error for each value of a wrong type or out
// of range, puts a default in for each key that is missing, and at the end refuses the keys that
// nobody asked for. Refers to the table, which must outlive it.
class Section {
 public:
  // `prefix` names the table in errors: "host", "tier.shm".
  Section(Table& table, std::string prefix, Origin origin, Errors& errors);

  // A whole number in [min, max]; for a size key (size_text.h) also "4GiB".
  std::int64_t integer(std::string_view key, std::int64_t fallback, std::int64_t min,
                       std::int64_t max);
  bool boolean(std::string_view key, bool fallback);
  std::string text(std::string_view key, std::string_view fallback);
  std::string required_text(std::string_view key);
  std::vector<std::string> texts(std::string_view key, const std::vector<std::string>& fallback);
  // The position in `choices` of the text given.
  std::size_t choice(std::string_view key, const std::vector<std::string>& choices,
                     std::size_t fallback);
  // A key with a table of its own, checked elsewhere; made empty when it is missing.
  Table& free_table(std::string_view key);

  bool has(std::string_view key) const { return table_.find(key) != nullptr; }
  void optional(std::string_view key) { known_.emplace_back(key); }
  void refuse(std::string_view key, std::string_view what);
  void finish();

 private:
  Value* find(std::string_view key);
  std::string path(std::string_view key) const { return prefix_ + "." + std::string(key); }
  void refuse_type(std::string_view key, const Value& found, const std::string& wanted);

  Table& table_;
  std::string prefix_;
  Origin origin_;
  Errors& errors_;
  std::vector<std::string> known_;
};

// Reads a size text in place of an integer, when the key is a size key. True when it was one.
bool read_size(std::string_view key, Value& value);

}  // namespace pm::config
