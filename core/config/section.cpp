#include "core/config/section.h"

#include <algorithm>
#include <utility>

#include "core/config/size_text.h"

namespace pm::config {

bool read_size(std::string_view key, Value& value) {
  const std::string* text = value.text();
  if (text == nullptr || !is_size_key(key)) return false;
  const auto bytes = parse_size(*text);
  if (bytes.has_value()) value.data = *bytes;
  return bytes.has_value();
}

Section::Section(Table& table, std::string prefix, Origin origin, Errors& errors)
    : table_(table), prefix_(std::move(prefix)), origin_(std::move(origin)), errors_(errors) {}

Value* Section::find(std::string_view key) {
  known_.emplace_back(key);
  return table_.find(key);
}

void Section::refuse(std::string_view key, std::string_view what) {
  const Value* value = table_.find(key);
  errors_.add(value != nullptr && value->origin.source != nullptr ? value->origin : origin_,
              path(key), what);
}

void Section::refuse_type(std::string_view key, const Value& found, const std::string& wanted) {
  const bool scalar = !found.is_table() && found.array() == nullptr;
  refuse(key, "is " + std::string(type_name(found)) + (scalar ? " (" + to_text(found) + ")" : "") +
                  "; it must be " + wanted);
}

std::int64_t Section::integer(std::string_view key, std::int64_t fallback, std::int64_t min,
                              std::int64_t max) {
  Value* value = find(key);
  if (value == nullptr) {
    table_.set(key, Value{fallback, {}, nullptr, false});
    return fallback;
  }
  read_size(key, *value);
  const auto* number = std::get_if<std::int64_t>(&value->data);
  const std::string range =
      "an integer from " + std::to_string(min) + " to " + std::to_string(max) +
      (is_size_key(key) ? ", or a size like \"4GiB\" (KiB, MiB, GiB, TiB)" : "");
  if (number == nullptr) {
    refuse_type(key, *value, range);
    return fallback;
  }
  if (*number < min || *number > max) {
    refuse(key, "is " + std::to_string(*number) + "; it must be " + range);
    return fallback;
  }
  return *number;
}

bool Section::boolean(std::string_view key, bool fallback) {
  const Value* value = find(key);
  if (value == nullptr) {
    table_.set(key, Value{fallback, {}, nullptr, false});
    return fallback;
  }
  if (const auto* given = std::get_if<bool>(&value->data)) return *given;
  refuse_type(key, *value, "true or false");
  return fallback;
}

std::string Section::text(std::string_view key, std::string_view fallback) {
  Value* value = find(key);
  if (value == nullptr) {
    table_.set(key, Value{std::string(fallback), {}, nullptr, false});
    return std::string(fallback);
  }
  loosen_to_text(*value);
  if (const std::string* text = value->text()) return *text;
  refuse_type(key, *value, "text");
  return std::string(fallback);
}

std::string Section::required_text(std::string_view key) {
  if (!has(key)) {
    known_.emplace_back(key);
    refuse(key, "is missing; it must be text");
    return {};
  }
  std::string result = text(key, "");
  if (result.empty() && table_.find(key)->text() != nullptr) refuse(key, "must not be empty");
  return result;
}

std::vector<std::string> Section::texts(std::string_view key,
                                        const std::vector<std::string>& fallback) {
  Value* value = find(key);
  if (value == nullptr) {
    Array items;
    for (const std::string& item : fallback) items.push_back(Value{item, {}, nullptr, false});
    table_.set(key, Value{std::move(items), {}, nullptr, false});
    return fallback;
  }
  loosen_to_array(*value);
  Array* items = value->array();
  if (items == nullptr) {
    refuse_type(key, *value, "a list of texts");
    return fallback;
  }
  std::vector<std::string> result;
  for (Value& item : *items) {
    loosen_to_text(item);
    if (const std::string* text = item.text()) {
      result.push_back(*text);
    } else {
      errors_.add(item.origin, path(key) + "[" + std::to_string(result.size()) + "]",
                  "is " + std::string(type_name(item)) + "; it must be text");
    }
  }
  return result;
}

std::size_t Section::choice(std::string_view key, const std::vector<std::string>& choices,
                            std::size_t fallback) {
  const std::string found = text(key, choices[fallback]);
  const auto match = std::find(choices.begin(), choices.end(), found);
  if (match != choices.end()) return static_cast<std::size_t>(match - choices.begin());
  std::string allowed;
  for (const std::string& choice : choices) allowed += (allowed.empty() ? "" : ", ") + choice;
  refuse(key, "is " + quote(found) + "; it must be one of " + allowed);
  return fallback;
}

Table& Section::free_table(std::string_view key) {
  Value* value = find(key);
  if (value == nullptr) value = &table_.set(key, Value{Table{}, {}, nullptr, false});
  if (!value->is_table()) {
    refuse_type(key, *value, "a table");
    value->data = Table{};
  }
  return *value->table();
}

void Section::finish() {
  for (const auto& [key, value] : table_.entries) {
    if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
    errors_.add(value.origin, prefix_.empty() ? key : path(key),
                "unknown key" + suggest(key, known_));
  }
}

}  // namespace pm::config
