#pragma once

#include <boost/json.hpp>
#include <string>

// The configuration that both plugins have.

namespace pm::fault {

inline constexpr char config_schema[] = R"json({
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "additionalProperties": false,
  "required": ["plugin"],
  "properties": {
    "plugin": {
      "type": "string", "minLength": 1,
      "description": "What faults are put into: the path of a plugin of the same kind, or the name of its file without .so"
    },
    "config": {
      "type": "object", "additionalProperties": true, "default": {},
      "description": "Its configuration; sizes in plain bytes"
    },
    "fault": {
      "type": "array", "items": {"type": "object", "additionalProperties": true}, "default": [],
      "description": "Faults that are always in the schedule; the plugin's README tells their keys"
    },
    "schedule_file": {
      "type": "string", "default": "",
      "description": "A file of further faults ([[fault]]), looked at again at each call; it need not be there"
    }
  }
})json";

struct Config {
  // Throws when the text does not satisfy the schema.
  explicit Config(const char* config_json)
      : root(boost::json::parse(config_json).as_object()),
        plugin(root.at("plugin").as_string()),
        schedule_file(root.at("schedule_file").as_string()) {}

  boost::json::object root;
  std::string plugin;
  std::string schedule_file;
  const boost::json::value& faults() const { return root.at("fault"); }
  const boost::json::object& inner() const { return root.at("config").as_object(); }
};

}  // namespace pm::fault
