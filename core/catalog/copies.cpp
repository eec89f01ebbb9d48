#include <algorithm>
#include <utility>

#include "catalog.h"
#include "mutant.h"

// Copies of payloads, the indexes that payloads stand in, and copies on their way out.

namespace pm::catalog {

PackedCookie::PackedCookie(const Cookie& cookie) : length_(cookie.length) {
  if (cookie.length > inline_bytes) {
    long_ = std::make_unique<Cookie>(cookie);
  } else {
    std::copy_n(cookie.bytes.begin(), cookie.length, bytes_.begin());
  }
}

Cookie PackedCookie::unpack() const {
  if (long_ != nullptr) return *long_;
  Cookie cookie;
  cookie.length = length_;
  std::copy_n(bytes_.begin(), length_, cookie.bytes.begin());
  return cookie;
}

Copy* Catalog::find_copy(Payload& payload, std::uint64_t generation) {
  if (generation == 0) return nullptr;
  if (payload.first.generation == generation) return &payload.first;
  if (payload.more == nullptr) return nullptr;
  for (Copy& copy : *payload.more) {
    if (copy.generation == generation) return &copy;
  }
  return nullptr;
}

// The good one.
Copy* Catalog::find_copy_on(Payload& payload, TierIndex tier) {
  const auto fits = [tier](const Copy& copy) { return copy.tier == tier && !copy.bad; };
  if (payload.first.generation != 0 && fits(payload.first)) return &payload.first;
  if (payload.more == nullptr) return nullptr;
  for (Copy& copy : *payload.more) {
    if (fits(copy)) return &copy;
  }
  return nullptr;
}

const Copy* Catalog::fastest_besides(const Payload& payload, std::uint64_t generation) const {
  const Copy* best = nullptr;
  each_copy(payload, [&](const Copy& copy) {
    if (copy.generation == generation) return;
    if (copy.bad && !is_planted(Mutant::bad_copy_is_still_shown)) return;
    if (best == nullptr || tiers_[copy.tier].facts.rank < tiers_[best->tier].facts.rank) {
      best = &copy;
    }
  });
  return best;
}

// What a descriptor shows: the fastest.
const Copy* Catalog::shown(const Payload& payload) const { return fastest_besides(payload, 0); }

bool Catalog::survives_power(TierIndex tier) const {
  return (tiers_[tier].facts.traits & traits_survives_power) != 0;
}

void Catalog::add_copy(Payload& payload, Copy copy) {
  ++tiers_[copy.tier].copies;
  charge_owner(payload, copy.tier, charge(copy.tier, payload.size_bytes));
  if (payload.first.generation == 0) {
    payload.first = std::move(copy);
    return;
  }
  if (payload.more == nullptr) payload.more = std::make_unique<std::vector<Copy>>();
  payload.more->push_back(std::move(copy));
}

Object Catalog::object_of(const Payload& payload, const Copy& copy) const {
  return {copy.tier, payload.id, copy.generation, copy.cookie.unpack(), payload.size_bytes};
}

// The payload gives up a copy; who leases it keeps the bytes until the lease ends.
void Catalog::drop_copy(Slot slot, std::uint64_t generation) {
  take_lsn();
  Payload& payload = payloads_[slot];
  Copy* copy = find_copy(payload, generation);
  const Object object = object_of(payload, *copy);
  Keepers keepers{copy->leases, copy->checks, close(*copy)};
  payload.leases -= copy->leases;
  if (payload.operation != no_slot &&
      operations_[payload.operation].source_generation == generation) {
    ++keepers.holds;
  }
  leave_victims(slot);
  release_owner(payload, object.tier, charge(object.tier, object.length));
  if (copy->bad) --tiers_[copy->tier].bad_copies;
  if (copy == &payload.first) {
    payload.first = Copy{};
    if (payload.more != nullptr) {
      payload.first = std::move(payload.more->back());
      payload.more->pop_back();
    }
  } else {
    payload.more->erase(payload.more->begin() + (copy - payload.more->data()));
  }
  if (payload.more != nullptr && payload.more->empty()) payload.more.reset();
  if (survives_power(object.tier)) changes_->power = true;
  doom(object, keepers, 0);
  if (payload.phase != Phase::lost) relist(slot);
  join_victims(slot);
}

// Its room is free when the tier has removed it, and that is asked only after the record under
// way is durable.
void Catalog::doom(const Object& object, const Keepers& keepers, std::uint64_t not_before_ns) {
  const Slot slot = doomed_.add();
  Doomed& doomed = doomed_[slot];
  doomed.generation = object.generation;
  doomed.payload = object.payload;
  doomed.length = object.length;
  doomed.tier = object.tier;
  doomed.cookie = object.cookie;
  doomed.is_held = keepers.is_held;
  doomed.holds = keepers.holds + (keepers.is_held ? 1 : 0);
  if (!is_planted(Mutant::checked_copy_is_removed)) {
    doomed.checks = keepers.checks;
    doomed.holds += keepers.checks;
  }
  doomed.lsn = changes_->lsn;
  doomed.not_before_ns = not_before_ns;
  if (object.generation >> 40 < generation_ >> 40 && !is_planted(Mutant::quarantine_is_ignored)) {
    doomed.not_before_ns = std::max(not_before_ns, limits_.quarantine_until_ns);
  }
  doomed_by_generation_.insert(slot);
  tiers_[object.tier].leaving_bytes += charge(object.tier, object.length);
  remove_when_due(slot);
}

void Catalog::release_hold(std::uint64_t generation) {
  const Slot slot = doomed_by_generation_.find(generation);
  if (slot == no_slot) return;
  --doomed_[slot].holds;
  remove_when_due(slot);
}

void Catalog::remove_when_due(Slot slot) {
  Doomed& doomed = doomed_[slot];
  if (doomed.removing) return;
  if (doomed.holds > 0 && !is_planted(Mutant::removes_leased_copy)) return;
  if (doomed.not_before_ns > now_.mono_ns) {
    removal_due_.insert(doomed.not_before_ns, slot);
    doomed.removing = true;  // Comes back here by a Tick.
    return;
  }
  doomed.removing = true;
  changes_->effects.emplace_back(RemoveEffect{
      {doomed.tier, doomed.payload, doomed.generation, doomed.cookie, doomed.length}, doomed.lsn});
}

void Catalog::on(const Removed& report) {
  const Slot slot = doomed_by_generation_.find(report.generation);
  if (slot == no_slot) return;
  Doomed& doomed = doomed_[slot];
  constexpr std::int32_t not_found = 5;
  if (!report.outcome.ok() && report.outcome.code != not_found) {
    // The room cannot be given out while the bytes may still be there: asked again, ever later.
    constexpr std::uint64_t second_ns = 1'000'000'000;
    doomed.failures = std::min(doomed.failures + 1, 60u);
    doomed.not_before_ns = now_.mono_ns + doomed.failures * second_ns;
    removal_due_.insert(doomed.not_before_ns, slot);
    return;
  }
  const TierIndex tier = doomed.tier;
  const std::uint64_t bytes = charge(tier, doomed.length);
  doomed_by_generation_.remove(slot);
  doomed_.remove(slot);
  tiers_[tier].leaving_bytes -= bytes;
  --tiers_[tier].copies;
  give_back(tier, bytes);
}

// What is neither a copy nor being made, nor on its way out already, was left by a crash. Its
// writer may be alive: it goes after a grace period.
void Catalog::on(const Found& report) {
  const Object& object = report.object;
  if (object.generation >> 40 >= generation_ >> 40) return;
  if (is_planted(Mutant::orphan_is_kept)) return;
  if (doomed_by_generation_.find(object.generation) != no_slot) return;
  const Slot payload = payload_by_id_.find(object.payload);
  if (payload != no_slot && find_copy(payloads_[payload], object.generation) != nullptr) return;
  tiers_[object.tier].used_bytes += charge(object.tier, object.length);
  ++tiers_[object.tier].copies;
  doom(object, {}, now_.mono_ns + limits_.orphan_grace_ns);
}

// ---- indexes ----

// Puts the payload under the tier that it is shown on.
void Catalog::relist(Slot slot) {
  Payload& payload = payloads_[slot];
  const Copy* copy = shown(payload);
  const TierIndex tier = copy != nullptr ? copy->tier : no_tier;
  if (payload.listed == tier && tier != no_tier) return;
  if (payload.listed == no_tier) join_lists(slot);
  leave_tier_list(slot);
  if (tier == no_tier) {
    if (payload.phase == Phase::lost) lost_.insert(payload.order, slot);
    return;
  }
  enter_tier_list(slot, tier);
}

void Catalog::enter_tier_list(Slot slot, TierIndex tier) {
  Payload& payload = payloads_[slot];
  payload.listed = tier;
  tiers_[tier].listed.insert(payload.order, slot);
  tiers_[tier].listed_bytes += payload.size_bytes;
}

// For good, or before its size changes; relist() follows then.
void Catalog::unlist(Slot slot) {
  const Payload& payload = payloads_[slot];
  if (payload.listed != no_tier || payload.phase == Phase::lost) leave_lists(slot);
  leave_tier_list(slot);
}

void Catalog::leave_tier_list(Slot slot) {
  Payload& payload = payloads_[slot];
  leave_victims(slot);
  if (payload.listed == no_tier) return;
  tiers_[payload.listed].listed.remove(payload.order, slot);
  tiers_[payload.listed].listed_bytes -= payload.size_bytes;
  payload.listed = no_tier;
}

void Catalog::leave_victims(Slot slot) {
  const Payload& payload = payloads_[slot];
  if (!payload.victim) return;
  tiers_[payload.listed].victims.remove(payloads_, slot);
  scores_.remove(payload.listed, slot);
}

// Only payloads that may leave stand among the victims, so none of them blocks the others. Joining
// counts as a use.
void Catalog::join_victims(Slot slot) {
  const Payload& payload = payloads_[slot];
  if (payload.victim || payload.phase != Phase::committed || payload.listed == no_tier ||
      payload.leases != 0 || payload.operation != no_slot || payload.retention.no_evict ||
      payload.retention.priority == Priority::never ||
      (additions_of(slot).pinned && !is_planted(Mutant::evicts_pinned)) || is_watched(payload)) {
    return;
  }
  tiers_[payload.listed].victims.push_back(payloads_, slot);
  scores_.add(payload.listed, slot, payload.retention.priority, reads_.frequency(payload.history),
              payload.size_bytes);
}

// When its life ends by itself: 0 never. Nothing ends while the tier is at work on an allocation.
std::int64_t Catalog::due_wall_ns(const Payload& payload) const {
  if (payload.phase == Phase::allocating) return 0;
  if (payload.phase == Phase::allocated && payload.operation != no_slot) return 0;
  return payload.expires_at_ns - (payload.asks_retain ? retain_ahead_ns : 0);
}

// When it is given up unless it is committed; 0: by its time to live, if ever. Allocations die with
// the host, so this counts monotonic time: a writer's clock that is set must not end them.
std::uint64_t Catalog::give_up_mono_ns(Slot slot) const {
  const Payload& payload = payloads_[slot];
  if (payload.phase != Phase::allocated || payload.operation != no_slot) return 0;
  const auto found = give_up_ns_.find(slot);
  return found == give_up_ns_.end() ? 0 : found->second;
}

void Catalog::index_due(Slot slot) {
  Payload& payload = payloads_[slot];
  payload.asks_retain = policy_.asks_retain && payload.phase == Phase::committed &&
                        payload.expires_at_ns > now_.wall_ns + retain_ahead_ns;
  const std::int64_t due = due_wall_ns(payloads_[slot]);
  if (due != 0) payload_due_.insert(static_cast<std::uint64_t>(due), slot);
  if (const std::uint64_t end = give_up_mono_ns(slot)) give_up_due_.insert(end, slot);
}

void Catalog::unindex_due(Slot slot) {
  const std::int64_t due = due_wall_ns(payloads_[slot]);
  if (due != 0) payload_due_.remove(static_cast<std::uint64_t>(due), slot);
  if (const std::uint64_t end = give_up_mono_ns(slot)) give_up_due_.remove(end, slot);
}

// A writer that is still alive may write on: its block is kept a while longer.
void Catalog::give_up(Slot slot) {
  const bool waits = !is_planted(Mutant::given_up_copy_goes_at_once);
  erase(slot, waits ? now_.mono_ns + limits_.orphan_grace_ns : 0);
}

// The payload is gone at once; its copies go when nobody reads them any more.
void Catalog::erase(Slot slot, std::uint64_t not_before_ns, EventKind told) {
  Payload& payload = payloads_[slot];
  tell_end(told, slot);
  const bool is_recorded = payload.phase == Phase::committed || payload.phase == Phase::lost;
  if (is_recorded) last_erase_lsn_ = take_lsn();
  if (payload.phase == Phase::allocated) --uncommitted_count_;
  if (payload.operation != no_slot && operations_[payload.operation].stage != Stage::running) {
    // Who waits behind it is let in when the tiers have removed the copies.
    const Slot waiting = payload.operation;
    refuse_all(waiting, Reason::payload_not_found);
    end_operation(waiting);
  }
  if (is_recorded) {
    PayloadRecord record;
    record.id = payload.id;
    record.erased = true;
    record.additions = additions_of(slot);
    changes_->records.emplace_back(std::move(record));
  }
  unindex_due(slot);
  leave_session_of(slot);
  without_writer_.erase(slot);
  give_up_ns_.erase(slot);
  copy_to_.erase(slot);
  if (payload.phase == Phase::lost) lost_.remove(payload.order, slot);
  unlist(slot);
  std::uint64_t read = 0;
  if (payload.operation != no_slot) {
    Operation& operation = operations_[payload.operation];
    operation.payload = no_slot;
    read = operation.source_generation;
    release_owner(payload, operation.tier, operation.room_bytes);
    // Its source leaves with the other copies now, and is counted once.
    if (operation.leaving_bytes != 0 && !is_planted(Mutant::leaving_source_counts_twice)) {
      tiers_[operation.source_tier].leaving_bytes -= operation.leaving_bytes;
      operation.leaving_bytes = 0;
    }
  }
  change_copies(payload, [&](Copy& copy) {
    if (survives_power(copy.tier)) changes_->power = true;
    if (copy.bad) --tiers_[copy.tier].bad_copies;
    release_owner(payload, copy.tier, charge(copy.tier, payload.size_bytes));
    const std::uint32_t holds = copy.leases + (copy.generation == read ? 1 : 0);
    doom(object_of(payload, copy), {holds, copy.checks, close(copy)}, not_before_ns);
  });
  if (payload.has_extras) {
    unindex_pin(slot);
    if (additions_of(slot).pinned) --pinned_count_;
    drop_extras(slot);
  }
  leave_owner(slot);
  payload_by_id_.remove(slot);
  payloads_.remove(slot);
}

}  // namespace pm::catalog
