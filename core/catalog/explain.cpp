#include "explain.h"

#include <algorithm>

#include "catalog.h"

// Why a payload is where it is.

namespace pm::catalog {

std::int64_t Catalog::leases_end_at_ns(const Copy& copy, const Clocks& now) const {
  constexpr std::uint32_t leases_max = 256;
  if (copy.leases == 0 || copy.leases > leases_max) return 0;
  std::uint64_t last = now.mono_ns;
  OrderedIndex::Entry after{copy.generation, no_slot};
  while (const auto entry = lease_by_generation_.after(after)) {
    if (entry->key != copy.generation) break;
    last = std::max(last, leases_[entry->slot].expires_ns);
    after = *entry;
  }
  return now.wall_ns + static_cast<std::int64_t>(last - now.mono_ns);
}

Reason Catalog::explain(const Id& id, const Clocks& now, Explanation& explanation,
                        std::uint64_t& lsn) const {
  const Slot slot = find_live(id, now);
  if (slot == no_slot || payloads_[slot].phase == Phase::allocating) {
    lsn = std::max(lsn, last_erase_lsn_);
    return Reason::payload_not_found;
  }
  const Payload& payload = payloads_[slot];
  lsn = std::max(lsn, payload.lsn);
  explanation.view = view_of(slot);
  explanation.lease_max_ns = limits_.lease_max_ns;
  explanation.among_victims = payload.victim;
  const Copy* const shown_copy = shown(payload);
  each_copy(payload, [&](const Copy& copy) {
    const bool sealed = payload.phase == Phase::committed;
    explanation.copies.push_back(
        {copy.tier, copy.generation, copy.leases, sealed && survives_power(copy.tier) && !copy.bad,
         &copy == shown_copy, tiers_[copy.tier].failed, copy.bad, leases_end_at_ns(copy, now)});
  });
  if (payload.phase == Phase::allocated) {
    const std::uint64_t ends = give_up_mono_ns(slot);
    const auto left = static_cast<std::int64_t>(ends - std::min(ends, now.mono_ns));
    explanation.given_up_at_ns = ends != 0 ? now.wall_ns + left : due_wall_ns(payload);
  }
  if (payload.phase == Phase::committed) {
    explanation.plan = plan_eviction(payload, *shown_copy);
  }
  if (payload.operation == no_slot) return Reason::none;
  const Operation& operation = operations_[payload.operation];
  const bool moving = operation.action == Action::move;
  explanation.doing = moving ? Explanation::Doing::moving : Explanation::Doing::sealing;
  if (operation.stage == Stage::waiting_for_leases) {
    explanation.waits = Explanation::Waits::for_leases;
  }
  if (operation.stage == Stage::waiting_for_room) {
    explanation.waits = Explanation::Waits::for_room;
  }
  explanation.target = operation.tier;
  explanation.eviction = operation.eviction;
  explanation.callers = static_cast<std::uint32_t>(operation.waiters.size());
  return Reason::none;
}

}  // namespace pm::catalog
