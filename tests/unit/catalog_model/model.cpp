#include "model.h"

#include <algorithm>

// Answers, the memory of requests, time and restarts.

namespace pm::catalog::naive {

void Model::apply(const Command& command, Serial number, Serial seen, std::uint64_t generation,
                  const Clocks& now, Outcomes& outcomes) {
  at_ = {number, seen, generation, now, &outcomes, false};
  std::visit([this](const auto& alternative) { on(alternative); }, command);
  ask_for_removals(std::holds_alternative<Tick>(command));
  at_.outcomes = nullptr;
}

// ---- answers ----

// True: the request is known, and whoever asked again is answered or will be.
bool Model::is_repeat(const RequestKey& request, Caller& caller) {
  if (!request.given) return false;
  const auto known = requests_.find(request.key.bytes);
  if (known == requests_.end()) {
    requests_[request.key.bytes].digest = request.digest;
    caller.request = request.key.bytes;
    return false;
  }
  if (known->second.digest != request.digest) {
    refuse(caller, Reason::request_id_reused);
  } else if (known->second.answered) {
    Reply reply = known->second.reply;
    reply.ticket = caller.ticket;
    reply.is_repeat = true;
    at_.outcomes->replies.push_back(reply);
  } else {
    known->second.followers.push_back(caller.ticket);
  }
  return true;
}

void Model::answer(const Caller& caller, Reply reply) {
  if (caller.request) {
    Remembered& request = requests_[*caller.request];
    for (const Ticket follower : request.followers) {
      reply.ticket = follower;
      at_.outcomes->replies.push_back(reply);
    }
    request.followers.clear();
    if (reply.reason == Reason::none) {
      request.answered = true;
      request.answered_at_ns = at_.now.wall_ns;
      request.is_durable = at_.has_written && reply.lsn == at_.number;
      request.reply = reply;
    } else {
      requests_.erase(*caller.request);
    }
  }
  if (caller.ticket == 0) return;
  reply.ticket = caller.ticket;
  at_.outcomes->replies.push_back(reply);
}

void Model::refuse(const Caller& caller, Reason reason, const catalog::Outcome* outcome) {
  Reply reply;
  reply.reason = reason;
  if (reason == Reason::payload_not_found) reply.lsn = payloads_erased_;
  if (outcome != nullptr) {
    reply.storage_code = outcome->code;
    reply.message = outcome->message;
  }
  answer(caller, reply);
}

void Model::refuse_for(const Held* payload, const Caller& caller, Reason reason) {
  if (reason == Reason::payload_not_found) return refuse(caller, reason);
  Reply reply;
  reply.reason = reason;
  reply.lsn = payload->written;
  if (reason == Reason::payload_lost) reply.view = view_of(*payload);
  answer(caller, reply);
}

void Model::refuse_all(std::uint64_t work, Reason reason, const catalog::Outcome* outcome) {
  std::vector<Caller> callers;
  callers.swap(works_.at(work).callers);
  for (const Caller& caller : callers) refuse(caller, reason, outcome);
}

// The payload as it is now, with a lease for those who asked for one.
void Model::show(const Caller& caller, const Key& key) {
  Held& payload = payloads_.at(key);
  if (caller.asked) return grant(payload, caller);
  Reply reply;
  reply.has_view = true;
  reply.view = view_of(payload);
  reply.lsn = payload.written;
  answer(caller, reply);
}

View Model::view_of(const Held& payload) const {
  View view;
  view.id = payload.id;
  view.size_bytes = payload.size_bytes;
  view.revision = payload.revision;
  view.created_at_ns = payload.created_at_ns;
  view.expires_at_ns = payload.expires_at_ns;
  view.order = payload.order;
  view.leases = static_cast<std::uint32_t>(leases_of(payload));
  view.phase = payload.phase;
  view.retention = payload.retention;
  view.checksum = payload.checksum;
  if (payload.work != 0 && payload.phase == Phase::committed) {
    const Work& work = works_.at(payload.work);
    view.spilling = work.downward && work.stage == Stage::runs;
  }
  if (!payload.labels.empty()) {
    Labels labels;
    for (const auto& [name, value] : payload.labels) labels.push_back({name, value});
    view.additions.labels = std::make_shared<const Labels>(std::move(labels));
  }
  view.additions.pinned = payload.pinned;
  view.additions.pin_expires_at_ns = payload.pin_expires_at_ns;
  view.additions.has_metadata = payload.has_metadata;
  view.additions.metadata_events = payload.metadata_events;
  view.additions.last_event_at_ns = payload.last_event_at_ns;
  view.additions.parents = payload.parents;
  view.additions.has_children = payload.has_children;
  if (const HeldCopy* copy = shown(payload)) {
    view.tier = copy->tier;
    view.generation = copy->generation;
    view.durable = payload.phase == Phase::committed && rules_.tiers[copy->tier].survives_power;
  } else if (payload.phase == Phase::lost) {
    for (const HeldCopy& copy : payload.copies) {
      const bool is_first = view.bad_tier == no_tier;
      if (is_first || rules_.tiers[copy.tier].rank < rules_.tiers[view.bad_tier].rank) {
        view.bad_tier = copy.tier;
      }
    }
  }
  return view;
}

// ---- what is written and told ----

Serial Model::write() {
  at_.has_written = true;
  return at_.number;
}

void Model::record(Held& payload) { payload.written = write(); }

void Model::tell(EventKind kind, Cause cause, const Held& payload, TierIndex from) {
  const HeldCopy* copy = shown(payload);
  Event event;
  event.kind = kind;
  event.cause = cause;
  event.tier = copy != nullptr ? copy->tier : no_tier;
  event.from = from;
  event.id = payload.id;
  event.revision = payload.revision;
  event.size_bytes = payload.size_bytes;
  event.wall_ns = at_.now.wall_ns;
  at_.outcomes->events.push_back(event);
}

void Model::tell_refused(Cause cause, const Held& payload, TierIndex target, Reason why) {
  const HeldCopy* copy = shown(payload);
  tell(EventKind::refused, cause, payload, copy != nullptr ? copy->tier : no_tier);
  at_.outcomes->events.back().target = target;
  at_.outcomes->events.back().why = why;
}

// ---- finding ----

bool Model::is_live(const Held& payload, const Clocks& now) const {
  if (payload.phase == Phase::allocating) return false;
  return payload.expires_at_ns == 0 || payload.expires_at_ns > now.wall_ns;
}

Held* Model::find(const Id& id) {
  const auto found = payloads_.find(id.bytes);
  if (found == payloads_.end() || !is_live(found->second, at_.now)) return nullptr;
  return &found->second;
}

const HeldCopy* Model::shown(const Held& payload) const {
  const HeldCopy* fastest = nullptr;
  for (const HeldCopy& copy : payload.copies) {
    if (copy.bad) continue;
    if (fastest == nullptr || rules_.tiers[copy.tier].rank < rules_.tiers[fastest->tier].rank) {
      fastest = &copy;
    }
  }
  return fastest;
}

// Of those on copies that it still has.
std::size_t Model::leases_of(const Held& payload) const {
  std::size_t count = 0;
  for (const HeldLease& lease : leases_) {
    for (const HeldCopy& copy : payload.copies) count += copy.generation == lease.generation;
  }
  return count;
}

Reason Model::resolve(const Id& id, const Clocks& now, View& view) const {
  const auto found = payloads_.find(id.bytes);
  if (found == payloads_.end() || !is_live(found->second, now)) return Reason::payload_not_found;
  view = view_of(found->second);
  return found->second.phase == Phase::lost ? Reason::payload_lost : Reason::none;
}

std::vector<Key> Model::newest_first(TierIndex tier) const {
  std::vector<std::pair<std::uint64_t, Key>> found;
  for (const auto& [key, payload] : payloads_) {
    if (payload.phase == Phase::allocating) continue;
    const HeldCopy* copy = shown(payload);
    if (tier != no_tier && (copy == nullptr || copy->tier != tier)) continue;
    found.emplace_back(payload.order, key);
  }
  std::sort(found.rbegin(), found.rend());
  std::vector<Key> keys;
  for (const auto& [order, key] : found) keys.push_back(key);
  return keys;
}

bool Model::is_known_object(std::uint64_t generation) const {
  if (works_.contains(generation) || leaving_.contains(generation)) return true;
  for (const auto& [key, payload] : payloads_) {
    for (const HeldCopy& copy : payload.copies) {
      if (copy.generation == generation) return true;
    }
  }
  return false;
}

// ---- time ----

void Model::on(const Cancel& command) {
  for (auto& [generation, work] : works_) {
    for (std::size_t index = 0; index < work.callers.size(); ++index) {
      if (work.callers[index].ticket != command.ticket) continue;
      const Caller caller = work.callers[index];
      work.callers.erase(work.callers.begin() + static_cast<std::ptrdiff_t>(index));
      refuse(caller, Reason::request_cancelled);
      // Nobody wants it any more: what has not begun does not begin.
      if (work.callers.empty() && work.waits()) {
        abandon(generation, Reason::request_cancelled);
      }
      return;
    }
  }
}

// The work that waits and has the earliest deadline until `until_ns`.
static std::optional<std::uint64_t> earliest(const std::map<std::uint64_t, Work>& works,
                                             std::uint64_t until_ns) {
  std::optional<std::uint64_t> first;
  for (const auto& [generation, work] : works) {
    if (!work.waits() || work.deadline_ns > until_ns) continue;
    if (!first || work.deadline_ns < works.at(*first).deadline_ns) first = generation;
  }
  return first;
}

void Model::on(const Shutdown&) {
  stopping_ = true;
  while (const auto work = earliest(works_, UINT64_MAX)) abandon(*work, Reason::shutting_down);
}

void Model::on(const Mounted&) { write(); }

void Model::on(const Tick&) {
  while (true) {
    const auto first = std::min_element(
        leases_.begin(), leases_.end(),
        [](const HeldLease& a, const HeldLease& b) { return a.expires_ns < b.expires_ns; });
    if (first == leases_.end() || first->expires_ns > at_.now.mono_ns) break;
    end_lease(static_cast<std::size_t>(first - leases_.begin()));
  }
  while (const auto work = earliest(works_, at_.now.mono_ns)) {
    const bool leased = works_.at(*work).stage == Stage::waits_for_leases;
    const Reason sick = sickness(works_.at(*work).tier);
    const Reason no_room = sick != Reason::none ? sick : Reason::tier_full;
    abandon(*work, leased ? Reason::payload_leased : no_room);
  }
  while (true) {
    const Held* first = nullptr;
    for (const auto& [key, payload] : payloads_) {
      const bool written = payload.phase == Phase::allocated && payload.work == 0;
      if (!written || payload.expires_at_ns != 0) continue;
      if (payload.asked_for_ns + rules_.uncommitted_max_ns > at_.now.mono_ns) continue;
      if (first == nullptr || payload.asked_for_ns < first->asked_for_ns) first = &payload;
    }
    if (first == nullptr) break;
    erase(Key(first->id.bytes), at_.now.mono_ns + rules_.orphan_grace_ns, EventKind::deleted);
  }
  while (true) {
    const Held* first = nullptr;
    for (const auto& [key, payload] : payloads_) {
      const std::int64_t due = due_ns(payload);
      if (due == 0 || due > at_.now.wall_ns) continue;
      if (first == nullptr || due < due_ns(*first)) first = &payload;
    }
    if (first == nullptr) break;
    const bool written = first->phase == Phase::allocated;
    erase(Key(first->id.bytes), written ? at_.now.mono_ns + rules_.orphan_grace_ns : 0,
          written ? EventKind::deleted : EventKind::expired);
  }
  while (true) {
    Held* first = nullptr;
    for (auto& [key, payload] : payloads_) {
      const std::int64_t ends = payload.pin_expires_at_ns;
      if (ends == 0 || ends > at_.now.wall_ns) continue;
      if (first == nullptr || ends < first->pin_expires_at_ns) first = &payload;
    }
    if (first == nullptr) break;
    unpin(*first, Cause::time);
  }
  const auto kept_ns = static_cast<std::int64_t>(rules_.requests_kept_ns);
  std::erase_if(requests_, [&](const auto& entry) {
    return entry.second.answered && entry.second.answered_at_ns <= at_.now.wall_ns - kept_ns;
  });
}

// ---- restart ----

Model Model::restart(std::uint64_t life, std::uint64_t quarantine_until_ns) const {
  Model next(rules_, life);
  next.rules_.quarantine_until_ns = quarantine_until_ns;
  next.payloads_ = payloads_;
  std::erase_if(next.payloads_, [](const auto& entry) {
    return entry.second.phase != Phase::committed && entry.second.phase != Phase::lost;
  });
  std::map<std::uint64_t, Held*> by_order;
  for (auto& [key, payload] : next.payloads_) {
    payload.work = 0;
    for (HeldCopy& copy : payload.copies) copy.checks = 0;
    payload.written = payload.metadata_written = payload.parents_written = 0;
    payload.idle_since = 0;
    next.order_ = std::max(next.order_, payload.order);
    by_order.emplace(payload.order, &payload);
  }
  // Nobody remembers who was used last: as if each had been used when it was made.
  for (const auto& [order, payload] : by_order) next.settle_idle(*payload);
  for (const auto& [key, request] : requests_) {
    if (!request.is_durable) continue;
    next.requests_[key] = request;
    next.requests_[key].reply.lsn = earlier_life;
  }
  next.streams_ = streams_;
  for (auto& [name, stream] : next.streams_) {
    for (auto& [group, held] : stream.groups) held.written = earlier_life;
  }
  for (std::size_t tier = 0; tier < tiers_.size(); ++tier) {
    next.tiers_[tier].failed = tiers_[tier].failed;
  }
  return next;
}

}  // namespace pm::catalog::naive
