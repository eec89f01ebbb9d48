#include <algorithm>

#include "methods.h"
#include "payload/manager/admin/v1/inspect.pb.h"

// What this host is made of.

namespace pm::api {

namespace wire = payload::manager::admin::v1;
using catalog::Catalog;
using catalog::Clocks;

namespace {

void fill_traits(std::uint32_t traits, wire::TierInfo& row) {
  static constexpr struct {
    std::uint32_t bit;
    const char* name;
  } names[] = {{PM_TIER_KEEPS_BYTES, "keeps-bytes"},
               {PM_TIER_SURVIVES_PROCESS, "survives-process"},
               {PM_TIER_SURVIVES_POWER, "survives-power"},
               {PM_TIER_HOST_ADDRESSABLE, "host-addressable"},
               {PM_TIER_DEVICE_MEMORY, "device-memory"},
               {PM_TIER_REMOTE, "remote"},
               {PM_TIER_SHARES_DESCRIPTORS, "shares-descriptors"},
               {PM_TIER_PRESIGNS, "presigns"},
               {PM_TIER_PARALLEL_RANGES, "parallel-ranges"}};
  for (const auto& trait : names) {
    if ((traits & trait.bit) != 0) row.add_traits(trait.name);
  }
}

void fill_tier(const TierSetup& setup, const catalog::TierCounts& counts, wire::TierInfo& row) {
  pm_tier_info_t info{};
  info.size = sizeof info;
  setup.tier->get_info(setup.tier, &info);
  row.set_name(setup.name);
  row.set_number(setup.number);
  row.set_rank(setup.rank);
  row.set_plugin(setup.plugin);
  fill_traits(info.traits, row);
  row.set_bytes_capacity(info.capacity_bytes);
  row.set_bytes_charged(counts.charged_bytes);
  row.set_copies(counts.copies);
  row.set_payloads(counts.payloads);
  row.set_health(health_of(counts));
  if (!counts.failed) row.set_health_reason(counts.why);
  row.set_spill_to(setup.spill_to);
  row.set_copies_bad(counts.bad_copies);
  row.set_copies_found_bad(counts.bad_copies_found);
}

}  // namespace

void list_tiers(const Services& services, const Invocation& invocation) {
  wire::ListTiersRequest request;
  if (!parse(invocation, request)) return;
  const catalog::Counts counts =
      services.ledger.read([](const Catalog& catalog, const Clocks&) { return catalog.counts(); });
  wire::ListTiersResponse response;
  for (std::size_t index = 0; index < counts.tiers.size(); ++index) {
    fill_tier(services.tiers.all()[index], counts.tiers[index], *response.add_tiers());
  }
  std::stable_sort(response.mutable_tiers()->begin(), response.mutable_tiers()->end(),
                   [](const auto& one, const auto& other) { return one.rank() < other.rank(); });
  reply_message(invocation, response);
}

void list_plugins(const Services& services, const Invocation& invocation) {
  wire::ListPluginsRequest request;
  if (!parse(invocation, request)) return;
  wire::ListPluginsResponse response;
  for (const PluginFacts& plugin : services.host.plugins) {
    wire::PluginInfo& row = *response.add_plugins();
    row.set_id(plugin.id);
    row.set_name(plugin.name);
    row.set_version(plugin.version);
    row.set_kind(plugin.kind);
    row.set_path(plugin.path);
    for (const std::string& instance : plugin.instances) row.add_instances(instance);
  }
  reply_message(invocation, response);
}

void get_config(const Services& services, const Invocation& invocation) {
  wire::GetConfigRequest request;
  if (!parse(invocation, request)) return;
  wire::GetConfigResponse response;
  if (services.host.config_toml) response.set_toml(services.host.config_toml());
  response.set_path(services.host.config_path);
  reply_message(invocation, response);
}

}  // namespace pm::api
