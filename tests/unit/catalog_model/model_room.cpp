#include <algorithm>

#include "model.h"

// Room, copies, and what leaves.

namespace pm::catalog::naive {

std::uint64_t Model::charge(TierIndex tier, std::uint64_t length) const {
  const std::uint64_t block = rules_.tiers[tier].block_bytes;
  return length % block == 0 ? length : length - length % block + block;
}

// Every copy that is there, is being made, or has not been removed yet.
std::uint64_t Model::used_bytes(TierIndex tier) const {
  std::uint64_t bytes = 0;
  for (const auto& [key, payload] : payloads_) {
    for (const HeldCopy& copy : payload.copies) {
      if (copy.tier == tier) bytes += charge(tier, payload.size_bytes);
    }
  }
  for (const auto& [generation, work] : works_) {
    if (work.tier == tier && work.stage == Stage::runs) bytes += work.room_bytes;
  }
  for (const auto& [generation, copy] : leaving_) {
    if (copy.tier == tier) bytes += charge(tier, copy.length);
  }
  return bytes;
}

std::size_t Model::copies_on(TierIndex tier) const {
  std::size_t count = 0;
  for (const auto& [key, payload] : payloads_) {
    for (const HeldCopy& copy : payload.copies) count += copy.tier == tier;
  }
  for (const auto& [generation, copy] : leaving_) count += copy.tier == tier;
  return count;
}

// Of those bytes, what will be free without anyone's help: each copy once.
std::uint64_t Model::leaving_bytes(TierIndex tier) const {
  std::uint64_t bytes = 0;
  for (const auto& [generation, copy] : leaving_) {
    if (copy.tier == tier) bytes += charge(tier, copy.length);
  }
  for (const auto& [generation, work] : works_) {
    if (work.downward && !work.orphaned && work.source_tier == tier) {
      bytes += charge(tier, work.length);
    }
  }
  return bytes;
}

std::uint64_t Model::waiting_bytes(TierIndex tier) const {
  std::uint64_t bytes = 0;
  for (const auto& [generation, work] : works_) {
    if (work.stage == Stage::waits_for_room && work.tier == tier) bytes += work.room_bytes;
  }
  return bytes;
}

std::size_t Model::waiting() const {
  std::size_t count = 0;
  for (const auto& [generation, work] : works_) count += work.waits();
  return count;
}

std::optional<std::uint64_t> Model::first_waiting(TierIndex tier) const {
  std::optional<std::uint64_t> first;
  for (const auto& [generation, work] : works_) {
    if (work.stage != Stage::waits_for_room || work.tier != tier) continue;
    const auto place = [](const Work& its) { return std::pair(!its.in_front, its.queue_number); };
    if (!first || place(work) < place(works_.at(*first))) first = generation;
  }
  return first;
}

// Now, and nobody came earlier.
bool Model::has_room(TierIndex tier, std::uint64_t bytes) const {
  return !first_waiting(tier) && used_bytes(tier) + bytes <= rules_.tiers[tier].capacity_bytes;
}

// ---- victims ----

bool Model::may_leave(const Held& payload) const {
  return payload.phase == Phase::committed && !payload.copies.empty() && payload.work == 0 &&
         !payload.pinned && !payload.retention.no_evict &&
         payload.retention.priority != Priority::never && leases_of(payload) == 0;
}

// Notes since when the payload may leave the tier that it is shown on.
void Model::settle_idle(Held& payload, bool was_used) {
  if (!may_leave(payload)) {
    payload.idle_since = 0;
    return;
  }
  const TierIndex tier = shown(payload)->tier;
  if (payload.idle_since != 0 && payload.idle_on == tier && !was_used) return;
  payload.idle_since = ++idle_count_;
  payload.idle_on = tier;
}

// The lowest priority first, of one priority the longest idle.
std::vector<Key> Model::victims(TierIndex tier) const {
  std::vector<std::pair<std::pair<int, std::uint64_t>, Key>> found;
  for (const auto& [key, payload] : payloads_) {
    if (payload.idle_since == 0 || payload.idle_on != tier) continue;
    found.push_back({{static_cast<int>(payload.retention.priority), payload.idle_since}, key});
  }
  std::sort(found.begin(), found.end());
  std::vector<Key> keys;
  for (const auto& [rank, key] : found) keys.push_back(key);
  return keys;
}

// Why the payload may not be left on `target` alone.
Reason Model::obstacle(const Held& payload, TierIndex target) const {
  if (sickness(target) != Reason::none) return sickness(target);
  if (payload.retention.require_durable && !rules_.tiers[target].survives_power) {
    return Reason::target_not_durable;
  }
  const TierIndex slowest = payload.retention.min_residency;
  if (slowest != no_tier && rules_.tiers[target].rank > rules_.tiers[slowest].rank) {
    return Reason::target_below_min_residency;
  }
  return Reason::none;
}

// Lets victims go until `bytes` will fit once all that leaves has left. False: they will not.
bool Model::make_room(TierIndex tier, std::uint64_t bytes) {
  const auto is_enough = [&] {
    return used_bytes(tier) - leaving_bytes(tier) + bytes <= rules_.tiers[tier].capacity_bytes;
  };
  for (const Key& victim : victims(tier)) {
    if (is_enough()) break;
    evict(victim, tier);
  }
  return is_enough();
}

void Model::evict(const Key& key, TierIndex tier) {
  Held& payload = payloads_.at(key);
  const HeldCopy* rest = nullptr;
  std::uint64_t generation = 0;
  for (const HeldCopy& copy : payload.copies) {
    if (copy.tier == tier && !copy.bad) {
      generation = copy.generation;
    } else if (!copy.bad && obstacle(payload, copy.tier) == Reason::none) {
      if (rest == nullptr || rules_.tiers[copy.tier].rank < rules_.tiers[rest->tier].rank) {
        rest = &copy;
      }
    }
  }
  if (rest != nullptr) {
    drop_copy(payload, generation);
    ++payload.revision;
    record(payload);
    return tell(EventKind::evicted, Cause::room, payload, tier);
  }
  const auto is_below = [&](TierIndex target) {
    return target != no_tier && rules_.tiers[target].rank > rules_.tiers[tier].rank;
  };
  TierIndex target = payload.retention.spill_target;
  if (!is_below(target)) target = rules_.tiers[tier].spill_to;
  if (!is_below(target)) return;
  target = detour(target);
  if (obstacle(payload, target) != Reason::none) return;
  if (!rules_.tiers[target].keeps_bytes) return erase(key, 0, EventKind::evicted);
  const std::uint64_t bytes = charge(target, payload.size_bytes);
  if (!has_room(target, bytes)) {
    if (waiting() >= rules_.waiters_max) return;
    if (!make_room(target, waiting_bytes(target) + bytes)) return;
    const std::uint64_t work = start_move(payload, target, true);
    works_.at(work).eviction = true;
    return enqueue(work, false);
  }
  const std::uint64_t work = start_move(payload, target, true);
  works_.at(work).eviction = true;
  run(work);
}

// ---- who is let in, and who waits ----

// Runs it or lets it wait; else says why not.
Reason Model::admit(std::uint64_t generation) {
  const Work& work = works_.at(generation);
  const TierIndex tier = work.tier;
  if (work.room_bytes > rules_.tiers[tier].capacity_bytes) return Reason::tier_full;
  if (has_room(tier, work.room_bytes)) {
    run(generation);
    return Reason::none;
  }
  if (waiting() >= rules_.waiters_max) return Reason::waiters_full;
  if (!make_room(tier, waiting_bytes(tier) + work.room_bytes)) return Reason::tier_full;
  enqueue(generation, false);
  pump(tier);
  return Reason::none;
}

void Model::enqueue(std::uint64_t generation, bool in_front) {
  Work& work = works_.at(generation);
  const std::size_t others = waiting();
  work.stage = Stage::waits_for_room;
  work.in_front = in_front;
  work.queue_number = ++queue_number_;
  if (work.deadline_ns == 0) work.deadline_ns = at_.now.mono_ns + rules_.wait_max_ns;
  // Those for whom it makes room give up first, and evictions one after the other.
  if (work.eviction) work.deadline_ns += 1 + others;
}

// What waits will not run.
void Model::abandon(std::uint64_t generation, Reason reason) {
  const Work work = works_.at(generation);
  if (work.kind == Work::Kind::move) {
    tell_refused(cause_of(work), payloads_.at(work.payload), work.tier, reason);
  }
  refuse_all(generation, reason);
  end(generation);
  if (work.kind == Work::Kind::allocate) erase(work.payload, 0, EventKind::none);
  pump(work.tier);
  if (work.source_tier != no_tier) pump(work.source_tier);
}

void Model::pump(TierIndex tier) {
  constexpr int evictions_failed_max = 8;
  while (!stopping_ && !tiers_[tier].degraded) {
    const auto first = first_waiting(tier);
    if (!first) return;
    const std::uint64_t bytes = works_.at(*first).room_bytes;
    if (used_bytes(tier) + bytes <= rules_.tiers[tier].capacity_bytes) {
      run(*first);
      continue;
    }
    if (tiers_[tier].evictions_failed < evictions_failed_max) {
      if (make_room(tier, bytes) || leaving_bytes(tier) > 0) return;
    }
    tiers_[tier].evictions_failed = 0;
    return abandon(*first, Reason::tier_full);
  }
}

void Model::pump_all(TierIndex first) {
  pump(first);
  for (std::size_t tier = 0; tier < tiers_.size(); ++tier) {
    if (tier != first) pump(static_cast<TierIndex>(tier));
  }
}

void Model::fail_tier(TierIndex tier) {
  if (tiers_[tier].failed) return;
  tiers_[tier].failed = true;
  write();
}

Reason Model::sickness(TierIndex tier) const {
  if (tiers_[tier].failed) return Reason::tier_failed;
  return tiers_[tier].degraded ? Reason::tier_degraded : Reason::none;
}

// The first sound tier down the chain of spill_to that keeps bytes; else the same one.
TierIndex Model::detour(TierIndex target) const {
  TierIndex at = target;
  while (at != no_tier && rules_.tiers[at].keeps_bytes) {
    if (sickness(at) == Reason::none) return at;
    const TierIndex next = rules_.tiers[at].spill_to;
    if (next != no_tier && rules_.tiers[next].rank <= rules_.tiers[at].rank) return target;
    at = next;
  }
  return target;
}

void Model::on(const TierHealth& report) {
  if (report.sync_failed) return fail_tier(report.tier);
  HeldTier& tier = tiers_[report.tier];
  if (tier.health_number >= report.number) return;
  tier.health_number = report.number;
  tier.degraded = report.degraded;
  if (!report.degraded) pump_all(report.tier);
}

// ---- copies ----

void Model::doom(const Key& payload, const HeldCopy& copy, std::uint64_t length,
                 std::uint64_t not_before_ns) {
  Leaving& leaving = leaving_[copy.generation];
  leaving.payload = payload;
  leaving.tier = copy.tier;
  leaving.length = length;
  leaving.checks = copy.checks;
  leaving.written = at_.has_written ? at_.number : 0;
  leaving.not_before_ns = not_before_ns;
  if (copy.generation >> 40 < generation_ >> 40) {
    leaving.not_before_ns = std::max(not_before_ns, rules_.quarantine_until_ns);
  }
}

// The tiers are asked for what nobody holds any more.
void Model::ask_for_removals(bool by_tick) {
  for (auto& [generation, copy] : leaving_) {
    const auto holds = [g = generation](const auto& lease) { return lease.generation == g; };
    const auto reads = [g = generation](const auto& entry) {
      return entry.second.source_generation == g;
    };
    if (copy.asked || copy.checks > 0 || std::any_of(leases_.begin(), leases_.end(), holds) ||
        std::any_of(works_.begin(), works_.end(), reads)) {
      continue;
    }
    const bool is_time = copy.not_before_ns <= at_.now.mono_ns;
    if (!is_time || (copy.waits_for_tick && !by_tick)) {
      copy.waits_for_tick = true;
      continue;
    }
    copy.asked = true;
    RemoveEffect effect;
    effect.object = {copy.tier, Id{copy.payload}, generation, {}, copy.length};
    effect.lsn = copy.written;
    at_.outcomes->effects.emplace_back(effect);
  }
}

void Model::on(const Removed& report) {
  constexpr std::int32_t not_found = 5;
  constexpr std::uint64_t second_ns = 1'000'000'000;
  const auto found = leaving_.find(report.generation);
  if (found == leaving_.end()) return;
  Leaving& copy = found->second;
  if (!report.outcome.ok() && report.outcome.code != not_found) {
    copy.failures = std::min<std::uint64_t>(copy.failures + 1, 60);
    copy.not_before_ns = at_.now.mono_ns + copy.failures * second_ns;
    copy.asked = false;
    copy.waits_for_tick = true;
    return;
  }
  const TierIndex tier = copy.tier;
  leaving_.erase(found);
  pump_all(tier);
}

void Model::on(const Found& report) {
  const Object& object = report.object;
  const bool is_older = object.generation >> 40 < generation_ >> 40;
  if (!is_older || is_known_object(object.generation)) return;
  doom(object.payload.bytes, {object.tier, object.generation}, object.length,
       at_.now.mono_ns + rules_.orphan_grace_ns);
}

void Model::drop_copy(Held& payload, std::uint64_t generation) {
  write();
  const auto is_it = [&](const HeldCopy& copy) { return copy.generation == generation; };
  const auto found = std::find_if(payload.copies.begin(), payload.copies.end(), is_it);
  doom(payload.id.bytes, *found, payload.size_bytes, 0);
  payload.copies.erase(found);
  settle_idle(payload, true);
}

// ---- the end of a payload ----

// When it ends by itself; 0: never. Nothing ends while the tier is at work on an allocation.
std::int64_t Model::due_ns(const Held& payload) const {
  if (payload.phase == Phase::allocating) return 0;
  if (payload.phase == Phase::allocated && payload.work != 0) return 0;
  return payload.expires_at_ns;
}

void Model::erase(const Key& key, std::uint64_t not_before_ns, EventKind told) {
  Held& payload = payloads_.at(key);
  if (told != EventKind::none && payload.phase != Phase::allocating) {
    Cause cause = Cause::request;
    if (told == EventKind::evicted) cause = Cause::room;
    if (told == EventKind::expired) cause = Cause::time;
    const HeldCopy* copy = shown(payload);
    tell(told, cause, payload, copy != nullptr ? copy->tier : no_tier);
    at_.outcomes->events.back().tier = no_tier;
  }
  if (payload.phase == Phase::committed || payload.phase == Phase::lost) {
    payloads_erased_ = write();
  }
  if (payload.work != 0) {
    Work& work = works_.at(payload.work);
    if (work.stage == Stage::runs) {
      work.orphaned = true;
    } else {
      refuse_all(payload.work, Reason::payload_not_found);
      end(payload.work);
    }
  }
  for (const HeldCopy& copy : payload.copies) doom(key, copy, payload.size_bytes, not_before_ns);
  payloads_.erase(key);
}

}  // namespace pm::catalog::naive
