#include <algorithm>

#include "model.h"

// Allocate, commit, delete, pins, labels and leases.

namespace pm::catalog::naive {

namespace {

constexpr std::int32_t code_cancelled = 1;
constexpr std::int32_t code_not_found = 5;
constexpr std::int32_t code_resource_exhausted = 8;
constexpr std::int32_t code_failed_precondition = 9;
constexpr std::int32_t code_data_loss = 15;
constexpr std::size_t labels_at_most = 64;
constexpr int allocations_tried = 3;

}  // namespace

// ---- allocate ----

void Model::on(const Allocate& command) {
  Caller caller{.ticket = command.ticket};
  if (is_repeat(command.request, caller)) return;
  if (stopping_) return refuse(caller, Reason::shutting_down);
  if (command.size_bytes == 0 || command.size_bytes > rules_.payload_bytes_max) {
    return refuse(caller, Reason::payload_size_invalid);
  }
  if (command.labels != nullptr && command.labels->size() > labels_at_most) {
    return refuse(caller, Reason::labels_full);
  }
  if (command.tier >= tiers_.size()) return refuse(caller, Reason::tier_unknown);
  if (!rules_.tiers[command.tier].keeps_bytes) return refuse(caller, Reason::tier_keeps_no_bytes);
  if (sickness(command.tier) != Reason::none) return refuse(caller, sickness(command.tier));
  if (command.only_if_free && !has_room(command.tier, charge(command.tier, command.size_bytes))) {
    return refuse(caller, Reason::tier_full);
  }
  Held& payload = payloads_[command.id.bytes];
  payload.id = command.id;
  payload.size_bytes = command.size_bytes;
  payload.created_at_ns = at_.now.wall_ns;
  payload.asked_for_ns = at_.now.mono_ns;
  payload.order = ++order_;
  payload.retention = command.retention;
  const bool never = command.retention.no_evict || command.retention.priority == Priority::never;
  if (command.ttl_ns != 0 && !never) {
    payload.expires_at_ns = at_.now.wall_ns + static_cast<std::int64_t>(command.ttl_ns);
  }
  if (command.labels != nullptr) {
    for (const Label& label : *command.labels) payload.labels[label.key] = label.value;
  }
  const std::uint64_t generation = start(payload, Work::Kind::allocate, command.tier);
  Work& work = works_.at(generation);
  work.deadline_ns = command.deadline_ns;
  work.attempts = command.only_if_free ? allocations_tried : 0;
  work.callers.push_back(caller);
  const Reason why = admit(generation);
  if (why == Reason::none) return;
  refuse_all(generation, why);
  end(generation);
  erase(command.id.bytes, 0, EventKind::none);
}

// The tier is fuller than it should be. Perhaps somebody can leave it.
void Model::retry_allocation(std::uint64_t generation, const Allocated& report, bool& waits) {
  Work& work = works_.at(generation);
  waits = false;
  if (report.outcome.code != code_resource_exhausted || stopping_) return;
  if (++work.attempts >= allocations_tried) return;
  // Looked at as if others had all the room that is free.
  work.stage = Stage::begins;
  const std::uint64_t free = rules_.tiers[work.tier].capacity_bytes - used_bytes(work.tier);
  make_room(work.tier, free + work.room_bytes);
  if (leaving_bytes(work.tier) == 0) {
    work.stage = Stage::runs;
    return;
  }
  waits = true;
  enqueue(generation, true);
}

void Model::on(const Allocated& report) {
  const std::uint64_t generation = at_.generation;
  if (!report.outcome.ok()) {
    bool waits = false;
    retry_allocation(generation, report, waits);
    if (waits) return;
    const Work work = works_.at(generation);
    const bool full = report.outcome.code == code_resource_exhausted;
    refuse_all(generation, full ? Reason::tier_full : Reason::storage_error, &report.outcome);
    if (report.outcome.code == code_data_loss) fail_tier(work.tier);
    end(generation);
    erase(work.payload, 0, EventKind::none);
    if (report.object_remains) doom(work.payload, {work.tier, generation}, work.length, 0);
    return pump_all(work.tier);
  }
  const Work work = works_.at(generation);
  Held& payload = payloads_.at(work.payload);
  payload.copies.push_back({work.tier, generation});
  payload.phase = Phase::allocated;
  payload.revision = 1;
  end(generation);
  if (work.callers.empty()) return erase(work.payload, 0, EventKind::none);
  tell(EventKind::allocated, Cause::request, payload, no_tier);
  for (const Caller& caller : work.callers) show(caller, work.payload);
}

// ---- commit and import ----

Reason Model::seal_obstacle(const Held* payload) const {
  if (payload == nullptr) return Reason::payload_not_found;
  if (payload->phase != Phase::allocated) return Reason::payload_already_committed;
  if (payload->work != 0) return Reason::payload_busy;
  return sickness(payload->copies[0].tier);
}

void Model::on(const Commit& command) {
  Caller caller{.ticket = command.ticket};
  if (is_repeat(command.request, caller)) return;
  Held* payload = find(command.id);
  const Reason why = seal_obstacle(payload);
  if (why != Reason::none) return refuse_for(payload, caller, why);
  seal(*payload, payload->size_bytes, false, command.checksum, caller);
}

void Model::on(const Import& command) {
  Caller caller{.ticket = command.ticket};
  if (is_repeat(command.request, caller)) return;
  Held* payload = find(command.id);
  const Reason why = seal_obstacle(payload);
  if (why != Reason::none) return refuse_for(payload, caller, why);
  if (!rules_.tiers[payload->copies[0].tier].takes_uploads) {
    return refuse(caller, Reason::import_not_uploadable);
  }
  if (command.size_bytes > payload->size_bytes) {
    return refuse(caller, Reason::import_length_mismatch);
  }
  const std::uint64_t length = command.size_bytes != 0 ? command.size_bytes : payload->size_bytes;
  seal(*payload, length, true, command.checksum, caller);
}

void Model::seal(Held& payload, std::uint64_t length, bool import, const ChecksumDemand& checksum,
                 const Caller& caller) {
  const std::uint64_t generation = start(payload, Work::Kind::seal, payload.copies[0].tier);
  works_.at(generation).import = import;
  works_.at(generation).callers.push_back(caller);
  SealEffect effect;
  effect.object = {payload.copies[0].tier, payload.id, generation, {}, payload.size_bytes};
  effect.length = length;
  effect.uploaded = import;
  effect.checksum = checksum;
  at_.outcomes->effects.emplace_back(effect);
}

void Model::on(const Sealed& report) {
  const std::uint64_t generation = at_.generation;
  const Work work = works_.at(generation);
  Held& payload = payloads_.at(work.payload);
  const std::uint64_t before = charge(work.tier, payload.size_bytes);
  if (report.length != 0) payload.size_bytes = report.length;
  const bool has_shrunk = charge(work.tier, payload.size_bytes) < before;
  const std::int32_t code = report.outcome.code;
  if (report.checksum_differs || code != 0) {
    Reason why = Reason::storage_error;
    if (report.checksum_differs) {
      why = Reason::commit_checksum_mismatch;
    } else if (code == code_failed_precondition || code == code_not_found) {
      why = work.import ? Reason::import_length_mismatch : Reason::writer_changed_length;
    } else if (code == code_cancelled && stopping_) {
      why = Reason::shutting_down;
    } else if (code == code_data_loss) {
      fail_tier(work.tier);
    }
    refuse_all(generation, why, &report.outcome);
    end(generation);
  } else {
    payload.checksum = report.checksum;
    payload.phase = Phase::committed;
    payload.revision = 2;
    record(payload);
    tell(EventKind::committed, Cause::request, payload, no_tier);
    end(generation);
    for (const Caller& caller : work.callers) show(caller, work.payload);
  }
  if (has_shrunk) pump_all(work.tier);
}

// ---- delete ----

void Model::on(const Delete& command) {
  Caller caller{.ticket = command.ticket};
  if (is_repeat(command.request, caller)) return;
  Held* payload = find(command.id);
  if (payload == nullptr) return refuse(caller, Reason::payload_not_found);
  if (command.only_uncommitted && payload->phase != Phase::allocated) {
    return refuse_for(payload, caller, Reason::payload_already_committed);
  }
  if (leases_of(*payload) > 0 && !command.force) {
    return refuse_for(payload, caller, Reason::payload_leased);
  }
  if (payload->work != 0 && works_.at(payload->work).kind == Work::Kind::seal) {
    return refuse(caller, Reason::payload_busy);
  }
  erase(command.id.bytes, 0, EventKind::deleted);
  Reply reply;
  reply.lsn = at_.has_written ? at_.number : 0;
  answer(caller, reply);
}

// ---- pins ----

void Model::on(const Pin& command) {
  Caller caller{.ticket = command.ticket};
  if (is_repeat(command.request, caller)) return;
  Held* payload = find(command.id);
  if (payload == nullptr) return refuse(caller, Reason::payload_not_found);
  if (payload->phase == Phase::lost) return refuse_for(payload, caller, Reason::payload_lost);
  payload->pinned = true;
  payload->pin_expires_at_ns =
      command.duration_ns == 0 ? 0
                               : at_.now.wall_ns + static_cast<std::int64_t>(command.duration_ns);
  settle_idle(*payload);
  // A move down that has begun ends; one that only waits does not begin.
  if (payload->work != 0) {
    const Work& work = works_.at(payload->work);
    if (work.downward && work.waits()) abandon(payload->work, Reason::payload_pinned);
  }
  if (payload->phase == Phase::committed) record(*payload);
  tell(EventKind::updated, Cause::request, *payload, no_tier);
  show(caller, command.id.bytes);
}

void Model::on(const Unpin& command) {
  Caller caller{.ticket = command.ticket};
  if (is_repeat(command.request, caller)) return;
  Reply reply;
  Held* payload = find(command.id);
  if (payload == nullptr) {
    reply.lsn = payloads_erased_;
  } else if (!payload->pinned) {
    reply.lsn = payload->written;
  } else {
    if (payload->phase != Phase::allocated) reply.lsn = at_.number;
    unpin(*payload, Cause::request);
  }
  answer(caller, reply);
}

void Model::unpin(Held& payload, Cause cause) {
  payload.pinned = false;
  payload.pin_expires_at_ns = 0;
  if (payload.phase != Phase::allocated) record(payload);
  tell(EventKind::updated, cause, payload, no_tier);
  settle_idle(payload);
  if (const HeldCopy* copy = shown(payload)) pump(copy->tier);
}

// ---- labels ----

void Model::on(const UpdateLabels& command) {
  Caller caller{.ticket = command.ticket};
  if (is_repeat(command.request, caller)) return;
  Held* payload = find(command.id);
  if (payload == nullptr) return refuse(caller, Reason::payload_not_found);
  if (payload->phase == Phase::lost) return refuse_for(payload, caller, Reason::payload_lost);
  std::map<std::string, std::string> labels = payload->labels;
  for (const std::string& key : command.remove) labels.erase(key);
  for (const Label& label : command.set) labels[label.key] = label.value;
  if (labels.size() > labels_at_most) return refuse(caller, Reason::labels_full);
  if (labels != payload->labels) {
    payload->labels = labels;
    if (payload->phase == Phase::committed) record(*payload);
    tell(EventKind::updated, Cause::request, *payload, no_tier);
  }
  show(caller, command.id.bytes);
}

// ---- leases ----

void Model::on(const AcquireLease& command) {
  Caller caller{.ticket = command.ticket, .asked = command};
  if (is_repeat(command.request, caller)) return;
  Held* payload = find(command.id);
  if (payload == nullptr) return refuse(caller, Reason::payload_not_found);
  if (payload->phase == Phase::lost) return refuse_for(payload, caller, Reason::payload_lost);
  if (payload->phase != Phase::committed) return refuse(caller, Reason::payload_not_committed);
  if (command.range_offset_bytes >= payload->size_bytes ||
      command.range_length_bytes > payload->size_bytes - command.range_offset_bytes) {
    return refuse(caller, Reason::range_outside_payload);
  }
  if (command.min_tier == no_tier) return grant(*payload, caller);
  if (command.min_tier >= tiers_.size()) return refuse(caller, Reason::tier_unknown);
  if (rules_.tiers[shown(*payload)->tier].rank <= rules_.tiers[command.min_tier].rank) {
    return grant(*payload, caller);
  }
  if (command.best_effort) return refuse(caller, Reason::min_tier_not_met);
  Promote up;
  up.tier = command.min_tier;
  up.deadline_ns = command.deadline_ns;
  promote(*payload, up, caller);
}

void Model::grant(Held& payload, const Caller& caller) {
  const AcquireLease& asked = *caller.asked;
  std::uint64_t duration = asked.duration_ns != 0 ? asked.duration_ns : rules_.lease_default_ns;
  duration = std::min(duration, rules_.lease_max_ns);
  leases_.push_back({asked.lease, payload.id.bytes, shown(payload)->generation,
                     at_.now.mono_ns + duration, asked.holder});
  settle_idle(payload);
  tell(EventKind::leased, Cause::request, payload, no_tier);
  Reply reply;
  reply.has_view = true;
  reply.view = view_of(payload);
  reply.lease = asked.lease;
  reply.lease_duration_ns = duration;
  reply.lease_expires_at_ns = at_.now.wall_ns + static_cast<std::int64_t>(duration);
  reply.range_offset_bytes = asked.range_offset_bytes;
  reply.range_length_bytes = asked.range_length_bytes;
  reply.lsn = payload.written;
  answer(caller, reply);
}

void Model::on(const RenewLease& command) {
  const Caller caller{.ticket = command.ticket};
  const auto found = std::find_if(leases_.begin(), leases_.end(), [&](const HeldLease& lease) {
    return lease.id == command.lease;
  });
  if (found == leases_.end() || found->expires_ns <= at_.now.mono_ns) {
    return refuse(caller, Reason::lease_not_found);
  }
  if (const auto leaving = leaving_.find(found->generation); leaving != leaving_.end()) {
    Reply refusal;
    refusal.reason = Reason::lease_not_found;
    refusal.lsn = leaving->second.written;
    return answer(caller, refusal);
  }
  Held& payload = payloads_.at(found->payload);
  for (const HeldCopy& copy : payload.copies) {
    if (copy.generation != found->generation || !copy.bad) continue;
    return refuse_for(&payload, caller, Reason::lease_not_found);
  }
  std::uint64_t duration = command.duration_ns != 0 ? command.duration_ns : rules_.lease_default_ns;
  duration = std::min(duration, rules_.lease_max_ns);
  found->expires_ns = std::max(found->expires_ns, at_.now.mono_ns + duration);
  Reply reply;
  reply.lease = command.lease;
  reply.lease_duration_ns = found->expires_ns - at_.now.mono_ns;
  reply.lease_expires_at_ns = at_.now.wall_ns + static_cast<std::int64_t>(reply.lease_duration_ns);
  answer(caller, reply);
}

void Model::on(const ReleaseLease& command) {
  for (std::size_t index = 0; index < leases_.size(); ++index) {
    if (leases_[index].id == command.lease) {
      end_lease(index);
      break;
    }
  }
  answer({.ticket = command.ticket}, Reply{});
}

void Model::end_lease(std::size_t index) {
  const HeldLease lease = leases_[index];
  leases_.erase(leases_.begin() + static_cast<std::ptrdiff_t>(index));
  if (leaving_.contains(lease.generation)) return;
  Held& payload = payloads_.at(lease.payload);
  if (leases_of(payload) > 0) return;
  if (payload.work != 0 && works_.at(payload.work).stage == Stage::waits_for_leases) {
    works_.at(payload.work).stage = Stage::begins;
    return go_down(payload.work);
  }
  settle_idle(payload);
  // Somebody may have looked for one who can leave, in vain.
  if (const HeldCopy* copy = shown(payload)) pump(copy->tier);
}

}  // namespace pm::catalog::naive
