#include "config/plugin_config.h"

#include <pm/frontend.h>
#include <pm/repository.h>
#include <pm/tier.h>

#include "config/schema.h"

namespace pm {
namespace {

using config::Errors;
using config::Value;

// `owner` is the table that holds `plugin` and `config`; returns the JSON for create().
std::string check_one(Value& owner, const std::string& plugin, const char* kind,
                      const std::string& prefix, const SchemaLookup& look_up, Errors& errors) {
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

}  // namespace

void check_plugin_configs(HostConfig& config, const SchemaLookup& look_up, Errors& errors) {
  config::Table& root = *config.document.table();
  config.repository.config_json = check_one(*root.find("repository"), config.repository.plugin,
                                            PM_KIND_REPOSITORY, "repository", look_up, errors);
  config::Array& tiers = *root.find("tier")->array();
  for (std::size_t i = 0; i < config.tiers.size(); ++i) {
    TierConfig& tier = config.tiers[i];
    tier.config_json =
        check_one(tiers[i], tier.plugin, PM_KIND_TIER, "tier." + tier.name, look_up, errors);
  }
  config::Array& frontends = *root.find("frontend")->array();
  for (std::size_t i = 0; i < config.frontends.size(); ++i) {
    FrontendConfig& frontend = config.frontends[i];
    frontend.config_json = check_one(frontends[i], frontend.plugin, PM_KIND_FRONTEND,
                                     "frontend." + frontend.name, look_up, errors);
  }
}

}  // namespace pm
