#pragma once

#include <functional>
#include <map>
#include <string>

#include "core/config/config.h"

namespace pm {

// What the check needs to know of a plugin, from whoever loads them.
struct PluginSchema {
  std::string problem;                  // Why the plugin cannot be used; empty: it can.
  const char* config_schema = nullptr;  // pm_plugin_descriptor.config_schema; may be NULL.
};

// Finds the plugin `id` of `kind` (PM_KIND_TIER, ...).
using SchemaLookup = std::function<PluginSchema(const std::string& id, const char* kind)>;

// Checks the tables [repository.config], [tier.config] and [frontend.config] against the schemas
// of their plugins, fills in defaults, and sets each config_json. Also takes a configuration in
// which load_config() found errors, to report all there are.
void check_plugin_configs(HostConfig& config, const SchemaLookup& look_up, config::Errors& errors);

// What runs, by the plugin that it runs: its id -> the instance's name.
std::multimap<std::string, std::string> instances_of(const HostConfig& config);

}  // namespace pm
