#include "core/config/plugin_config.h"

#include <pm/frontend.h>
#include <pm/repository.h>
#include <pm/tier.h>

#include "core/config/schema.h"

namespace pm {
namespace {

using config::Errors;
using config::Value;

// `owner` is the table that holds `plugin` and `config`; returns the JSON for create().
std::string check_one(Value& owner, const std::string& plugin, const char* kind,
                      const std::string& prefix, const SchemaLookup& look_up, Errors& errors) {
  if (plugin.empty()) return {};  // Refused already.
  const Value& named = *owner.table()->find("plugin");
  const PluginSchema found = look_up(plugin, kind);
  if (!found.problem.empty()) {
    errors.add(named.origin, prefix + ".plugin", found.problem);
    return {};
  }
  auto schema = config::Schema::parse(found.config_schema);
  if (!schema.ok()) {
    errors.add(named.origin, prefix + ".plugin", plugin + ": " + schema.status().message());
    return {};
  }
  Value& table = *owner.table()->find("config");
  // A table that nobody wrote is reported where its owner stands.
  if (table.origin.source == nullptr) table.origin = owner.origin;
  schema->apply(prefix + ".config", table, errors);
  return config::to_json(table);
}

// Calls `body` with each item of `list` and its table, when the tree has a table for each of them;
// a tree that was refused may not.
template <typename Item, typename Body>
void each(std::vector<Item>& items, Value* list, Body body) {
  config::Array* tables = list == nullptr ? nullptr : list->array();
  if (tables == nullptr || tables->size() != items.size()) return;
  for (std::size_t i = 0; i < items.size(); ++i) body(items[i], (*tables)[i]);
}

}  // namespace

void check_plugin_configs(HostConfig& config, const SchemaLookup& look_up, config::Errors& errors) {
  config::Table* root = config.document.table();
  if (root == nullptr) return;
  if (Value* repository = root->find("repository")) {
    config.repository.config_json = check_one(*repository, config.repository.plugin,
                                              PM_KIND_REPOSITORY, "repository", look_up, errors);
  }
  each(config.tiers, root->find("tier"), [&](TierConfig& tier, Value& table) {
    tier.config_json =
        check_one(table, tier.plugin, PM_KIND_TIER, "tier." + tier.name, look_up, errors);
  });
  each(config.frontends, root->find("frontend"), [&](FrontendConfig& frontend, Value& table) {
    frontend.config_json = check_one(table, frontend.plugin, PM_KIND_FRONTEND,
                                     "frontend." + frontend.name, look_up, errors);
  });
}

std::multimap<std::string, std::string> instances_of(const HostConfig& config) {
  std::multimap<std::string, std::string> instances;
  instances.emplace(config.repository.plugin, "repository");
  for (const TierConfig& tier : config.tiers) instances.emplace(tier.plugin, tier.name);
  for (const FrontendConfig& each : config.frontends) instances.emplace(each.plugin, each.name);
  return instances;
}

}  // namespace pm
