#include "core/config/schema.h"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cmath>
#include <exception>
#include <regex>
#include <string_view>

#include "core/config/section.h"

namespace pm::config {
namespace json = boost::json;
namespace {

// std::regex recurses for each character, so longer texts are not matched but refused.
constexpr std::size_t kPatternTextMax = 4096;

constexpr std::array<std::string_view, 20> kKeywords = {
    "type",      "properties", "required", "enum",    "minimum",  "maximum",  "minLength",
    "maxLength", "minItems",   "maxItems", "pattern", "items",    "default",  "description",
    "title",     "examples",   "$schema",  "$id",     "$comment", "writeOnly"};

std::string_view view(const json::string& text) { return {text.data(), text.size()}; }

Status refuse_schema(const std::string& where, const std::string& what) {
  return {Code::invalid_argument, "its config_schema is wrong at " + where + ": " + what};
}

bool is_type(std::string_view name) {
  return name == "object" || name == "array" || name == "string" || name == "integer" ||
         name == "number" || name == "boolean";
}

Status check_type(const json::value& type, const std::string& where) {
  const auto wrong = [&] {
    return refuse_schema(where, "type must be object, array, string, integer, number or boolean");
  };
  if (const json::string* name = type.if_string()) return is_type(view(*name)) ? Status() : wrong();
  const json::array* names = type.if_array();
  if (names == nullptr || names->empty()) return wrong();
  for (const json::value& name : *names) {
    if (!name.is_string() || !is_type(view(name.get_string()))) return wrong();
  }
  return {};
}

// std::regex reads a number without looking whether it fits.
bool has_long_number(std::string_view pattern) {
  constexpr std::size_t digits_max = 9;
  std::size_t digits = 0;
  for (const char c : pattern) {
    digits = c >= '0' && c <= '9' ? digits + 1 : 0;
    if (digits > digits_max) return true;
  }
  return false;
}

Status check_pattern(const json::value& pattern, const std::string& where) {
  if (!pattern.is_string()) return refuse_schema(where, "pattern must be text");
  if (has_long_number(view(pattern.get_string()))) {
    return refuse_schema(where, "pattern has a number of more than 9 digits");
  }
  try {
    const std::regex compiled(pattern.get_string().c_str(), std::regex::ECMAScript);
    return {};
  } catch (const std::regex_error& error) {
    return refuse_schema(where, std::string("pattern cannot be compiled: ") + error.what());
  }
}

Status check_schema(const json::value& schema, const std::string& where);

Status check_keyword(std::string_view name, const json::value& value, const std::string& where) {
  if (name == "type") return check_type(value, where);
  if (name == "pattern") return check_pattern(value, where);
  if (name == "items") return check_schema(value, where + "/items");
  if (name == "additionalProperties") {
    return value.is_bool() ? Status() : check_schema(value, where + "/additionalProperties");
  }
  if (name == "properties") {
    if (!value.is_object()) return refuse_schema(where, "properties must be an object");
    for (const auto& property : value.get_object()) {
      PM_TRY(check_schema(property.value(), where + "/" + std::string(property.key())));
    }
    return {};
  }
  if (name == "required" || name == "enum") {
    if (!value.is_array()) return refuse_schema(where, std::string(name) + " must be an array");
    for (const json::value& item : value.get_array()) {
      if (name == "required" && !item.is_string()) {
        return refuse_schema(where, "required must be a list of texts");
      }
    }
    return {};
  }
  if ((name == "minimum" || name == "maximum" || name.starts_with("min") ||
       name.starts_with("max")) &&
      !value.is_number()) {
    return refuse_schema(where, std::string(name) + " must be a number");
  }
  if (name == "writeOnly" && !value.is_bool()) {
    return refuse_schema(where, "writeOnly must be true or false");
  }
  return {};
}

Status check_schema(const json::value& schema, const std::string& where) {
  if (!schema.is_object()) return refuse_schema(where, "it must be an object");
  for (const auto& keyword : schema.get_object()) {
    const std::string_view name(keyword.key().data(), keyword.key().size());
    const bool known = name == "additionalProperties" ||
                       std::find(kKeywords.begin(), kKeywords.end(), name) != kKeywords.end();
    if (!known) return refuse_schema(where, "unknown keyword " + quote(name));
    PM_TRY(check_keyword(name, keyword.value(), where));
  }
  return {};
}

Value from_json(const json::value& source) {
  Value value{};
  if (const auto* flag = source.if_bool()) value.data = *flag;
  if (const auto* integer = source.if_int64()) value.data = *integer;
  if (const auto* number = source.if_double()) value.data = *number;
  if (const auto* text = source.if_string()) value.data = std::string(text->data(), text->size());
  if (const auto* items = source.if_array()) {
    Array array;
    for (const json::value& item : *items) array.push_back(from_json(item));
    value.data = std::move(array);
  }
  if (const auto* object = source.if_object()) {
    Table table;
    for (const auto& entry : *object) table.set(entry.key(), from_json(entry.value()));
    value.data = std::move(table);
  }
  return value;
}

json::value as_json(const Value& value) {
  if (const auto* flag = std::get_if<bool>(&value.data)) return *flag;
  if (const auto* integer = std::get_if<std::int64_t>(&value.data)) return *integer;
  if (const auto* number = std::get_if<double>(&value.data)) return *number;
  if (const auto* text = value.text()) return json::string(*text);
  if (const Array* items = value.array()) {
    json::array array;
    for (const Value& item : *items) array.push_back(as_json(item));
    return array;
  }
  json::object object;
  for (const auto& [key, entry] : value.table()->entries) object[key] = as_json(entry);
  return object;
}

std::optional<double> number_of(const Value& value) {
  if (const auto* integer = std::get_if<std::int64_t>(&value.data)) {
    return static_cast<double>(*integer);
  }
  if (const auto* number = std::get_if<double>(&value.data)) return *number;
  return std::nullopt;
}

bool has_type(const Value& value, std::string_view type) {
  if (type == "object") return value.is_table();
  if (type == "array") return value.array() != nullptr;
  if (type == "string") return value.text() != nullptr;
  if (type == "boolean") return std::holds_alternative<bool>(value.data);
  if (type == "number") return number_of(value).has_value();
  return std::holds_alternative<std::int64_t>(value.data);
}

std::vector<std::string> types_of(const json::object& schema) {
  std::vector<std::string> types;
  const json::value* type = schema.if_contains("type");
  if (type == nullptr) return types;
  if (type->is_string()) return {std::string(view(type->get_string()))};
  for (const json::value& name : type->get_array()) types.emplace_back(view(name.get_string()));
  return types;
}

const char* type_words(std::string_view type) {
  if (type == "object") return "a table";
  if (type == "array") return "a list";
  if (type == "string") return "text";
  if (type == "boolean") return "true or false";
  if (type == "number") return "a number";
  return "an integer";
}

// Checks values against a schema that check_schema() has found right.
class Checker {
 public:
  explicit Checker(Errors& errors) : errors_(errors) {}

  void check(const json::object& schema, const std::string& key, Value& value) {
    const json::value* secret = schema.if_contains("writeOnly");
    if (secret != nullptr && secret->get_bool()) value.secret = true;
    if (!check_type(schema, key, value)) return;
    check_enum(schema, key, value);
    check_number(schema, key, value);
    check_text(schema, key, value);
    if (Array* items = value.array()) check_array(schema, key, value, *items);
    if (value.is_table()) check_table(schema, key, value);
  }

 private:
  bool check_type(const json::object& schema, const std::string& key, Value& value) {
    const std::vector<std::string> types = types_of(schema);
    const auto allows = [&](std::string_view type) {
      return std::find(types.begin(), types.end(), type) != types.end();
    };
    if (types.empty()) return true;
    const std::string_view leaf = std::string_view(key).substr(key.rfind('.') + 1);
    if (allows("integer") && read_size(leaf, value)) return true;
    if (std::any_of(types.begin(), types.end(),
                    [&](const auto& t) { return has_type(value, t); })) {
      return true;
    }
    if (allows("string")) loosen_to_text(value);
    if (allows("array")) loosen_to_array(value);
    if (std::any_of(types.begin(), types.end(),
                    [&](const auto& t) { return has_type(value, t); })) {
      return true;
    }
    std::string wanted;
    for (const auto& type : types)
      wanted += (wanted.empty() ? "" : " or ") + std::string(type_words(type));
    refuse(value, key, wanted);
    return false;
  }

  void check_enum(const json::object& schema, const std::string& key, const Value& value) {
    const json::value* allowed = schema.if_contains("enum");
    if (allowed == nullptr) return;
    const json::value found = as_json(value);
    const json::array& choices = allowed->get_array();
    if (std::find(choices.begin(), choices.end(), found) != choices.end()) return;
    std::string list;
    for (const json::value& choice : choices) {
      list += (list.empty() ? "" : ", ") + json::serialize(choice);
    }
    refuse(value, key, "one of " + list);
  }

  void check_number(const json::object& schema, const std::string& key, const Value& value) {
    const auto number = number_of(value);
    if (!number.has_value()) return;
    const json::value* minimum = schema.if_contains("minimum");
    const json::value* maximum = schema.if_contains("maximum");
    if (minimum != nullptr && *number < minimum->to_number<double>()) {
      refuse(value, key, "at least " + json::serialize(*minimum));
    }
    if (maximum != nullptr && *number > maximum->to_number<double>()) {
      refuse(value, key, "at most " + json::serialize(*maximum));
    }
  }

  void check_length(const json::object& schema, const std::string& key, const Value& value,
                    std::size_t length, const char* minimum, const char* maximum,
                    const char* unit) {
    const json::value* least = schema.if_contains(minimum);
    const json::value* most = schema.if_contains(maximum);
    if (least != nullptr && static_cast<double>(length) < least->to_number<double>()) {
      refuse(value, key, "at least " + json::serialize(*least) + " " + unit + " long");
    }
    if (most != nullptr && static_cast<double>(length) > most->to_number<double>()) {
      refuse(value, key, "at most " + json::serialize(*most) + " " + unit + " long");
    }
  }

  void check_text(const json::object& schema, const std::string& key, const Value& value) {
    const std::string* text = value.text();
    if (text == nullptr) return;
    const auto continues = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; };
    const auto characters = text->size() - static_cast<std::size_t>(std::count_if(
                                               text->begin(), text->end(), continues));
    check_length(schema, key, value, characters, "minLength", "maxLength", "characters");
    const json::value* pattern = schema.if_contains("pattern");
    if (pattern == nullptr) return;
    if (text->size() > kPatternTextMax) {
      errors_.add(value.origin, key, "is longer than 4096 bytes");
      return;
    }
    bool matches = false;
    try {
      matches = std::regex_search(*text, std::regex(pattern->get_string().c_str()));
    } catch (const std::regex_error&) {
      // Too much work for the pattern: the text is none that its author had in mind.
    }
    if (!matches) refuse(value, key, "text that matches " + std::string(pattern->get_string()));
  }

  void check_array(const json::object& schema, const std::string& key, Value& value, Array& items) {
    check_length(schema, key, value, items.size(), "minItems", "maxItems", "items");
    const json::value* item_schema = schema.if_contains("items");
    if (item_schema == nullptr) return;
    for (std::size_t i = 0; i < items.size(); ++i) {
      items[i].secret = items[i].secret || value.secret;
      check(item_schema->get_object(), key + "[" + std::to_string(i) + "]", items[i]);
    }
  }

  void check_table(const json::object& schema, const std::string& key, Value& value) {
    static const json::object none;
    const json::value* listed = schema.if_contains("properties");
    const json::object& properties = listed == nullptr ? none : listed->get_object();
    const json::value* more = schema.if_contains("additionalProperties");
    Table& table = *value.table();
    std::vector<std::string> known;
    for (const auto& property : properties) known.emplace_back(property.key());
    for (auto& [name, entry] : table.entries) {
      const std::string path = key + "." + name;
      entry.secret = entry.secret || value.secret;
      const json::value* property = properties.if_contains(name);
      if (property == nullptr && more != nullptr && more->is_object()) property = more;
      if (property != nullptr) {
        check(property->get_object(), path, entry);
      } else if (more == nullptr || !more->get_bool()) {
        errors_.add(entry.origin, path, "unknown key" + suggest(name, known));
      }
    }
    fill_defaults(properties, key, table);
    check_required(schema, key, value);
  }

  void fill_defaults(const json::object& properties, const std::string& key, Table& table) {
    for (const auto& property : properties) {
      const json::value* fallback = property.value().get_object().if_contains("default");
      if (fallback == nullptr || table.find(property.key()) != nullptr) continue;
      // Checked like any value: nested defaults are filled in, secrets are marked.
      Value& added = table.set(property.key(), from_json(*fallback));
      check(property.value().get_object(), key + "." + std::string(property.key()), added);
    }
  }

  void check_required(const json::object& schema, const std::string& key, const Value& value) {
    const json::value* required = schema.if_contains("required");
    if (required == nullptr) return;
    for (const json::value& name : required->get_array()) {
      const std::string wanted(view(name.get_string()));
      if (value.table()->find(wanted) != nullptr) continue;
      errors_.add(value.origin, key + "." + wanted, "is missing, and the plugin needs it");
    }
  }

  void refuse(const Value& value, const std::string& key, const std::string& wanted) {
    const bool scalar = !value.is_table() && value.array() == nullptr;
    errors_.add(value.origin, key,
                "is " + (scalar || value.secret ? to_text(value) : type_name(value)) +
                    "; it must be " + wanted);
  }

  Errors& errors_;
};

}  // namespace

Result<Schema> Schema::parse(const char* text) {
  const char* const none = R"({"type": "object", "properties": {}})";
  try {
    json::value root = json::parse(text == nullptr ? none : text);
    PM_TRY(check_schema(root, "#"));
    return Schema(std::move(root));
  } catch (const std::exception& error) {
    return refuse_schema("#", std::string("it is not JSON: ") + error.what());
  }
}

void Schema::apply(const std::string& key, Value& value, Errors& errors) const {
  Checker(errors).check(root_.get_object(), key, value);
}

std::string to_json(const Value& value) { return json::serialize(as_json(value)); }

}  // namespace pm::config
