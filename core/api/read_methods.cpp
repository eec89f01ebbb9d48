#include "ids.h"
#include "methods.h"
#include "payload/manager/admin/v1/stats.pb.h"
#include "payload/manager/runtime/v1/lease.pb.h"
#include "policy_desk.h"

// Reads: they go out when what they show is durable.

namespace pm::api {

namespace core = payload::manager::core::v1;
using catalog::Catalog;
using catalog::Clocks;

void resolve_snapshot(const Services& services, const Invocation& invocation) {
  payload::manager::runtime::v1::ResolveSnapshotRequest request;
  catalog::Id id;
  if (!parse(invocation, request)) return;
  if (!read_payload_id(invocation, request.id().value(), id)) return;
  catalog::View view;
  std::uint64_t lsn = 0;
  const catalog::Reason reason =
      services.ledger.read([&](const Catalog& catalog, const Clocks& now) {
        return catalog.resolve(id, now, view, lsn);
      });
  services.ledger.when_durable(lsn, [invocation = kept(invocation), id, view, reason,
                                     &tiers = services.tiers](bool durable) {
    ErrorFacts facts{{"payload", to_text(id)}};
    if (view.bad_tier != catalog::no_tier) facts.emplace_back("tier", tiers.name(view.bad_tier));
    if (!durable) return reply_error(invocation, catalog::Reason::shutting_down, facts);
    if (reason != catalog::Reason::none) return reply_error(invocation, reason, facts);
    payload::manager::runtime::v1::ResolveSnapshotResponse response;
    const Status status = tiers.describe(view, *response.mutable_payload_descriptor());
    if (!status.ok()) return reply_error(invocation, status, facts);
    reply_message(invocation, response);
  });
}

// ---- stats ----

namespace {

void fill(const policy::ServiceStates& policies,
          payload::manager::admin::v1::StatsResponse& response) {
  response.set_policy_rules(policies.rules.size());
  std::uint64_t failures = 0;
  for (const policy::RuleState& rule : policies.rules) {
    failures += rule.counts.failed;
    if (!rule.is_suspended) continue;
    response.add_policy_suspended(std::string(policy::hook_name(rule.hook)) + " " + rule.name +
                                  " (" + rule.where + ")");
  }
  response.set_policy_rules_suspended(static_cast<std::uint64_t>(response.policy_suspended_size()));
  response.set_policy_failures(failures);
}

}  // namespace

void stats(const Services& services, const Invocation& invocation) {
  payload::manager::admin::v1::StatsRequest request;
  if (!parse(invocation, request)) return;
  const catalog::Counts counts =
      services.ledger.read([](const Catalog& catalog, const Clocks&) { return catalog.counts(); });
  payload::manager::admin::v1::StatsResponse response;
  for (std::size_t index = 0; index < counts.tiers.size(); ++index) {
    const catalog::TierCounts& tier = counts.tiers[index];
    const TierSetup& setup = services.tiers.all()[index];
    switch (setup.number) {
      case core::TIER_GPU:
        response.set_payloads_gpu(tier.payloads);
        response.set_bytes_gpu(tier.payload_bytes);
        break;
      case core::TIER_RAM:
        response.set_payloads_ram(tier.payloads);
        response.set_bytes_ram(tier.payload_bytes);
        break;
      case core::TIER_DISK:
        response.set_payloads_disk(tier.payloads);
        response.set_bytes_disk(tier.payload_bytes);
        break;
      case core::TIER_OBJECT:
        response.set_payloads_object(tier.payloads);
        response.set_bytes_object(tier.payload_bytes);
        break;
      default:
        response.set_payloads_other(response.payloads_other() + tier.payloads);
        response.set_bytes_other(response.bytes_other() + tier.payload_bytes);
    }
    pm_tier_info_t info{};
    info.size = sizeof info;
    setup.tier->get_info(setup.tier, &info);
    auto& row = *response.add_tiers();
    row.set_name(setup.name);
    row.set_number(setup.number);
    row.set_bytes_charged(tier.charged_bytes);
    row.set_bytes_capacity(info.capacity_bytes);
    row.set_copies(tier.copies);
    row.set_health(health_of(tier));
  }
  response.set_payloads_lost(counts.lost);
  response.set_leases_active(counts.leases);
  response.set_payloads_pinned(counts.pinned);
  response.set_streams(counts.streams);
  response.set_payloads_uncommitted(counts.uncommitted);
  fill(services.policies.states(), response);
  reply_message(invocation, response);
}

}  // namespace pm::api
