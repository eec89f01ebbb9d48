#include "catalog_facts.h"

#include <algorithm>

namespace pm::policy {

namespace {

constexpr std::uint64_t ms_ns = 1'000'000;

std::uint64_t ms_between(std::int64_t from_ns, std::int64_t to_ns) {
  return to_ns > from_ns ? static_cast<std::uint64_t>(to_ns - from_ns) / ms_ns : 0;
}

}  // namespace

TierFacts tier_facts(const std::string& name, std::uint32_t number,
                     const catalog::TierFacts& facts) {
  TierFacts tier;
  tier.name = name;
  tier.number = number;
  tier.rank = facts.rank;
  tier.keeps_bytes = (facts.traits & catalog::traits_keeps_bytes) != 0;
  tier.survives_process = (facts.traits & catalog::traits_survives_process) != 0;
  tier.survives_power = (facts.traits & catalog::traits_survives_power) != 0;
  tier.spill_to = facts.spill_to;
  tier.capacity_bytes = facts.capacity_bytes;
  return tier;
}

void set_loads(const std::vector<catalog::TierLoad>& loads, std::vector<TierFacts>& tiers) {
  for (std::size_t index = 0; index < tiers.size(); ++index) {
    tiers[index].used_bytes = loads[index].used_bytes;
    tiers[index].leaving_bytes = loads[index].leaving_bytes;
    tiers[index].waiting_bytes = loads[index].waiting_bytes;
    tiers[index].in_service = loads[index].in_service;
  }
}

PayloadFacts payload_facts(const catalog::Candidate& candidate, const catalog::Clocks& now) {
  PayloadFacts payload;
  payload.id = to_text(candidate.id);
  payload.size_bytes = candidate.size_bytes;
  payload.age_ms = ms_between(candidate.created_at_ns, now.wall_ns);
  if (candidate.expires_at_ns != 0) {
    payload.expires_in_ms = ms_between(now.wall_ns, candidate.expires_at_ns);
  }
  payload.labels = candidate.labels;
  payload.retention = candidate.retention;
  payload.tiers = candidate.tiers;
  payload.leases = candidate.leases;
  payload.pinned = candidate.pinned;
  payload.reads = candidate.reads;
  payload.unread_ms = candidate.unread_ns / ms_ns;
  payload.frequency = candidate.frequency;
  return payload;
}

PayloadFacts payload_facts(const catalog::Allocate& command) {
  PayloadFacts payload;
  payload.size_bytes = command.size_bytes;
  if (command.ttl_ns != 0) payload.expires_in_ms = command.ttl_ns / ms_ns;
  payload.labels = command.labels;
  payload.retention = command.retention;
  return payload;
}

bool can_take(const TierFacts& tier, std::uint64_t bytes) {
  return tier.keeps_bytes && tier.in_service && bytes <= tier.capacity_bytes;
}

TierIndex next_faster(const std::vector<TierFacts>& tiers, TierIndex tier, std::uint64_t bytes) {
  TierIndex best = no_tier;
  for (std::size_t index = 0; index < tiers.size(); ++index) {
    if (tiers[index].rank >= tiers[tier].rank || !can_take(tiers[index], bytes)) continue;
    if (best != no_tier && tiers[index].rank <= tiers[best].rank) continue;
    best = static_cast<TierIndex>(index);
  }
  return best;
}

}  // namespace pm::policy
