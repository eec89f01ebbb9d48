#include "core/config/value.h"

#include <algorithm>
#include <cstdio>
#include <pm/cpp/utf8.hpp>
#include <utility>

namespace pm::config {
namespace {

// The edit distance with transpositions of neighbours ("optimal string alignment").
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      d[i][j] = std::min({replaced, d[i - 1][j] + 1, d[i][j - 1] + 1});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  }
  return d[a.size()][b.size()];
}

std::string join(const Array& items) {
  std::string out = "[";
  for (const Value& item : items) {
    if (out.size() > 1) out += ", ";
    out += to_text(item);
  }
  return out + "]";
}

std::string join(const Table& table) {
  std::string out = "{";
  for (const auto& [key, value] : table.entries) {
    out += (out.size() > 1 ? ", " : " ") + key + " = " + to_text(value);
  }
  return out + (out.size() > 1 ? " }" : "}");
}

}  // namespace

std::string Origin::text() const {
  if (source == nullptr) return "default";
  return line == 0 ? *source : *source + ":" + std::to_string(line);
}

Table::Table() = default;
Table::Table(const Table&) = default;
Table::Table(Table&&) noexcept = default;
Table& Table::operator=(const Table&) = default;
Table& Table::operator=(Table&&) noexcept = default;
Table::~Table() = default;

Value* Table::find(std::string_view key) {
  for (TableEntry& entry : entries) {
    if (entry.key == key) return &entry.value;
  }
  return nullptr;
}

const Value* Table::find(std::string_view key) const { return const_cast<Table*>(this)->find(key); }

Value& Table::set(std::string_view key, Value value) {
  if (Value* present = find(key)) {
    *present = std::move(value);
    return *present;
  }
  entries.push_back({std::string(key), std::move(value)});
  return entries.back().value;
}

const char* type_name(const Value& value) {
  constexpr const char* kNames[] = {"true or false", "an integer", "a number",
                                    "text",          "a list",     "a table"};
  return kNames[value.data.index()];
}

std::string quote(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    const char c = text.front();
    // The environment may hold any bytes; TOML is UTF-8.
    const std::size_t length = sdk::utf8_length(text);
    const std::string_view sequence = text.substr(0, length);
    text.remove_prefix(length == 0 ? 1 : length);
    if (length == 0) {
      out += "\\uFFFD";
    } else if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\u%04X", static_cast<unsigned char>(c));
      out += escaped;
    } else {
      out += sequence;
    }
  }
  return out + "\"";
}

std::string to_text(const Value& value) {
  if (value.secret) return "\"***\"";
  if (const auto* flag = std::get_if<bool>(&value.data)) return *flag ? "true" : "false";
  if (const auto* integer = std::get_if<std::int64_t>(&value.data)) {
    return std::to_string(*integer);
  }
  if (const auto* number = std::get_if<double>(&value.data)) {
    char text[40];
    std::snprintf(text, sizeof text, "%.17g", *number);
    return text;
  }
  if (const std::string* text = value.text()) return quote(*text);
  if (const Array* items = value.array()) return join(*items);
  return join(*value.table());
}

void loosen_to_text(Value& value) {
  if (value.loose_text != nullptr) value.data = *value.loose_text;
}

void loosen_to_array(Value& value) {
  if (value.loose_text == nullptr || value.array() != nullptr) return;
  Value item = value;
  value.data = Array{std::move(item)};
}

void Errors::add(const Origin& origin, std::string_view key, std::string_view what) {
  texts_.push_back(origin.text() + ": " + std::string(key) + ": " + std::string(what));
}

std::string suggest(std::string_view key, const std::vector<std::string>& known) {
  const std::string* nearest = nullptr;
  std::size_t best = std::max<std::size_t>(key.size() / 3, 1) + 1;
  // The distance takes time proportional to both lengths; nobody mistypes a key of that length.
  if (key.size() <= 64) {
    for (const std::string& candidate : known) {
      // A key cut short, or a longer one of the same beginning, is near too.
      const bool begins = key.size() >= 3 && candidate.starts_with(key);
      const std::size_t d = begins ? 1 : distance(key, candidate);
      if (d < best) {
        best = d;
        nearest = &candidate;
      }
    }
  }
  if (nearest != nullptr) return "; did you mean `" + *nearest + "`?";
  if (known.empty()) return "; none is allowed here";
  std::string list;
  for (const std::string& candidate : known) list += (list.empty() ? "" : ", ") + candidate;
  return "; allowed: " + list;
}

}  // namespace pm::config
