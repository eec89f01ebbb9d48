#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

// A configuration as a tree, each value with the place that it comes from. TOML, the environment
// and defaults all become this, and are checked alike.

namespace pm::config {

// Where a value stands: a line of a file, a variable of the environment, an option, or nowhere.
struct Origin {
  std::shared_ptr<const std::string> source;  // NULL: a default of the host or of a plugin.
  std::uint32_t line = 0;                     // From 1; 0 when `source` has no lines.

  std::string text() const;  // "FILE:LINE", "environment PM_LOG__LEVEL", "default"
};

struct Value;
using Array = std::vector<Value>;

struct TableEntry;

// Keys in the order in which they were written.
struct Table {
  std::vector<TableEntry> entries;

  // Defined where an entry, which holds a value, which may hold a table, is complete.
  Table();
  Table(const Table&);
  Table(Table&&) noexcept;
  Table& operator=(const Table&);
  Table& operator=(Table&&) noexcept;
  ~Table();

  Value* find(std::string_view key);
  const Value* find(std::string_view key) const;
  Value& set(std::string_view key, Value value);  // Inserts or replaces.
};

struct Value {
  std::variant<bool, std::int64_t, double, std::string, Array, Table> data;
  Origin origin;

  // Of a value from the environment or an option: what was written there. Its type is a guess,
  // and a key that wants text or a list takes it as such.
  std::shared_ptr<const std::string> loose_text;
  bool secret = false;  // Never printed.

  bool is_table() const { return std::holds_alternative<Table>(data); }
  Table* table() { return std::get_if<Table>(&data); }
  const Table* table() const { return std::get_if<Table>(&data); }
  Array* array() { return std::get_if<Array>(&data); }
  const Array* array() const { return std::get_if<Array>(&data); }
  const std::string* text() const { return std::get_if<std::string>(&data); }
};

struct TableEntry {
  std::string key;
  Value value;
};

// What a value is, for errors: "a text", "an integer", "a table".
const char* type_name(const Value& value);

// The value as TOML on one line; "***" for a secret, also within lists and tables.
std::string to_text(const Value& value);

// `text` as a TOML string, quotes included.
std::string quote(std::string_view text);

// Replaces a guess by what `loose_text` says, for a key that wants text, or a list.
void loosen_to_text(Value& value);
void loosen_to_array(Value& value);

// All that is wrong with a configuration, in order, each as "ORIGIN: KEY: what, and what is right".
class Errors {
 public:
  void add(const Origin& origin, std::string_view key, std::string_view what);
  void add(std::string text) { texts_.push_back(std::move(text)); }

  bool empty() const { return texts_.empty(); }
  const std::vector<std::string>& texts() const { return texts_; }

 private:
  std::vector<std::string> texts_;
};

// "; did you mean `level`?" when one of `known` is near `key`, else "; allowed: a, b, c".
std::string suggest(std::string_view key, const std::vector<std::string>& known);

}  // namespace pm::config
