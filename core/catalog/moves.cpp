#include <algorithm>
#include <utility>

#include "catalog.h"
#include "mutant.h"

// Promote and spill. A move is copy, switch, remove: at any time the old place or the new one is
// valid, never neither.

namespace pm::catalog {

namespace {

constexpr std::int32_t code_resource_exhausted = 8;
constexpr std::int32_t code_aborted = 10;
constexpr std::int32_t code_data_loss = 15;

}  // namespace

// A move from the copy shown; not yet admitted.
Slot Catalog::start_move(Slot slot, TierIndex tier, bool downward) {
  const Copy source_copy_facts = [&] {
    const Copy* source = shown(payloads_[slot]);
    Copy facts;
    facts.generation = source->generation;
    facts.tier = source->tier;
    return facts;
  }();
  const Slot move = start_operation(slot, Action::move, tier);
  Operation& operation = operations_[move];
  operation.source_generation = source_copy_facts.generation;
  operation.source_tier = source_copy_facts.tier;
  operation.downward = downward;
  if (downward) {
    operation.leaving_bytes = charge(operation.source_tier, operation.length);
    tiers_[operation.source_tier].leaving_bytes += operation.leaving_bytes;
  }
  return move;
}

// Why the payload may not be left on `target` alone; none when it may.
Reason Catalog::spill_obstacle(const Payload& payload, TierIndex target) const {
  const Tier& tier = tiers_[target];
  if (const Reason why = service_obstacle(target); why != Reason::none) return why;
  const bool durable = survives_power(target) || is_planted(Mutant::spill_ignores_durability);
  if (payload.retention.require_durable && !durable) return Reason::target_not_durable;
  const TierIndex slowest = payload.retention.min_residency;
  if (slowest != no_tier && tier.facts.rank > tiers_[slowest].facts.rank) {
    return Reason::target_below_min_residency;
  }
  return Reason::none;
}

// ---- spill ----

void Catalog::on(const Spill& command) {
  Waiter waiter{.ticket = command.ticket};
  if (is_repeat(command.request, command.ticket, waiter.request)) return;
  const Slot slot = find_live(command.id, now_);
  if (slot == no_slot || payloads_[slot].phase == Phase::allocating) {
    return refuse(waiter, Reason::payload_not_found);
  }
  spill(slot, command, waiter);
}

void Catalog::spill(Slot slot, const Spill& command, const Waiter& waiter) {
  const Payload& payload = payloads_[slot];
  if (payload.phase == Phase::lost) return refuse_for(slot, waiter, Reason::payload_lost);
  if (payload.phase != Phase::committed) return refuse(waiter, Reason::payload_not_committed);
  const Copy& current = *shown(payload);
  TierIndex target = command.tier;
  if (target == no_tier) target = payload.retention.spill_target;
  if (target == no_tier) target = tiers_[current.tier].facts.spill_to;
  if (target == no_tier) return refuse(waiter, Reason::tier_unspecified);
  if (command.tier == no_tier) target = in_service(target);
  if (target >= tiers_.size()) return refuse(waiter, Reason::tier_unknown);
  if (target == current.tier) return answer_with_view(waiter, slot);
  if (const Reason why = spill_obstacle(payload, target); why != Reason::none) {
    return refuse_move(waiter, slot, target, why);
  }
  if (tiers_[target].facts.rank <= tiers_[current.tier].facts.rank) {
    return refuse_move(waiter, slot, target, Reason::target_not_slower);
  }
  if (additions_of(slot).pinned) {
    return refuse_move(waiter, slot, target, Reason::payload_pinned);
  }
  if (payload.operation != no_slot) {
    return refuse_move(waiter, slot, target, Reason::payload_busy);
  }
  const bool is_read = has_readers(slot);
  if (is_read && !command.wait_for_leases) {
    return refuse_move(waiter, slot, target, Reason::payload_leased);
  }
  if (stopping_) return refuse(waiter, Reason::shutting_down);

  const Slot move = start_move(slot, target, true);
  Operation& operation = operations_[move];
  operation.deadline_ns = command.deadline_ns;
  if (command.best_effort) {
    Reply queued;
    answer(waiter, std::move(queued));
  } else {
    attach(move, waiter);
  }
  if (!is_read) return go_down(move);
  if (payload.leases == 0) watch_holds(slot);
  if (operation.deadline_ns == 0) operation.deadline_ns = now_.mono_ns + limits_.lease_max_ns;
  operation.stage = Stage::waiting_for_leases;
  operation_due_.insert(operation.deadline_ns, move);
  ++waiting_count_;
}

// Nothing holds the payload up here any more.
void Catalog::go_down(Slot move) {
  const Operation& operation = operations_[move];
  const Slot slot = operation.payload;
  const TierIndex target = operation.tier;
  if ((tiers_[target].facts.traits & traits_keeps_bytes) == 0) {
    const std::vector<Waiter> waiters = std::move(operations_[move].waiters);
    end_operation(move);
    erase(slot, 0);
    for (const Waiter& waiter : waiters) {
      Reply reply;
      reply.lsn = changes_->lsn;
      answer(waiter, std::move(reply));
    }
    return;
  }
  if (find_copy_on(payloads_[slot], target) != nullptr) {
    const std::vector<Waiter> waiters = std::move(operations_[move].waiters);
    const TierIndex from = payloads_[slot].listed;
    end_operation(move);
    drop_faster_than(slot, target);
    ++payloads_[slot].revision;
    record_payload(slot);
    tell(EventKind::moved, Cause::request, slot, from);
    for (const Waiter& waiter : waiters) answer_with_view(waiter, slot);
    return;
  }
  const Reason why = admit(move);
  if (why == Reason::none) return;
  tell_refused(Cause::request, slot, target, why);
  refuse_all(move, why);
  end_operation(move);
}

// ---- promote ----

void Catalog::on(const Promote& command) {
  Waiter waiter{.ticket = command.ticket};
  if (is_repeat(command.request, command.ticket, waiter.request)) return;
  const Slot slot = find_live(command.id, now_);
  if (slot == no_slot || payloads_[slot].phase == Phase::allocating) {
    return refuse(waiter, Reason::payload_not_found);
  }
  rule_ = command.rule;
  promote(slot, command, waiter);
}

void Catalog::promote(Slot slot, const Promote& command, const Waiter& waiter) {
  Payload& payload = payloads_[slot];
  if (payload.phase == Phase::lost) return refuse_for(slot, waiter, Reason::payload_lost);
  if (payload.phase != Phase::committed) return refuse(waiter, Reason::payload_not_committed);
  if (command.tier >= tiers_.size()) return refuse(waiter, Reason::tier_unknown);
  const Tier& tier = tiers_[command.tier];
  if ((tier.facts.traits & traits_keeps_bytes) == 0) {
    return refuse(waiter, Reason::tier_keeps_no_bytes);
  }
  if (const Reason why = service_obstacle(command.tier); why != Reason::none) {
    return refuse_move(waiter, slot, command.tier, why);
  }
  if (command.drop_source && payload.retention.require_durable && !survives_power(command.tier)) {
    return refuse_move(waiter, slot, command.tier, Reason::target_not_durable);
  }
  const TierIndex current = shown(payload)->tier;
  if (command.only_up &&
      (tier.facts.rank >= tiers_[current].facts.rank || payload.operation != no_slot)) {
    return answer_with_view(waiter, slot);
  }
  if (tier.facts.rank > tiers_[current].facts.rank) {
    // Old clients move payloads down by this too.
    Spill down;
    down.tier = command.tier;
    down.best_effort = command.best_effort;
    down.deadline_ns = command.deadline_ns;
    return spill(slot, down, waiter);
  }
  if (payload.operation != no_slot) {
    const Operation& other = operations_[payload.operation];
    const bool same = other.action == Action::move && !other.downward &&
                      other.tier == command.tier && other.drop_source == command.drop_source;
    if (!same) return refuse_move(waiter, slot, command.tier, Reason::payload_busy);
    if (command.best_effort) return answer_with_view(waiter, slot);
    return attach(payload.operation, waiter);
  }
  if (find_copy_on(payload, command.tier) != nullptr) {
    if (command.drop_source && payload.more != nullptr) {
      drop_slower_than(slot, command.tier);
      ++payload.revision;
      record_payload(slot);
      tell(EventKind::moved, Cause::request, slot, payload.listed);
    }
    return answer_with_view(waiter, slot);
  }
  if (stopping_) return refuse(waiter, Reason::shutting_down);
  const Slot move = start_move(slot, command.tier, false);
  Operation& operation = operations_[move];
  operation.drop_source = command.drop_source;
  operation.layout = command.layout;
  operation.owner_uid = command.owner_uid;
  operation.deadline_ns = command.deadline_ns;
  if (command.best_effort) {
    answer_with_view(waiter, slot);
  } else {
    attach(move, waiter);
  }
  const Reason why = admit(move);
  if (why == Reason::none) return;
  tell_refused(Cause::request, slot, command.tier, why);
  refuse_all(move, why);
  end_operation(move);
}

// ---- what the mover reports ----

void Catalog::on(const Moved& report) {
  if (!report.outcome.ok()) return fail_move(report.operation, report);
  const Slot slot = operations_[report.operation].payload;
  const bool is_comparable = slot != no_slot && report.checksum.kind != ChecksumKind::none &&
                             payloads_[slot].checksum.kind == report.checksum.kind;
  if (!is_comparable || report.checksum == checksum_of(slot)) {
    return finish_move(report.operation, report);
  }
  // It was begun before the payload had a checksum, so nobody has compared what it read.
  Moved differs = report;
  differs.outcome = {code_aborted, "what was read does not have the checksum found meanwhile"};
  differs.target_remains = true;
  fail_move(report.operation, differs);
}

void Catalog::finish_move(Slot move, const Moved& report) {
  const Operation operation = std::move(operations_[move]);
  operations_[move].stage = Stage::running;
  operations_[move].payload = operation.payload;
  operations_[move].leaving_bytes = operation.leaving_bytes;
  operations_[move].source_tier = operation.source_tier;
  operations_[move].eviction = operation.eviction;
  operations_[move].tier = operation.tier;
  operations_[move].room_bytes = operation.room_bytes;
  rule_ = operation.rule;
  const Slot slot = operation.payload;
  end_operation(move);
  if (slot == no_slot) {
    // Deleted meanwhile: the new copy goes as the old one does.
    ++tiers_[operation.tier].copies;
    doom({operation.tier, operation.id, operation.generation, report.cookie, operation.length}, {},
         0);
    release_hold(operation.source_generation);
    for (const Waiter& waiter : operation.waiters) refuse(waiter, Reason::payload_not_found);
    return;
  }
  if (operation.eviction) tiers_[operation.source_tier].evictions_failed = 0;
  Payload& payload = payloads_[slot];
  const TierIndex from = payload.listed;
  if (payload.checksum.kind == ChecksumKind::none) set_checksum(slot, report.checksum);
  Copy copy;
  copy.generation = operation.generation;
  copy.tier = operation.tier;
  copy.cookie = PackedCookie(report.cookie);
  add_copy(payload, std::move(copy));
  if (payload.phase == Phase::lost) {
    // The move read its source as it was committed, and a scrub read it otherwise.
    revive(slot);
  } else {
    relist(slot);
  }
  join_victims(slot);
  if (operation.downward) {
    drop_faster_than(slot, operation.tier);
  } else if (operation.repair || operation.copies) {
    // All others stay.
  } else if (operation.drop_source || !survives_power(operation.source_tier) ||
             is_planted(Mutant::promote_drops_durable_copy)) {
    drop_copy(slot, operation.source_generation);
  }
  drop_bad_on(slot, operation.tier);
  ++payload.revision;
  record_payload(slot);
  if (operation.eviction) {
    tell(EventKind::evicted, Cause::room, slot, from);
  } else {
    tell(EventKind::moved, cause_of(operation), slot, from);
  }
  offer(slot, operation.generation);
  for (const Waiter& waiter : operation.waiters) answer_with_view(waiter, slot);
  if (operation.eviction) relieve(operation.source_tier);
}

void Catalog::fail_move(Slot move, const Moved& report) {
  const Operation& operation = operations_[move];
  const Slot slot = operation.payload;
  const TierIndex tier = operation.tier;
  // What is left on the target takes its room until it is removed.
  const std::uint64_t freed_bytes = report.target_remains ? 0 : operation.room_bytes;
  const Object target{tier, operation.id, operation.generation, report.cookie, operation.length};
  const std::uint64_t source = operation.source_generation;
  rule_ = operation.rule;
  if (operation.eviction) note_failed_eviction(operation.source_tier);
  Reason why = Reason::storage_error;
  if (report.source_is_bad) {
    why = Reason::checksum_mismatch;
  } else if (report.outcome.code == code_resource_exhausted) {
    why = Reason::tier_full;
  } else if (report.outcome.code == code_data_loss) {
    fail_tier(tier);
  }
  if (slot == no_slot) why = Reason::payload_not_found;
  tell_refused(cause_of(operation), slot, tier, why);
  refuse_all(move, why, &report.outcome);
  const TierIndex source_tier = operation.source_tier;
  end_operation(move);
  if (report.target_remains) {
    ++tiers_[tier].copies;
    doom(target, {}, 0);
  }
  if (slot == no_slot) {
    release_hold(source);
  } else if (report.source_is_bad) {
    // Once: else a move that fails would begin the next one, which fails, too.
    if (condemn(slot, source, Cause::fault)) replace(slot, source_tier, {});
  }
  give_back(tier, freed_bytes);
  pump(source_tier);
}

void Catalog::drop_faster_than(Slot slot, TierIndex tier) {
  std::vector<std::uint64_t> faster;
  each_copy(payloads_[slot], [&](const Copy& copy) {
    if (tiers_[copy.tier].facts.rank < tiers_[tier].facts.rank) {
      faster.push_back(copy.generation);
    }
  });
  for (const std::uint64_t generation : faster) drop_copy(slot, generation);
}

void Catalog::drop_slower_than(Slot slot, TierIndex tier) {
  std::vector<std::uint64_t> slower;
  each_copy(payloads_[slot], [&](const Copy& copy) {
    if (tiers_[copy.tier].facts.rank > tiers_[tier].facts.rank) {
      slower.push_back(copy.generation);
    }
  });
  for (const std::uint64_t generation : slower) drop_copy(slot, generation);
}

}  // namespace pm::catalog
