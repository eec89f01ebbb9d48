#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <string>
#include <vector>

// Reads the config_json that create() gets. The host has already checked it against the plugin's
// config_schema and filled in defaults, so that a missing key or a wrong type is a mistake of the
// plugin's author; these throw then (std::exception), and create() turns that into an error.

namespace pm::sdk {

class Config {
 public:
  explicit Config(const char* config_json) : root_(boost::json::parse(config_json).as_object()) {}

  bool has(const char* key) const { return root_.contains(key); }
  std::string text(const char* key) const { return std::string(root_.at(key).as_string()); }
  std::uint64_t number(const char* key) const { return root_.at(key).to_number<std::uint64_t>(); }
  bool flag(const char* key) const { return root_.at(key).as_bool(); }
  std::vector<std::string> texts(const char* key) const {
    std::vector<std::string> result;
    for (const auto& item : root_.at(key).as_array()) result.emplace_back(item.as_string());
    return result;
  }

 private:
  boost::json::object root_;
};

}  // namespace pm::sdk
