#include <algorithm>
#include <utility>

#include "catalog.h"

// Leases. A lease holds one copy; others may be made or dropped.

namespace pm::catalog {

// The payload, unless its time to live has ended and only the Tick has not come yet.
Slot Catalog::find_live(const Id& id, const Clocks& now) const {
  const Slot slot = payload_by_id_.find(id);
  if (slot == no_slot) return no_slot;
  const Payload& payload = payloads_[slot];
  const bool ended = payload.expires_at_ns != 0 && payload.expires_at_ns <= now.wall_ns;
  return ended && payload.operation == no_slot ? no_slot : slot;
}

void Catalog::on(const AcquireLease& command) {
  Waiter waiter{.ticket = command.ticket,
                .wants_lease = true,
                .lease = command.lease,
                .lease_duration_ns = command.duration_ns};
  if (is_repeat(command.request, command.ticket, waiter.request)) return;
  const Slot slot = find_live(command.id, now_);
  if (slot == no_slot || payloads_[slot].phase == Phase::allocating) {
    return refuse(waiter, Reason::payload_not_found);
  }
  const Payload& payload = payloads_[slot];
  if (payload.phase == Phase::lost) return refuse(waiter, Reason::payload_lost);
  if (payload.phase != Phase::committed) return refuse(waiter, Reason::payload_not_committed);
  if (command.min_tier != no_tier) {
    if (command.min_tier >= tiers_.size()) return refuse(waiter, Reason::tier_unknown);
    const TierIndex current = shown(payload)->tier;
    if (tiers_[current].facts.rank > tiers_[command.min_tier].facts.rank) {
      if (command.best_effort) return refuse(waiter, Reason::min_tier_not_met);
      Promote up;
      up.tier = command.min_tier;
      up.layout = command.layout;
      up.owner_uid = command.owner_uid;
      up.deadline_ns = command.deadline_ns;
      return promote(slot, up, waiter);
    }
  }
  grant_lease(slot, waiter);
}

void Catalog::grant_lease(Slot slot, const Waiter& waiter) {
  Payload& payload = payloads_[slot];
  const std::uint64_t asked =
      waiter.lease_duration_ns != 0 ? waiter.lease_duration_ns : limits_.lease_default_ns;
  const std::uint64_t duration = std::min(asked, limits_.lease_max_ns);
  Copy& copy = *find_copy(payload, shown(payload)->generation);
  leave_victims(slot);
  const Slot lease_slot = leases_.add();
  Lease& lease = leases_[lease_slot];
  lease.id = waiter.lease;
  lease.generation = copy.generation;
  lease.expires_ns = now_.mono_ns + duration;
  lease.payload = slot;
  lease_by_id_.insert(lease_slot);
  lease_due_.insert(lease.expires_ns, lease_slot);
  ++copy.leases;
  ++payload.leases;

  Reply reply;
  reply.has_view = true;
  reply.view = view_of(slot);
  reply.lease = lease.id;
  reply.lease_duration_ns = duration;
  reply.lease_expires_at_ns = now_.wall_ns + static_cast<std::int64_t>(duration);
  reply.lsn = payload.lsn;
  answer(waiter, std::move(reply));
}

// OK also for a lease that is unknown or has ended.
void Catalog::on(const ReleaseLease& command) {
  const Slot slot = lease_by_id_.find(command.lease);
  if (slot != no_slot) end_lease(slot);
  Reply reply;
  answer({.ticket = command.ticket}, std::move(reply));
}

void Catalog::end_lease(Slot slot) {
  const Lease lease = leases_[slot];
  lease_due_.remove(lease.expires_ns, slot);
  lease_by_id_.remove(slot);
  leases_.remove(slot);
  if (doomed_by_generation_.find(lease.generation) != no_slot) {
    return release_hold(lease.generation);
  }
  Payload& payload = payloads_[lease.payload];
  --find_copy(payload, lease.generation)->leases;
  if (--payload.leases > 0) return;
  if (payload.operation != no_slot &&
      operations_[payload.operation].stage == Stage::waiting_for_leases) {
    const Slot move = payload.operation;
    operation_due_.remove(operations_[move].deadline_ns, move);
    --waiting_count_;
    operations_[move].stage = Stage::running;
    return go_down(move);
  }
  join_victims(lease.payload);
  // Its tier may have looked in vain for somebody who can leave.
  if (payload.listed != no_tier && !tiers_[payload.listed].waiting.empty()) {
    pump(payload.listed);
  }
}

}  // namespace pm::catalog
