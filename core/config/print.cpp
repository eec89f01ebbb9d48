#include <algorithm>
#include <map>

#include "core/config/config.h"

namespace pm {
namespace {

using config::Array;
using config::Table;
using config::Value;

bool is_list_of_tables(const Value& value) {
  const Array* items = value.array();
  return items != nullptr && !items->empty() &&
         std::all_of(items->begin(), items->end(), [](const Value& v) { return v.is_table(); });
}

// A key as TOML writes it: bare when it may be.
std::string key_text(const std::string& key) {
  const bool bare = !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
  return bare ? key : config::quote(key);
}

void print_table(const Table& table, const std::string& prefix, std::string& out) {
  for (const auto& [key, value] : table.entries) {
    if ((value.is_table() && !value.secret) || is_list_of_tables(value)) continue;
    std::string line = key_text(key) + " = " + to_text(value);
    line.resize(std::max<std::size_t>(line.size(), 60), ' ');
    out += line + "  # " + value.origin.text() + "\n";
  }
  for (const auto& [key, value] : table.entries) {
    const std::string path = prefix.empty() ? key_text(key) : prefix + "." + key_text(key);
    if (value.is_table() && !value.secret && !value.table()->entries.empty()) {
      out += "\n[" + path + "]\n";
      print_table(*value.table(), path, out);
    } else if (is_list_of_tables(value)) {
      for (const Value& item : *value.array()) {
        out += "\n[[" + path + "]]\n";
        print_table(*item.table(), path, out);
      }
    }
  }
}

// Every scalar and list of the tree, by its full key; named items by their name.
void flatten(const Value& value, const std::string& path, std::map<std::string, std::string>& out) {
  if (const Table* table = value.table()) {
    for (const auto& [key, entry] : table->entries) {
      flatten(entry, path.empty() ? key : path + "." + key, out);
    }
  } else if (is_list_of_tables(value)) {
    std::size_t position = 0;
    for (const Value& item : *value.array()) {
      const Value* name = item.table()->find("name");
      const bool named = name != nullptr && name->text() != nullptr;
      flatten(item, path + "." + (named ? *name->text() : std::to_string(position)), out);
      ++position;
    }
  } else {
    Value shown = value;
    shown.secret = false;
    out[path] = to_text(shown);
  }
}

}  // namespace

std::string print_config(const HostConfig& config) {
  std::string out;
  print_table(*config.document.table(), "", out);
  return out.starts_with('\n') ? out.substr(1) : out;
}

std::vector<std::string> changed_keys(const HostConfig& before, const HostConfig& after) {
  std::map<std::string, std::string> old_values;
  std::map<std::string, std::string> new_values;
  flatten(before.document, "", old_values);
  flatten(after.document, "", new_values);
  std::vector<std::string> changed;
  for (const auto& [key, value] : old_values) {
    const auto other = new_values.find(key);
    if (other == new_values.end() || other->second != value) changed.push_back(key);
  }
  for (const auto& [key, value] : new_values) {
    if (old_values.find(key) == old_values.end()) changed.push_back(key);
  }
  return changed;
}

}  // namespace pm
