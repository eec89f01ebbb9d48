#include <algorithm>
#include <utility>

#include "catalog.h"
#include "mutant.h"

// Room: who is let in, who leaves for it, and who waits. Capacity counts every copy, also those
// being made or removed, so it is never exceeded.

namespace pm::catalog {

namespace {

// Looked at when a tier is asked for room, at most; the rest is looked at when room has come.
constexpr int victims_max = 256;
// Victims that could not be moved, in a row, before those who wait are told that there is no room.
constexpr std::uint32_t evictions_failed_max = 8;
// Moves under way ahead of need. More would only wait for the tier below, and keep the room there.
constexpr std::uint32_t evictions_ahead_max = 64;
// After a look in vain for somebody who can leave ahead of need, or one who could not after all;
// twice as long each time, up to 64 times.
constexpr std::uint64_t relief_pause_ns = 1'000'000'000;
constexpr std::uint32_t relief_doublings_max = 6;

}  // namespace

std::uint64_t Catalog::charge(TierIndex tier, std::uint64_t length) const {
  const std::uint64_t granularity = tiers_[tier].facts.granularity_bytes;
  return (length + granularity - 1) / granularity * granularity;
}

// There is room for `length` that nobody waits for.
bool Catalog::has_free_room(TierIndex index, std::uint64_t length) const {
  const Tier& tier = tiers_[index];
  const std::uint64_t bytes = charge(index, length);
  return tier.waiting.empty() && bytes <= tier.facts.capacity_bytes &&
         tier.used_bytes <= tier.facts.capacity_bytes - bytes;
}

// Takes the operation's room and runs it, or lets it wait; else says why there will be no room.
Reason Catalog::admit(Slot slot) {
  const Operation& operation = operations_[slot];
  Tier& tier = tiers_[operation.tier];
  const std::uint64_t bytes = operation.room_bytes;
  if (bytes > tier.facts.capacity_bytes) return Reason::tier_full;
  const std::uint64_t surplus =
      is_planted(Mutant::lets_in_one_block_too_many) ? tier.facts.granularity_bytes : 0;
  if (tier.waiting.empty() && tier.used_bytes + bytes <= tier.facts.capacity_bytes + surplus) {
    tier.used_bytes += bytes;
    const TierIndex index = operation.tier;
    run(slot);
    relieve(index);
    return Reason::none;
  }
  if (waiting_count_ >= limits_.waiters_max) return Reason::waiters_full;
  if (make_room(operation.tier, tier.waiting_bytes + bytes) == Room::never) {
    return Reason::tier_full;
  }
  enqueue(slot, Place::behind_all);
  pump(operation.tier);
  return Reason::none;
}

// The operation waits for room: behind all others, or in front of all that were not put there.
void Catalog::enqueue(Slot slot, Place place) {
  Operation& operation = operations_[slot];
  Tier& tier = tiers_[operation.tier];
  operation.stage = Stage::waiting_for_room;
  constexpr std::uint64_t behind = 1ULL << 63;
  operation.queue_number = ++queue_number_ | (place == Place::behind_all ? behind : 0);
  if (operation.deadline_ns == 0) operation.deadline_ns = now_.mono_ns + limits_.wait_max_ns;
  // An eviction is given up after those for whom it was begun: else it would begin anew for them.
  if (operation.eviction) operation.deadline_ns += 1 + waiting_count_;
  operation_due_.insert(operation.deadline_ns, slot);
  tier.waiting.emplace(operation.queue_number, slot);
  tier.waiting_bytes += operation.room_bytes;
  ++waiting_count_;
}

// An operation that waits will not run: its callers are told why.
void Catalog::abandon(Slot slot, Reason reason) {
  const Operation& operation = operations_[slot];
  const Slot payload = operation.payload;
  const bool allocation = operation.action == Action::allocate;
  if (operation.action == Action::move) {
    tell_refused(cause_of(operation), payload, operation.tier, reason);
  }
  const TierIndex tier = operation.tier;
  const TierIndex source = operation.source_tier;
  // Else the same victim would be sent to the same full tier again, and for ever.
  if (operation.eviction) note_failed_eviction(source);
  refuse_all(slot, reason);
  end_operation(slot);
  if (allocation) erase(payload, 0);
  pump(tier);
  if (source != no_tier) pump(source);
}

void Catalog::note_failed_eviction(TierIndex index) {
  // Of those who wait nobody is told that there is no room because of what failed ahead of need.
  if (!tiers_[index].waiting.empty()) ++tiers_[index].evictions_failed;
  pause_relief(tiers_[index]);
}

// Sees to it that `bytes` will fit once everything that is leaving has left.
Catalog::Room Catalog::make_room(TierIndex index, std::uint64_t bytes) {
  Tier& tier = tiers_[index];
  const auto missing = [&] { return staying_bytes(index) + bytes > tier.facts.capacity_bytes; };
  if (!missing()) return Room::coming;
  if (policy_.asks_spill && !tier.decides_itself) return ask_for_room(index);
  const NobodysWish wish(rule_);
  int count = 0;
  Slot victim = tier.victims.first();
  for (; victim != no_slot && count < victims_max && missing(); ++count) {
    // Victims only ever go down, so no other one of this tier leaves with it.
    const Slot next = tier.victims.after(payloads_, victim);
    evict(victim, index);
    victim = next;
  }
  if (!missing()) return Room::coming;
  return count == victims_max ? Room::perhaps : Room::never;
}

bool Catalog::is_slower(TierIndex tier, TierIndex than) const {
  return tiers_[tier].facts.rank > tiers_[than].facts.rank;
}

// The fastest other copy that the payload may be left with; NULL: there is none.
const Copy* Catalog::other_home(const Payload& payload, const Copy& copy) const {
  const Copy* best = nullptr;
  each_copy(payload, [&](const Copy& other) {
    if (other.generation == copy.generation || other.bad) return;
    if (spill_obstacle(payload, other.tier) != Reason::none) return;
    if (best == nullptr || is_slower(best->tier, other.tier)) best = &other;
  });
  return best;
}

// The built-in rule for a payload that must leave: drop the copy when another will do, else to
// where the payload or its tier says.
EvictionPlan Catalog::plan_eviction(const Payload& payload, const Copy& copy) const {
  if (const Copy* rest = other_home(payload, copy)) {
    return {EvictionPlan::Kind::drops_copy, rest->tier, Reason::none};
  }
  TierIndex target = payload.retention.spill_target;
  if (target == no_tier || !is_slower(target, copy.tier)) target = tiers_[copy.tier].facts.spill_to;
  // Only ever downwards: what points in a circle would make room where it takes some.
  if (target == no_tier || !is_slower(target, copy.tier)) return {};
  target = in_service(target);
  const Reason why = spill_obstacle(payload, target);
  if (why != Reason::none) return {EvictionPlan::Kind::stays, target, why};
  const bool kept = (tiers_[target].facts.traits & traits_keeps_bytes) != 0;
  return {kept ? EvictionPlan::Kind::moves : EvictionPlan::Kind::is_deleted, target, Reason::none};
}

// The same for a payload that somebody chose to leave for `target`. A tier that keeps no bytes is
// taken at its word.
EvictionPlan Catalog::plan_choice(const Payload& payload, const Copy& copy,
                                  TierIndex target) const {
  if (target == no_tier) return plan_eviction(payload, copy);
  if (target >= tiers_.size() || !is_slower(target, copy.tier)) return {};
  const Reason why = spill_obstacle(payload, target);
  if (why != Reason::none) return {EvictionPlan::Kind::stays, target, why};
  bool is_there = false;
  each_copy(payload, [&](const Copy& other) {
    is_there = is_there || (other.tier == target && !other.bad);
  });
  if (is_there) return {EvictionPlan::Kind::drops_copy, target, Reason::none};
  const bool kept = (tiers_[target].facts.traits & traits_keeps_bytes) != 0;
  return {kept ? EvictionPlan::Kind::moves : EvictionPlan::Kind::is_deleted, target, Reason::none};
}

// False: the payload cannot leave now.
bool Catalog::evict(Slot slot, TierIndex tier, TierIndex chosen) {
  Payload& payload = payloads_[slot];
  const Copy* copy = find_copy_on(payload, tier);
  if (copy == nullptr) return false;
  const EvictionPlan plan = plan_choice(payload, *copy, chosen);
  if (plan.kind == EvictionPlan::Kind::stays) return false;
  if (has_readers(slot)) {
    watch_holds(slot);
    return false;
  }
  if (plan.kind == EvictionPlan::Kind::drops_copy) return drop_for_room(slot, copy->generation);
  const TierIndex target = plan.target;
  if (plan.kind == EvictionPlan::Kind::is_deleted) {
    scores_.note_victim(tier, slot);
    erase(slot, 0, EventKind::evicted);
    return true;
  }
  const std::uint64_t bytes = charge(target, payload.size_bytes);
  Tier& below = tiers_[target];
  const bool fits = below.waiting.empty() && below.used_bytes + bytes <= below.facts.capacity_bytes;
  if (!fits) {
    // The tier below makes room first, and the victim waits for it there. It is a slower one, so
    // this ends with the slowest.
    if (waiting_count_ >= limits_.waiters_max ||
        make_room(target, below.waiting_bytes + bytes) == Room::never) {
      return false;
    }
  }
  scores_.note_victim(tier, slot);
  const Slot move = start_move(slot, target, true);
  operations_[move].eviction = true;
  ++tiers_[tier].evictions;
  if (!fits) {
    enqueue(move, Place::behind_all);
    return true;
  }
  below.used_bytes += bytes;
  run(move);
  relieve(target);
  return true;
}

bool Catalog::drop_for_room(Slot slot, std::uint64_t generation) {
  Payload& payload = payloads_[slot];
  const TierIndex from = payload.listed;
  scores_.note_victim(from, slot);
  drop_copy(slot, generation);
  ++payload.revision;
  record_payload(slot);
  tell(EventKind::evicted, Cause::room, slot, from);
  return true;
}

// ---- ahead of need ----

// Of what is taken, that which nobody has begun to give up.
std::uint64_t Catalog::staying_bytes(TierIndex index) const {
  const Tier& tier = tiers_[index];
  return tier.used_bytes - std::min(tier.leaving_bytes, tier.used_bytes);
}

// How much more must begin to leave so that those who wait are let in,
std::uint64_t Catalog::needed_bytes(TierIndex index) const {
  const Tier& tier = tiers_[index];
  const std::uint64_t needed = staying_bytes(index) + tier.waiting_bytes;
  return needed - std::min(needed, tier.facts.capacity_bytes);
}

// and ahead of need.
std::uint64_t Catalog::wanted_bytes(TierIndex index) const {
  const Tier& tier = tiers_[index];
  const std::uint64_t staying = staying_bytes(index);
  std::uint64_t wanted = needed_bytes(index);
  if (tier.is_relieved && staying > tier.facts.low_watermark_bytes) {
    wanted = std::max(wanted, staying - tier.facts.low_watermark_bytes);
  }
  return wanted;
}

// A tier that is fuller than its high watermark gives up payloads until the low one, some at a
// time, so that who comes later need not wait. Nothing is deleted for this but by a policy's
// choice, and nobody waits below.
void Catalog::relieve(TierIndex index) {
  Tier& tier = tiers_[index];
  const std::uint64_t staying = staying_bytes(index);
  if (staying > tier.facts.high_watermark_bytes) tier.is_relieved = true;
  if (staying <= tier.facts.low_watermark_bytes) {
    tier.is_relieved = false;
    tier.relief_pauses = 0;
  }
  if (!tier.is_relieved || stopping_ || tier.evictions >= evictions_ahead_max) return;
  if (now_.mono_ns < tier.relief_after_ns) return;
  if (policy_.asks_spill && !tier.decides_itself) {
    ask_for_room(index);
    return;
  }
  const NobodysWish wish(rule_);
  int count = 0;
  bool has_left = false;
  Slot victim = tier.victims.first();
  while (victim != no_slot && count < victims_max && tier.evictions < evictions_ahead_max &&
         staying_bytes(index) > tier.facts.low_watermark_bytes) {
    const Slot next = tier.victims.after(payloads_, victim);
    if (leaves_ahead(victim, index) && evict(victim, index)) has_left = true;
    victim = next;
    ++count;
  }
  // Not looked at again by each who comes.
  if (!has_left && count > 0) pause_relief(tier);
}

void Catalog::pause_relief(Tier& tier) {
  if (tier.relief_after_ns > now_.mono_ns) return;  // One pause for all that fail together.
  tier.relief_after_ns = now_.mono_ns + (relief_pause_ns << tier.relief_pauses);
  tier.relief_pauses = std::min(tier.relief_pauses + 1, relief_doublings_max);
}

// A pause has ended.
void Catalog::resume_relief() {
  for (std::size_t index = 0; index < tiers_.size(); ++index) {
    Tier& tier = tiers_[index];
    if (!tier.is_relieved || tier.relief_after_ns == 0) continue;
    if (tier.relief_after_ns > now_.mono_ns) continue;
    tier.relief_after_ns = 0;
    relieve(static_cast<TierIndex>(index));
  }
}

bool Catalog::leaves_ahead(Slot slot, TierIndex tier, TierIndex chosen) const {
  const Payload& payload = payloads_[slot];
  const Copy* leaving = nullptr;
  each_copy(payload, [&](const Copy& copy) {
    if (copy.tier == tier && !copy.bad) leaving = &copy;
  });
  if (leaving == nullptr) return false;
  const EvictionPlan plan = plan_choice(payload, *leaving, chosen);
  if (plan.kind == EvictionPlan::Kind::drops_copy) return true;
  if (plan.kind == EvictionPlan::Kind::is_deleted) return chosen != no_tier;
  return plan.kind == EvictionPlan::Kind::moves && has_free_room(plan.target, payload.size_bytes);
}

// Lets in those who wait, in order, as far as there is room, and asks for more when there is not.
void Catalog::pump(TierIndex index) {
  if (stopping_) return;  // Nothing new begins.
  Tier& tier = tiers_[index];
  if (tier.degraded) return;  // They wait until it works again, or their time is up.
  while (!tier.waiting.empty()) {
    const Slot slot = tier.waiting.begin()->second;
    const std::uint64_t bytes = operations_[slot].room_bytes;
    if (tier.used_bytes + bytes <= tier.facts.capacity_bytes) {
      leave_queue(slot);
      tier.used_bytes += bytes;
      run(slot);
      relieve(index);
      continue;
    }
    const bool hopeless = tier.evictions_failed >= evictions_failed_max;
    if (!hopeless && make_room(index, bytes) != Room::never) return;
    if (!hopeless && tier.leaving_bytes > 0) return;
    tier.evictions_failed = 0;
    return abandon(slot, Reason::tier_full);  // It pumps again.
  }
}

// Somebody can leave who could not: the tier may have looked in vain.
void Catalog::look_again(TierIndex index) {
  if (index == no_tier) return;
  if (!tiers_[index].waiting.empty()) return pump(index);
  if (tiers_[index].is_relieved) relieve(index);
}

void Catalog::leave_queue(Slot slot) {
  Operation& operation = operations_[slot];
  Tier& tier = tiers_[operation.tier];
  tier.waiting.erase(operation.queue_number);
  tier.waiting_bytes -= operation.room_bytes;
  --waiting_count_;
  operation_due_.remove(operation.deadline_ns, slot);
}

void Catalog::give_back(TierIndex index, std::uint64_t bytes) {
  tiers_[index].used_bytes -= bytes;
  pump(index);
  // Victims of faster tiers may have waited for room here.
  for (std::size_t other = 0; other < tiers_.size(); ++other) {
    if (other != index && !tiers_[other].waiting.empty()) pump(static_cast<TierIndex>(other));
  }
}

void Catalog::fail_tier(TierIndex index) {
  if (tiers_[index].failed) return;
  tiers_[index].failed = true;
  if (is_planted(Mutant::tier_failure_is_not_recorded)) return;
  take_lsn();
  changes_->records.emplace_back(TierRecord{index, true, tiers_[index].medium});
}

// Why nothing new may be put on the tier; none when it may.
Reason Catalog::service_obstacle(TierIndex index) const {
  const Tier& tier = tiers_[index];
  if (tier.failed) return Reason::tier_failed;
  const bool degraded = tier.degraded && !is_planted(Mutant::degraded_tier_is_used);
  return degraded ? Reason::tier_degraded : Reason::none;
}

// Where to go instead of a tier that is out of service: to where its own victims go, as long as
// that keeps them. The same tier when there is no such place.
TierIndex Catalog::in_service(TierIndex target) const {
  TierIndex instead = target;
  while (service_obstacle(instead) != Reason::none) {
    const TierIndex next = tiers_[instead].facts.spill_to;
    if (next == no_tier || !is_slower(next, instead)) return target;
    if ((tiers_[next].facts.traits & traits_keeps_bytes) == 0) return target;
    instead = next;
  }
  return instead;
}

void Catalog::on(const TierHealth& report) {
  if (report.sync_failed) return fail_tier(report.tier);
  Tier& tier = tiers_[report.tier];
  if (report.number <= tier.health_number) return;
  tier.health_number = report.number;
  tier.degraded = report.degraded;
  tier.why_degraded = report.why;
  if (!report.degraded) give_back(report.tier, 0);
}

void Catalog::on(const Mounted& report) {
  Tier& tier = tiers_[report.tier];
  tier.medium = report.medium;
  take_lsn();
  changes_->records.emplace_back(TierRecord{report.tier, tier.failed, tier.medium});
}

}  // namespace pm::catalog
