#include <algorithm>

#include "model.h"

// What takes time: works, and the moves among them.

namespace pm::catalog::naive {

namespace {

constexpr std::int32_t code_resource_exhausted = 8;
constexpr std::int32_t code_data_loss = 15;

}  // namespace

// ---- works ----

std::uint64_t Model::start(Held& payload, Work::Kind kind, TierIndex tier) {
  const bool makes_a_copy = kind != Work::Kind::seal;
  const std::uint64_t generation = makes_a_copy ? ++generation_ : payload.copies[0].generation;
  Work work;
  work.kind = kind;
  work.payload = payload.id.bytes;
  work.tier = tier;
  work.length = payload.size_bytes;
  work.room_bytes = makes_a_copy ? charge(tier, payload.size_bytes) : 0;
  // What makes a copy begins when it is let in.
  work.stage = makes_a_copy ? Stage::begins : Stage::runs;
  works_.emplace(generation, work);
  payload.work = generation;
  settle_idle(payload);
  return generation;
}

std::uint64_t Model::start_move(Held& payload, TierIndex tier, bool downward) {
  const HeldCopy source = *shown(payload);
  const std::uint64_t generation = start(payload, Work::Kind::move, tier);
  Work& work = works_.at(generation);
  work.source_tier = source.tier;
  work.source_generation = source.generation;
  work.downward = downward;
  return generation;
}

void Model::end(std::uint64_t generation) {
  const Work work = works_.at(generation);
  works_.erase(generation);
  if (work.orphaned) return;
  Held& payload = payloads_.at(work.payload);
  payload.work = 0;
  settle_idle(payload);
}

void Model::run(std::uint64_t generation) {
  Work& work = works_.at(generation);
  work.stage = Stage::runs;
  const Object object{work.tier, Id{work.payload}, generation, {}, work.length};
  if (work.kind == Work::Kind::allocate) {
    AllocateEffect effect;
    effect.object = object;
    at_.outcomes->effects.emplace_back(effect);
    return;
  }
  const Held& payload = payloads_.at(work.payload);
  MoveEffect effect;
  effect.source = {work.source_tier, payload.id, work.source_generation, {}, payload.size_bytes};
  effect.target = object;
  effect.checksum = payload.checksum;
  at_.outcomes->effects.emplace_back(effect);
}

void Model::refuse_move(const Caller& caller, const Held& payload, TierIndex target, Reason why) {
  tell_refused(Cause::request, payload, target, why);
  refuse_for(&payload, caller, why);
}

// ---- spill ----

void Model::on(const Spill& command) {
  Caller caller{.ticket = command.ticket};
  if (is_repeat(command.request, caller)) return;
  Held* payload = find(command.id);
  if (payload == nullptr) return refuse(caller, Reason::payload_not_found);
  spill(*payload, command, caller);
}

void Model::spill(Held& payload, const Spill& command, const Caller& caller) {
  if (payload.phase == Phase::lost) return refuse_for(&payload, caller, Reason::payload_lost);
  if (payload.phase != Phase::committed) return refuse(caller, Reason::payload_not_committed);
  const TierIndex current = shown(payload)->tier;
  TierIndex target = command.tier;
  if (target == no_tier) target = payload.retention.spill_target;
  if (target == no_tier) target = rules_.tiers[current].spill_to;
  if (target == no_tier) return refuse(caller, Reason::tier_unspecified);
  if (command.tier == no_tier) target = detour(target);
  if (target >= tiers_.size()) return refuse(caller, Reason::tier_unknown);
  if (target == current) return show(caller, payload.id.bytes);
  Reason why = obstacle(payload, target);
  if (why == Reason::none) {
    if (rules_.tiers[target].rank <= rules_.tiers[current].rank) {
      why = Reason::target_not_slower;
    } else if (payload.pinned) {
      why = Reason::payload_pinned;
    } else if (payload.work != 0) {
      why = Reason::payload_busy;
    } else if (leases_of(payload) > 0 && !command.wait_for_leases) {
      why = Reason::payload_leased;
    }
  }
  if (why != Reason::none) return refuse_move(caller, payload, target, why);
  if (stopping_) return refuse(caller, Reason::shutting_down);

  const std::uint64_t generation = start_move(payload, target, true);
  Work& work = works_.at(generation);
  work.deadline_ns = command.deadline_ns;
  if (command.best_effort) {
    answer(caller, Reply{});
  } else {
    work.callers.push_back(caller);
  }
  if (leases_of(payload) == 0) return go_down(generation);
  work.stage = Stage::waits_for_leases;
  if (work.deadline_ns == 0) work.deadline_ns = at_.now.mono_ns + rules_.lease_max_ns;
}

// Nobody holds the payload up here any more.
void Model::go_down(std::uint64_t generation) {
  const Work work = works_.at(generation);
  Held& payload = payloads_.at(work.payload);
  if (!rules_.tiers[work.tier].keeps_bytes) {
    works_.at(generation).callers.clear();
    end(generation);
    erase(work.payload, 0, EventKind::deleted);
    for (const Caller& caller : work.callers) {
      Reply reply;
      reply.lsn = at_.number;
      answer(caller, reply);
    }
    return;
  }
  const auto is_there = [&](const HeldCopy& copy) { return copy.tier == work.tier && !copy.bad; };
  if (std::any_of(payload.copies.begin(), payload.copies.end(), is_there)) {
    const TierIndex from = shown(payload)->tier;
    end(generation);
    drop_all(payload, work.tier, true);
    ++payload.revision;
    record(payload);
    tell(EventKind::moved, Cause::request, payload, from);
    for (const Caller& caller : work.callers) show(caller, work.payload);
    return;
  }
  const Reason why = admit(generation);
  if (why == Reason::none) return;
  tell_refused(Cause::request, payload, work.tier, why);
  refuse_all(generation, why);
  end(generation);
}

// ---- promote ----

void Model::on(const Promote& command) {
  Caller caller{.ticket = command.ticket};
  if (is_repeat(command.request, caller)) return;
  Held* payload = find(command.id);
  if (payload == nullptr) return refuse(caller, Reason::payload_not_found);
  promote(*payload, command, caller);
}

void Model::promote(Held& payload, const Promote& command, const Caller& caller) {
  const Key key = payload.id.bytes;
  const TierIndex target = command.tier;
  if (payload.phase == Phase::lost) return refuse_for(&payload, caller, Reason::payload_lost);
  if (payload.phase != Phase::committed) return refuse(caller, Reason::payload_not_committed);
  if (target >= tiers_.size()) return refuse(caller, Reason::tier_unknown);
  const TierRules& rules = rules_.tiers[target];
  if (!rules.keeps_bytes) return refuse(caller, Reason::tier_keeps_no_bytes);
  const Reason sick = sickness(target);
  if (sick != Reason::none) return refuse_move(caller, payload, target, sick);
  if (command.drop_source && payload.retention.require_durable && !rules.survives_power) {
    return refuse_move(caller, payload, target, Reason::target_not_durable);
  }
  const std::int32_t rank = rules_.tiers[shown(payload)->tier].rank;
  if (command.only_up && (rules.rank >= rank || payload.work != 0)) return show(caller, key);
  if (rules.rank > rank) {
    Spill down;
    down.tier = target;
    down.best_effort = command.best_effort;
    down.deadline_ns = command.deadline_ns;
    return spill(payload, down, caller);
  }
  if (payload.work != 0) {
    Work& other = works_.at(payload.work);
    const bool same = other.kind == Work::Kind::move && !other.downward && other.tier == target &&
                      other.drop_source == command.drop_source;
    if (!same) return refuse_move(caller, payload, target, Reason::payload_busy);
    if (command.best_effort) return show(caller, key);
    other.callers.push_back(caller);
    return;
  }
  if (shown(payload)->tier == target) {
    if (command.drop_source && payload.copies.size() > 1) {
      drop_all(payload, target, false);
      ++payload.revision;
      record(payload);
      tell(EventKind::moved, Cause::request, payload, target);
    }
    return show(caller, key);
  }
  if (stopping_) return refuse(caller, Reason::shutting_down);
  const std::uint64_t generation = start_move(payload, target, false);
  works_.at(generation).drop_source = command.drop_source;
  works_.at(generation).deadline_ns = command.deadline_ns;
  if (command.best_effort) {
    show(caller, key);
  } else {
    works_.at(generation).callers.push_back(caller);
  }
  const Reason why = admit(generation);
  if (why == Reason::none) return;
  tell_refused(Cause::request, payload, target, why);
  refuse_all(generation, why);
  end(generation);
}

// ---- what became of them ----

void Model::on(const Moved& report) {
  const Work& work = works_.at(at_.generation);
  const Held* payload = work.orphaned ? nullptr : &payloads_.at(work.payload);
  const bool is_known = payload != nullptr && report.checksum.kind != ChecksumKind::none &&
                        payload->checksum.kind == report.checksum.kind;
  if (report.outcome.ok() && is_known && !(payload->checksum == report.checksum)) {
    Moved differs = report;
    differs.outcome = {10, "what was read does not have the checksum found meanwhile"};
    differs.target_remains = true;
    fail(at_.generation, differs);
  } else if (report.outcome.ok()) {
    arrive(at_.generation, report);
  } else {
    fail(at_.generation, report);
  }
}

void Model::arrive(std::uint64_t generation, const Moved& report) {
  const Work work = works_.at(generation);
  end(generation);
  if (work.orphaned) {
    doom(work.payload, {work.tier, generation}, work.length, 0);
    for (const Caller& caller : work.callers) refuse(caller, Reason::payload_not_found);
    return;
  }
  if (work.eviction) tiers_[work.source_tier].evictions_failed = 0;
  Held& payload = payloads_.at(work.payload);
  const TierIndex from = payload.phase == Phase::lost ? no_tier : shown(payload)->tier;
  if (payload.checksum.kind == ChecksumKind::none) payload.checksum = report.checksum;
  // Of two who read its last copy, one has found it good.
  payload.phase = Phase::committed;
  payload.copies.push_back({work.tier, generation});
  if (work.repair) {
    // All good ones stay.
  } else if (work.downward) {
    drop_all(payload, work.tier, true);
  } else if (work.drop_source || !rules_.tiers[work.source_tier].survives_power) {
    drop_copy(payload, work.source_generation);
  }
  // A good copy takes the place of the bad ones.
  const std::vector<HeldCopy> copies = payload.copies;
  for (const HeldCopy& copy : copies) {
    if (copy.bad && copy.tier == work.tier) drop_copy(payload, copy.generation);
  }
  settle_idle(payload);
  ++payload.revision;
  record(payload);
  tell(work.eviction ? EventKind::evicted : EventKind::moved, cause_of(work), payload, from);
  for (const Caller& caller : work.callers) show(caller, work.payload);
}

void Model::fail(std::uint64_t generation, const Moved& report) {
  const Work work = works_.at(generation);
  if (work.eviction) ++tiers_[work.source_tier].evictions_failed;
  Reason why = Reason::storage_error;
  if (report.source_is_bad) {
    why = Reason::checksum_mismatch;
  } else if (report.outcome.code == code_resource_exhausted) {
    why = Reason::tier_full;
  } else if (report.outcome.code == code_data_loss) {
    fail_tier(work.tier);
  }
  if (work.orphaned) {
    why = Reason::payload_not_found;
  } else {
    tell_refused(cause_of(work), payloads_.at(work.payload), work.tier, why);
  }
  refuse_all(generation, why, &report.outcome);
  end(generation);
  if (report.target_remains) doom(work.payload, {work.tier, generation}, work.length, 0);
  if (!work.orphaned && report.source_is_bad) {
    Held& payload = payloads_.at(work.payload);
    bool is_news = false;
    for (HeldCopy& copy : payload.copies) {
      if (copy.generation != work.source_generation || copy.bad) continue;
      is_news = payload.phase == Phase::committed;
      condemn(payload, copy, Cause::fault);
    }
    if (is_news) replace(payload, work.source_tier, {});
  }
  pump_all(work.tier);
  pump(work.source_tier);
}

void Model::drop_all(Held& payload, TierIndex tier, bool faster) {
  const std::int32_t rank = rules_.tiers[tier].rank;
  std::vector<std::uint64_t> dropped;
  for (const HeldCopy& copy : payload.copies) {
    const std::int32_t its = rules_.tiers[copy.tier].rank;
    if (faster ? its < rank : its > rank) dropped.push_back(copy.generation);
  }
  for (const std::uint64_t generation : dropped) drop_copy(payload, generation);
}

}  // namespace pm::catalog::naive
