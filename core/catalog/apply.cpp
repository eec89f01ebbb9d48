#include <algorithm>
#include <utility>

#include "catalog.h"
#include "mutant.h"

// Dispatch, the memory of request ids, replies and records.

namespace pm::catalog {

Catalog::Catalog(const Limits& limits, std::vector<TierFacts> tiers, std::uint64_t epoch)
    : limits_(limits),
      streams_(limits.streams, epoch),
      scores_(tiers.size()),
      generation_(epoch << 40) {
  tiers_.resize(tiers.size());
  for (std::size_t index = 0; index < tiers.size(); ++index) tiers_[index].facts = tiers[index];
}

void Catalog::apply(const Command& command, const Clocks& now, Changes& changes) {
  now_ = now;
  changes_ = &changes;
  rule_ = 0;
  std::visit([this](const auto& alternative) { on(alternative); }, command);
  changes_ = nullptr;
}

// True when the request has been answered before, or will be together with the first: then there
// is nothing to do. Otherwise `request` remembers it.
bool Catalog::is_repeat(const RequestKey& key, Ticket ticket, Slot& request) {
  if (!key.given) return false;
  if (const Slot slot = request_by_id_.find(key.key); slot != no_slot) {
    Request& known = requests_[slot];
    if (known.digest != key.digest && !is_planted(Mutant::request_id_alone_is_a_repeat)) {
      refuse({.ticket = ticket}, Reason::request_id_reused);
    } else if (known.answered) {
      Reply reply = known.reply;
      reply.ticket = ticket;
      reply.is_repeat = true;
      changes_->replies.push_back(std::move(reply));
    } else {
      known.followers.push_back(ticket);
    }
    return true;
  }
  if (requests_.size() >= limits_.requests_max) {
    if (const auto oldest = request_due_.first()) forget_request(oldest->slot);
  }
  request = requests_.add();
  requests_[request].id = key.key;
  requests_[request].digest = key.digest;
  request_by_id_.insert(request);
  return false;
}

void Catalog::forget_request(Slot slot) {
  Request& request = requests_[slot];
  if (request.answered) {
    request_due_.remove(static_cast<std::uint64_t>(request.answered_at_ns), slot);
    if (request.reply.lsn != 0) {
      changes_->records.emplace_back(RequestRecord{request.id, true, 0, 0, {}});
      take_lsn();
    }
  }
  request_by_id_.remove(slot);
  requests_.remove(slot);
}

// Successes are remembered for repeats; a failure changed nothing, so its repeat is tried anew.
void Catalog::answer(const Waiter& waiter, Reply reply) {
  operation_by_ticket_.erase(waiter.ticket);
  if (waiter.request != no_slot) {
    Request& request = requests_[waiter.request];
    std::vector<Ticket> followers = std::move(request.followers);
    request.followers.clear();
    for (const Ticket follower : followers) {
      Reply copy = reply;
      copy.ticket = follower;
      changes_->replies.push_back(std::move(copy));
    }
    if (reply.reason == Reason::none) {
      request.answered = true;
      request.answered_at_ns = now_.wall_ns;
      request.reply = reply;
      request_due_.insert(static_cast<std::uint64_t>(now_.wall_ns), waiter.request);
      // Kept beyond this life only with what it changed: an allocation dies with the host.
      if (changes_->lsn != 0 && reply.lsn == changes_->lsn) {
        changes_->records.emplace_back(
            RequestRecord{request.id, false, request.digest, request.answered_at_ns, reply});
      }
    } else {
      forget_request(waiter.request);
    }
  }
  if (waiter.ticket == 0) return;
  reply.ticket = waiter.ticket;
  changes_->replies.push_back(std::move(reply));
}

void Catalog::refuse(const Waiter& waiter, Reason reason, const Outcome* outcome) {
  Reply reply;
  reply.reason = reason;
  if (reason == Reason::payload_not_found) reply.lsn = last_erase_lsn_;
  if (outcome != nullptr) {
    reply.storage_code = outcome->code;
    reply.message = outcome->message;
  }
  answer(waiter, std::move(reply));
}

void Catalog::refuse_for(Slot payload, const Waiter& waiter, Reason reason) {
  if (reason == Reason::payload_not_found) return refuse(waiter, reason);
  Reply reply;
  reply.reason = reason;
  reply.lsn = payloads_[payload].lsn;
  if (reason == Reason::payload_lost) reply.view = view_of(payload);
  answer(waiter, std::move(reply));
}

void Catalog::answer_with_view(const Waiter& waiter, Slot payload) {
  if (waiter.wants_lease) return grant_lease(payload, waiter);
  Reply reply;
  reply.has_view = true;
  reply.view = view_of(payload);
  reply.lsn = payloads_[payload].lsn;
  answer(waiter, std::move(reply));
}

void Catalog::refuse_all(Slot operation, Reason reason, const Outcome* outcome) {
  const std::vector<Waiter> waiters = std::move(operations_[operation].waiters);
  operations_[operation].waiters.clear();
  for (const Waiter& waiter : waiters) refuse(waiter, reason, outcome);
}

// All records of one apply() are one group.
std::uint64_t Catalog::take_lsn() {
  if (changes_->lsn == 0) changes_->lsn = ++lsn_;
  return changes_->lsn;
}

void Catalog::record_payload(Slot slot) {
  Payload& payload = payloads_[slot];
  payload.lsn = take_lsn();
  PayloadRecord record;
  record.id = payload.id;
  record.lost = payload.phase == Phase::lost;
  record.size_bytes = payload.size_bytes;
  record.revision = payload.revision;
  record.created_at_ns = payload.created_at_ns;
  record.expires_at_ns = payload.expires_at_ns;
  record.order = payload.order;
  record.checksum = checksum_of(slot);
  record.retention = payload.retention;
  if (payload.has_extras) record.additions = additions_of(slot);
  if (payload.owner != no_slot) record.owner = owners_[payload.owner].name;
  each_copy(payload, [&](const Copy& copy) {
    if (copy.publication == Publication::published || copy.publication == Publication::watched) {
      holds_->revise(copy.generation, payload.revision);
    }
    const bool bad = copy.bad && !is_planted(Mutant::bad_copy_is_not_recorded);
    record.copies.push_back({copy.tier, copy.generation, bad, copy.cookie.unpack()});
    if (survives_power(copy.tier)) changes_->power = true;
  });
  std::stable_partition(record.copies.begin(), record.copies.end(),
                        [](const CopyRecord& copy) { return !copy.bad; });
  changes_->records.emplace_back(std::move(record));
}

// The one that waits is answered; what it set in motion goes on, unless nothing has begun yet.
void Catalog::on(const Cancel& command) {
  const auto found = operation_by_ticket_.find(command.ticket);
  if (found == operation_by_ticket_.end()) return;
  const Slot slot = found->second;
  Operation& operation = operations_[slot];
  for (std::size_t index = 0; index < operation.waiters.size(); ++index) {
    if (operation.waiters[index].ticket != command.ticket) continue;
    const Waiter waiter = operation.waiters[index];
    operation.waiters.erase(operation.waiters.begin() + static_cast<std::ptrdiff_t>(index));
    refuse(waiter, Reason::request_cancelled);
    break;
  }
  if (!operation.waiters.empty() || operation.stage == Stage::running) return;
  abandon(slot, Reason::request_cancelled);
}

void Catalog::on(const Shutdown&) {
  stopping_ = true;
  // Whatever waits has a deadline, also what nobody is to be answered for.
  while (const auto waiting = operation_due_.first()) {
    abandon(waiting->slot, Reason::shutting_down);
  }
}

void Catalog::on(const Tick&) {
  constexpr int things_max = 256;
  int things = 0;
  const auto due = [&](const OrderedIndex& index, std::uint64_t now) -> Slot {
    const auto first = index.first();
    if (!first || first->key > now) return no_slot;
    if (++things > things_max) {
      changes_->more = true;
      return no_slot;
    }
    return first->slot;
  };
  while (!ended_sessions_.empty() && things <= things_max) {
    if (!end_some(ended_sessions_.back(), things)) break;
    ended_sessions_.pop_back();
  }
  const auto wall = static_cast<std::uint64_t>(now_.wall_ns);
  const bool leases_end = !is_planted(Mutant::lease_never_ends);
  while (const Slot slot = due(lease_due_, leases_end ? now_.mono_ns : 0)) end_lease(slot);
  while (const Slot slot = due(operation_due_, now_.mono_ns)) {
    const bool leased = operations_[slot].stage == Stage::waiting_for_leases;
    const Reason why = service_obstacle(operations_[slot].tier);
    const Reason no_room = why != Reason::none ? why : Reason::tier_full;
    abandon(slot, leased ? Reason::payload_leased : no_room);
  }
  while (const Slot slot = due(removal_due_, now_.mono_ns)) {
    removal_due_.remove(doomed_[slot].not_before_ns, slot);
    doomed_[slot].not_before_ns = 0;
    doomed_[slot].removing = false;
    remove_when_due(slot);
  }
  // Each label stands in two indexes.
  const auto labels_of = [&](Slot slot) {
    const auto& labels = additions_of(slot).labels;
    return labels ? static_cast<int>(labels->size()) : 0;
  };
  while (const Slot slot = due(give_up_due_, now_.mono_ns)) {
    things += labels_of(slot);
    give_up(slot);
  }
  while (const Slot slot = due(payload_due_, wall)) {
    things += labels_of(slot);
    if (payloads_[slot].phase == Phase::allocated) {
      give_up(slot);
    } else if (payloads_[slot].asks_retain) {
      ask_retain(slot);
    } else {
      erase(slot, 0, EventKind::expired);
    }
  }
  while (const Slot slot = due(pin_due_, wall)) unpin(slot, Cause::time);
  while (const Slot slot = due(request_due_, wall - limits_.requests_kept_ns)) {
    forget_request(slot);
  }
  ask_retain_anew(std::max(things_max - things, 0));
  resume_relief();
  streams_.tick({now_, *changes_, lsn_});
}

}  // namespace pm::catalog
