#include <algorithm>
#include <utility>

#include "catalog.h"
#include "mutant.h"

// Leases. A lease holds one copy; others may be made or dropped.

namespace pm::catalog {

// The payload, unless its time to live has ended and only the Tick has not come yet.
Slot Catalog::find_live(const Id& id, const Clocks& now) const {
  const Slot slot = payload_by_id_.find(id);
  if (slot == no_slot) return no_slot;
  const Payload& payload = payloads_[slot];
  if (is_planted(Mutant::expired_is_live)) return slot;
  return payload.expires_at_ns != 0 && payload.expires_at_ns <= now.wall_ns ? no_slot : slot;
}

void Catalog::on(const AcquireLease& command) {
  Waiter waiter{.ticket = command.ticket,
                .wants_lease = true,
                .lease = command.lease,
                .lease_duration_ns = command.duration_ns,
                .range_offset_bytes = command.range_offset_bytes,
                .range_length_bytes = command.range_length_bytes,
                .holder = command.holder,
                .session = command.session};
  if (is_repeat(command.request, command.ticket, waiter.request)) return;
  const Slot slot = find_live(command.id, now_);
  if (slot == no_slot || payloads_[slot].phase == Phase::allocating) {
    return refuse(waiter, Reason::payload_not_found);
  }
  const Payload& payload = payloads_[slot];
  if (payload.phase == Phase::lost) return refuse_for(slot, waiter, Reason::payload_lost);
  if (payload.phase != Phase::committed) return refuse(waiter, Reason::payload_not_committed);
  const std::uint64_t rest = payload.size_bytes - command.range_offset_bytes;
  if (command.range_offset_bytes >= payload.size_bytes || command.range_length_bytes > rest) {
    return refuse(waiter, Reason::range_outside_payload);
  }
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

std::uint64_t Catalog::lease_duration(std::uint64_t asked_ns) const {
  return std::min(asked_ns != 0 ? asked_ns : limits_.lease_default_ns, limits_.lease_max_ns);
}

void Catalog::grant_lease(Slot slot, const Waiter& waiter) {
  Payload& payload = payloads_[slot];
  const std::uint64_t duration = lease_duration(waiter.lease_duration_ns);
  Copy& copy = *find_copy(payload, shown(payload)->generation);
  leave_victims(slot);
  reads_.note_read(payload.history, payloads_.size(), now_.mono_ns);
  const Slot lease_slot = leases_.add();
  Lease& lease = leases_[lease_slot];
  lease.id = waiter.lease;
  lease.generation = copy.generation;
  lease.expires_ns = now_.mono_ns + duration;
  lease.payload = slot;
  lease_by_id_.insert(lease_slot);
  lease_due_.insert(lease.expires_ns, lease_slot);
  lease_by_generation_.insert(lease.generation, lease_slot);
  if (!waiter.holder.empty()) {
    lease.holder = take_holder(waiter.holder);
    lease_by_holder_.insert(lease.holder, lease_slot);
  }
  if (waiter.session != 0) {
    lease.session = take_session(waiter.session);
    lease_by_session_.insert(lease.session, lease_slot);
  }
  ++copy.leases;
  ++payload.leases;
  offer(slot, copy.generation);
  tell(EventKind::leased, Cause::request, slot, no_tier);

  Reply reply;
  reply.has_view = true;
  reply.view = view_of(slot);
  reply.lease = lease.id;
  reply.lease_duration_ns = duration;
  reply.lease_expires_at_ns = now_.wall_ns + static_cast<std::int64_t>(duration);
  reply.range_offset_bytes = waiter.range_offset_bytes;
  reply.range_length_bytes = waiter.range_length_bytes;
  reply.lsn = payload.lsn;
  answer(waiter, std::move(reply));
}

// A lease whose copy is bad, or on its way out, keeps the bytes until its time, and no longer.
void Catalog::on(const RenewLease& command) {
  const Waiter waiter{.ticket = command.ticket};
  const Slot slot = lease_by_id_.find(command.lease);
  if (slot == no_slot || leases_[slot].expires_ns <= now_.mono_ns) {
    return refuse(waiter, Reason::lease_not_found);
  }
  if (const Slot doomed = doomed_by_generation_.find(leases_[slot].generation); doomed != no_slot) {
    Reply refusal;
    refusal.reason = Reason::lease_not_found;
    refusal.lsn = doomed_[doomed].lsn;
    return answer(waiter, std::move(refusal));
  }
  Lease& lease = leases_[slot];
  if (find_copy(payloads_[lease.payload], lease.generation)->bad) {
    return refuse_for(lease.payload, waiter, Reason::lease_not_found);
  }
  const std::uint64_t ends = now_.mono_ns + lease_duration(command.duration_ns);
  if (ends > lease.expires_ns || is_planted(Mutant::renewal_shortens_lease)) {
    lease_due_.remove(lease.expires_ns, slot);
    lease.expires_ns = ends;
    lease_due_.insert(ends, slot);
  }
  Reply reply;
  reply.lease = lease.id;
  reply.lease_duration_ns = lease.expires_ns - now_.mono_ns;
  reply.lease_expires_at_ns = now_.wall_ns + static_cast<std::int64_t>(reply.lease_duration_ns);
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
  lease_by_generation_.remove(lease.generation, slot);
  if (lease.holder != no_slot) {
    lease_by_holder_.remove(lease.holder, slot);
    leave_holder(lease.holder);
  }
  if (lease.session != no_slot) {
    lease_by_session_.remove(lease.session, slot);
    leave_session(lease.session);
  }
  leases_.remove(slot);
  if (doomed_by_generation_.find(lease.generation) != no_slot) {
    return release_hold(lease.generation);
  }
  Payload& payload = payloads_[lease.payload];
  --find_copy(payload, lease.generation)->leases;
  if (--payload.leases == 0) readers_left(lease.payload);
}

// Its last lease has ended, or a hold that somebody waited for.
void Catalog::readers_left(Slot slot) {
  const Payload& payload = payloads_[slot];
  if (payload.operation != no_slot &&
      operations_[payload.operation].stage == Stage::waiting_for_leases) {
    if (has_readers(slot)) return watch_holds(slot);
    const Slot move = payload.operation;
    operation_due_.remove(operations_[move].deadline_ns, move);
    --waiting_count_;
    operations_[move].stage = Stage::running;
    return go_down(move);
  }
  join_victims(slot);
  look_again(payload.listed);
}

// ---- who has them ----

Slot Catalog::take_holder(const std::string& name) {
  Slot slot = holder_by_name_.find(std::string_view(name));
  if (slot == no_slot) {
    slot = holders_.add();
    holders_[slot].name = name;
    holder_by_name_.insert(slot);
  }
  ++holders_[slot].leases;
  return slot;
}

void Catalog::leave_holder(Slot slot) {
  if (--holders_[slot].leases > 0) return;
  holder_by_name_.remove(slot);
  holders_.remove(slot);
}

LeaseView Catalog::lease_view(const Lease& lease, TierIndex tier, const Clocks& now) const {
  LeaseView view;
  view.id = lease.id;
  view.tier = tier;
  if (lease.holder != no_slot) view.holder = holders_[lease.holder].name;
  const std::uint64_t left = lease.expires_ns - std::min(lease.expires_ns, now.mono_ns);
  view.expires_at_ns = now.wall_ns + static_cast<std::int64_t>(left);
  return view;
}

void Catalog::list_leases(const Id& id, std::uint32_t count, OrderedIndex::Entry& after,
                          const Clocks& now, std::vector<LeaseView>& leases) const {
  const Slot slot = find_live(id, now);
  if (slot == no_slot) return;
  std::vector<std::pair<std::uint64_t, TierIndex>> copies;
  each_copy(payloads_[slot],
            [&](const Copy& copy) { copies.emplace_back(copy.generation, copy.tier); });
  std::sort(copies.begin(), copies.end());
  for (const auto& [generation, tier] : copies) {
    if (leases.size() >= count) return;
    if (generation < after.key) continue;
    if (generation > after.key) after = {generation, no_slot};
    while (const auto entry = lease_by_generation_.after(after)) {
      if (entry->key != generation || leases.size() >= count) break;
      after = *entry;
      leases.push_back(lease_view(leases_[entry->slot], tier, now));
      leases.back().payload = id;
    }
  }
}

void Catalog::list_leases(const std::string& name, std::uint32_t count, OrderedIndex::Entry& after,
                          const Clocks& now, std::vector<LeaseView>& leases) const {
  const Slot holder = holder_by_name_.find(std::string_view(name));
  if (holder == no_slot) return;
  after.key = holder;
  while (const auto entry = lease_by_holder_.after(after)) {
    if (entry->key != holder || leases.size() >= count) return;
    after = *entry;
    const Lease& lease = leases_[entry->slot];
    const Slot doomed = doomed_by_generation_.find(lease.generation);
    if (doomed != no_slot) {
      leases.push_back(lease_view(lease, doomed_[doomed].tier, now));
      leases.back().payload = doomed_[doomed].payload;
      continue;
    }
    TierIndex tier = no_tier;
    each_copy(payloads_[lease.payload], [&](const Copy& copy) {
      if (copy.generation == lease.generation) tier = copy.tier;
    });
    leases.push_back(lease_view(lease, tier, now));
    leases.back().payload = payloads_[lease.payload].id;
  }
}

}  // namespace pm::catalog
