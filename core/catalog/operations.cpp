#include <algorithm>
#include <utility>

#include "catalog.h"
#include "mutant.h"

// Allocate, commit, delete, and what all operations have in common.

namespace pm::catalog {

namespace {

constexpr std::int32_t code_cancelled = 1;
constexpr std::int32_t code_not_found = 5;
constexpr std::int32_t code_resource_exhausted = 8;
constexpr std::int32_t code_failed_precondition = 9;
constexpr std::int32_t code_data_loss = 15;

// A tier that says it is full although it was asked within its capacity is asked again so often.
constexpr std::uint8_t allocate_attempts_max = 3;

}  // namespace

Slot Catalog::start_operation(Slot payload, Action action, TierIndex tier) {
  const Slot slot = operations_.add();
  Operation& operation = operations_[slot];
  Payload& subject = payloads_[payload];
  operation.action = action;
  operation.tier = tier;
  operation.payload = payload;
  operation.id = subject.id;
  operation.length = subject.size_bytes;
  operation.rule = rule_;
  if (action == Action::seal) {
    operation.generation = subject.first.generation;
  } else {
    operation.generation = ++generation_;
    operation.room_bytes = charge(tier, subject.size_bytes);
    charge_owner(subject, tier, operation.room_bytes);
  }
  leave_victims(payload);
  if (subject.phase != Phase::committed) unindex_due(payload);
  subject.operation = slot;
  return slot;
}

void Catalog::end_operation(Slot slot) {
  Operation& operation = operations_[slot];
  if (operation.stage == Stage::waiting_for_room) leave_queue(slot);
  if (operation.stage == Stage::waiting_for_leases) {
    operation_due_.remove(operation.deadline_ns, slot);
    --waiting_count_;
  }
  if (operation.leaving_bytes != 0) {
    tiers_[operation.source_tier].leaving_bytes -= operation.leaving_bytes;
  }
  if (operation.eviction) --tiers_[operation.source_tier].evictions;
  const Slot payload = operation.payload;
  if (payload != no_slot) {
    release_owner(payloads_[payload], operation.tier, operation.room_bytes);
  }
  const bool is_move = operation.action == Action::move;
  operations_.remove(slot);
  if (payload == no_slot) return;
  // A payload may be lost while it is moved.
  const bool committed = is_move || payloads_[payload].phase == Phase::committed;
  payloads_[payload].operation = no_slot;
  if (!committed) index_due(payload);
  join_victims(payload);
}

void Catalog::attach(Slot slot, const Waiter& waiter) {
  operations_[slot].waiters.push_back(waiter);
  if (waiter.ticket != 0) operation_by_ticket_[waiter.ticket] = slot;
}

void Catalog::run(Slot slot) {
  Operation& operation = operations_[slot];
  operation.stage = Stage::running;
  const Object object{operation.tier, operation.id, operation.generation, {}, operation.length};
  if (operation.action == Action::allocate) {
    changes_->effects.emplace_back(
        AllocateEffect{slot, object, operation.layout, operation.owner_uid});
    return;
  }
  Payload& payload = payloads_[operation.payload];
  const Copy& source = *find_copy(payload, operation.source_generation);
  changes_->effects.emplace_back(MoveEffect{slot, object_of(payload, source), object,
                                            checksum_of(operation.payload), operation.layout,
                                            operation.owner_uid});
}

// ---- allocate ----

void Catalog::on(const Allocate& command) {
  Waiter waiter{.ticket = command.ticket};
  if (is_repeat(command.request, command.ticket, waiter.request)) return;
  if (stopping_) return refuse(waiter, Reason::shutting_down);
  if (command.size_bytes == 0 || command.size_bytes > limits_.payload_bytes_max) {
    return refuse(waiter, Reason::payload_size_invalid);
  }
  if (command.labels != nullptr && command.labels->size() > labels_max) {
    return refuse(waiter, Reason::labels_full);
  }
  if (command.tier >= tiers_.size()) return refuse(waiter, Reason::tier_unknown);
  const Tier& tier = tiers_[command.tier];
  if ((tier.facts.traits & traits_keeps_bytes) == 0) {
    return refuse(waiter, Reason::tier_keeps_no_bytes);
  }
  if (const Reason why = service_obstacle(command.tier); why != Reason::none) {
    return refuse(waiter, why);
  }
  if (command.only_if_free && !has_free_room(command.tier, command.size_bytes)) {
    return refuse(waiter, Reason::tier_full);
  }

  const Slot slot = payloads_.add();
  Payload& payload = payloads_[slot];
  payload.id = command.id;
  payload.size_bytes = command.size_bytes;
  payload.created_at_ns = now_.wall_ns;
  payload.order = ++order_;
  payload.retention = command.retention;
  const bool kept = command.retention.no_evict || command.retention.priority == Priority::never;
  if (command.ttl_ns != 0 && !kept) {
    payload.expires_at_ns = now_.wall_ns + static_cast<std::int64_t>(command.ttl_ns);
  }
  if (payload.expires_at_ns == 0) give_up_ns_[slot] = now_.mono_ns + limits_.uncommitted_max_ns;
  payload_by_id_.insert(slot);
  if (command.labels != nullptr && !command.labels->empty()) add_to(slot).labels = command.labels;
  if (!command.owner.empty()) take_owner(slot, command.owner);
  if (command.session != 0) {
    const Slot session = take_session(command.session);
    allocation_session_[slot] = session;
    allocation_by_session_.insert(session, slot);
  }
  if (command.copy_to != no_tier && command.copy_to < tiers_.size()) {
    copy_to_[slot] = {command.copy_to, command.rule};
  }
  rule_ = command.rule;
  const Slot operation = start_operation(slot, Action::allocate, command.tier);
  payloads_[slot].asks_sealed = command.layout == Layout::sealed;
  operations_[operation].layout = command.layout;
  operations_[operation].owner_uid = command.owner_uid;
  operations_[operation].deadline_ns = command.deadline_ns;
  // A tier that says it is full all the same is not asked again: something would have to leave.
  if (command.only_if_free) operations_[operation].attempts = allocate_attempts_max;
  attach(operation, waiter);
  const Reason why = admit(operation);
  if (why == Reason::none) return;
  refuse_all(operation, why);
  end_operation(operation);
  erase(slot, 0);
}

void Catalog::on(const Allocated& report) {
  Operation& operation = operations_[report.operation];
  const Slot slot = operation.payload;
  const TierIndex tier = operation.tier;
  if (!report.outcome.ok()) {
    if (report.outcome.code == code_resource_exhausted &&
        operation.attempts + 1 < allocate_attempts_max && !stopping_) {
      ++operation.attempts;
      // The tier is fuller than it should be: as if its room were taken by others.
      tiers_[tier].used_bytes -= operation.room_bytes;
      const std::uint64_t capacity = tiers_[tier].facts.capacity_bytes;
      const std::uint64_t free = capacity - std::min(tiers_[tier].used_bytes, capacity);
      tiers_[tier].decides_itself = true;
      make_room(tier, free + operation.room_bytes);
      tiers_[tier].decides_itself = false;
      if (tiers_[tier].leaving_bytes > 0) return enqueue(report.operation, Place::in_front);
      tiers_[tier].used_bytes += operation.room_bytes;
    }
    const bool full = report.outcome.code == code_resource_exhausted;
    refuse_all(report.operation, full ? Reason::tier_full : Reason::storage_error, &report.outcome);
    if (report.outcome.code == code_data_loss) fail_tier(tier);
    // What is left there takes its room until it is removed.
    const std::uint64_t freed_bytes = report.object_remains ? 0 : operation.room_bytes;
    const Object object{tier, operation.id, operation.generation, report.cookie, operation.length};
    end_operation(report.operation);
    erase(slot, 0);
    if (report.object_remains) {
      ++tiers_[tier].copies;
      doom(object, {}, 0);
    }
    return give_back(tier, freed_bytes);
  }
  Payload& payload = payloads_[slot];
  rule_ = operation.rule;
  Copy copy;
  copy.generation = operation.generation;
  copy.tier = tier;
  copy.cookie = PackedCookie(report.cookie);
  add_copy(payload, std::move(copy));
  payload.phase = Phase::allocated;
  ++uncommitted_count_;
  payload.revision = 1;
  relist(slot);
  const std::vector<Waiter> waiters = std::move(operation.waiters);
  // `operation` was begun when nothing was due; from now on the allocation can grow too old.
  end_operation(report.operation);
  // Nobody learned of the payload when all who asked went away.
  if (waiters.empty()) return erase(slot, 0, EventKind::none);
  tell(EventKind::allocated, Cause::request, slot, no_tier);
  for (const Waiter& waiter : waiters) answer_with_view(waiter, slot);
}

// ---- commit ----

void Catalog::on(const Commit& command) {
  Waiter waiter{.ticket = command.ticket};
  if (is_repeat(command.request, command.ticket, waiter.request)) return;
  const Slot slot = find_live(command.id, now_);
  if (const Reason why = seal_obstacle(slot); why != Reason::none) {
    return refuse_for(slot, waiter, why);
  }
  seal(slot, payloads_[slot].size_bytes, false, command.checksum, waiter);
}

Reason Catalog::seal_obstacle(Slot slot) const {
  if (slot == no_slot || payloads_[slot].phase == Phase::allocating) {
    return Reason::payload_not_found;
  }
  const Payload& payload = payloads_[slot];
  if (payload.phase != Phase::allocated) return Reason::payload_already_committed;
  if (payload.operation != no_slot) return Reason::payload_busy;
  return service_obstacle(payload.first.tier);
}

void Catalog::seal(Slot slot, std::uint64_t length, bool import, const ChecksumDemand& checksum,
                   const Waiter& waiter) {
  const Payload& payload = payloads_[slot];
  const Slot operation = start_operation(slot, Action::seal, payload.first.tier);
  operations_[operation].import = import;
  attach(operation, waiter);
  changes_->effects.emplace_back(
      SealEffect{operation, object_of(payload, payload.first), length, import, checksum,
                 payload.asks_sealed ? Layout::sealed : Layout::segment});
}

void Catalog::refuse_seal(const Sealed& report) {
  const Operation& operation = operations_[report.operation];
  const std::int32_t code = report.outcome.code;
  Reason why = Reason::storage_error;
  if (report.checksum_differs) {
    why = Reason::commit_checksum_mismatch;
  } else if (code == code_failed_precondition || code == code_not_found) {
    why = operation.import  ? Reason::import_length_mismatch
          : report.is_whole ? Reason::writer_not_done
                            : Reason::writer_changed_length;
  } else if (code == code_cancelled && stopping_) {
    why = Reason::shutting_down;
  } else if (code == code_data_loss) {
    fail_tier(operation.tier);
  }
  refuse_all(report.operation, why, &report.outcome);
}

void Catalog::on(const Sealed& report) {
  Operation& operation = operations_[report.operation];
  const Slot slot = operation.payload;
  const TierIndex tier = operation.tier;
  const std::uint64_t freed_bytes = report.length != 0 ? shorten(slot, report.length) : 0;
  if (report.checksum_differs || !report.outcome.ok()) {
    refuse_seal(report);
    end_operation(report.operation);
    if (without_writer_.contains(slot)) give_up(slot);
    if (freed_bytes != 0) give_back(tier, freed_bytes);
    return;
  }
  Payload& payload = payloads_[slot];
  const std::vector<Waiter> waiters = std::move(operation.waiters);
  set_checksum(slot, report.checksum);
  payload.phase = Phase::committed;
  payload.revision = 2;
  leave_session_of(slot);
  without_writer_.erase(slot);
  --uncommitted_count_;
  give_up_ns_.erase(slot);
  index_due(slot);
  record_payload(slot);
  tell(EventKind::committed, Cause::request, slot, no_tier);
  end_operation(report.operation);
  for (const Waiter& waiter : waiters) answer_with_view(waiter, slot);
  offer(slot, payload.first.generation);
  if (freed_bytes != 0) give_back(tier, freed_bytes);
  make_second_copy(slot);
  if (tiers_[tier].is_relieved) relieve(tier);
}

// ---- delete ----

void Catalog::on(const Delete& command) {
  Waiter waiter{.ticket = command.ticket};
  if (is_repeat(command.request, command.ticket, waiter.request)) return;
  const Slot slot = find_live(command.id, now_);
  if (slot == no_slot || payloads_[slot].phase == Phase::allocating) {
    return refuse(waiter, Reason::payload_not_found);
  }
  const Payload& payload = payloads_[slot];
  if (command.only_uncommitted && payload.phase != Phase::allocated) {
    return refuse_for(slot, waiter, Reason::payload_already_committed);
  }
  if (!command.force && !is_planted(Mutant::delete_ignores_leases) && has_readers(slot)) {
    return refuse_for(slot, waiter, Reason::payload_leased);
  }
  // A tier that is sealing it must not be asked to remove it meanwhile.
  if (payload.operation != no_slot && operations_[payload.operation].action != Action::move) {
    return refuse(waiter, Reason::payload_busy);
  }
  erase(slot, 0);
  Reply reply;
  reply.lsn = changes_->lsn;
  answer(waiter, std::move(reply));
}

}  // namespace pm::catalog
