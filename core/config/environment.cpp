#include "core/config/environment.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <memory>
#include <string_view>

#include "core/config/toml_reader.h"

namespace pm::config {
namespace {

const std::vector<std::string>& section_names() {
  static const std::vector<std::string> names = {"host",       "plugins",  "log",     "leases",
                                                 "limits",     "recovery", "scrub",   "policy",
                                                 "repository", "tier",     "frontend"};
  return names;
}

// The type that the text looks like; loosen_to_text() and loosen_to_array() take the guess back.
Value guess(const std::string& text, const Origin& origin) {
  Value value{text, origin, std::make_shared<const std::string>(text), false};
  std::int64_t number = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, number);
  if (text == "true" || text == "false") {
    value.data = text == "true";
  } else if (!text.empty() && parsed.ec == std::errc{} && parsed.ptr == end) {
    value.data = number;
  } else if (text.starts_with('[') || text.starts_with('{')) {
    if (auto toml = read_toml_value(text)) value.data = std::move(toml->data);
  }
  return value;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

std::vector<std::string> split(std::string_view name) {
  std::vector<std::string> parts;
  while (true) {
    const std::size_t at = name.find("__");
    parts.push_back(lower(name.substr(0, at)));
    if (at == std::string_view::npos) return parts;
    name.remove_prefix(at + 2);
  }
}

// The table of the tier or frontend called `name`, or NULL.
Table* find_named(Value& list, const std::string& name) {
  Array* items = list.array();
  if (items == nullptr) return nullptr;
  for (Value& item : *items) {
    Table* table = item.table();
    const Value* named = table == nullptr ? nullptr : table->find("name");
    if (named == nullptr || named->text() == nullptr) continue;
    std::string key = *named->text();
    std::replace(key.begin(), key.end(), '-', '_');
    if (key == name) return table;
  }
  return nullptr;
}

Table* descend(Table& table, const std::string& key, const Origin& origin) {
  Value* value = table.find(key);
  if (value == nullptr) value = &table.set(key, Value{Table{}, origin, nullptr, false});
  return value->table();
}

void apply(const std::vector<std::string>& path, const std::string& text, const Origin& origin,
           Table& root, Errors& errors) {
  const std::string& section = path.front();
  const auto& known = section_names();
  if (std::find(known.begin(), known.end(), section) == known.end()) {
    errors.add(origin, section, "unknown section" + suggest(section, known));
    return;
  }
  const bool is_list = section == "tier" || section == "frontend";
  if (path.size() < (is_list ? 3u : 2u) || std::find(path.begin(), path.end(), "") != path.end()) {
    errors.add(origin, section,
               is_list ? "write PM_" + std::string("TIER__NAME__KEY")
                       : std::string("write PM_SECTION__KEY"));
    return;
  }
  Table* table = nullptr;
  if (is_list) {
    Value* list = root.find(section);
    table = list == nullptr ? nullptr : find_named(*list, path[1]);
    if (table == nullptr) {
      errors.add(origin, section + "." + path[1], "no [[" + section + "]] has this name");
      return;
    }
  } else {
    table = descend(root, section, origin);
  }
  for (std::size_t i = is_list ? 2 : 1; table != nullptr && i + 1 < path.size(); ++i) {
    table = descend(*table, path[i], origin);
  }
  if (table == nullptr) {
    errors.add(origin, section, "a part of the name before the last `__` is not a table");
    return;
  }
  table->set(path.back(), guess(text, origin));
}

}  // namespace

void override_text(Table& table, std::string_view key, const std::string& text, Origin origin) {
  table.set(key, Value{text, std::move(origin), std::make_shared<const std::string>(text), false});
}

void apply_environment(const std::vector<std::pair<std::string, std::string>>& environment,
                       Value& root, Errors& errors) {
  for (const auto& [name, text] : environment) {
    if (!name.starts_with("PM_") || name.find("__") == std::string::npos) continue;
    const Origin origin{std::make_shared<const std::string>("environment " + name), 0};
    const auto path = split(std::string_view(name).substr(3));
    if (path.size() > kTomlDepthMax) {
      errors.add(origin, name, "names a key nested deeper than 64 levels");
      continue;
    }
    apply(path, text, origin, *root.table(), errors);
  }
}

}  // namespace pm::config
