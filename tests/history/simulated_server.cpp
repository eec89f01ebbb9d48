#include "simulated_server.h"

#include <algorithm>
#include <iterator>

namespace pm::history {

const char* bug_name(Bug bug) {
  static constexpr const char* names[] = {"none",
                                          "lost_update",
                                          "stale_read",
                                          "early_free",
                                          "double_grant",
                                          "ack_before_commit",
                                          "resurrected_delete",
                                          "revision_reused",
                                          "revision_goes_back",
                                          "request_executed_twice",
                                          "repeat_answered_anew",
                                          "dirty_read",
                                          "dirty_refusal",
                                          "noop_acknowledged_early",
                                          "lease_before_commit",
                                          "delete_ignores_lease",
                                          "spill_ignores_pin",
                                          "renew_after_forced_delete",
                                          "release_ends_all_leases",
                                          "pin_not_recorded",
                                          "labels_not_recorded",
                                          "metadata_read_stale",
                                          "event_number_reused",
                                          "promote_serves_other_bytes",
                                          "commit_acts_twice",
                                          "delete_leaves_reader_cache",
                                          "allocation_outlives_host",
                                          "stream_offset_reused",
                                          "append_torn",
                                          "append_lost"};
  static_assert(std::size(names) == static_cast<std::size_t>(Bug::count));
  return names[static_cast<std::size_t>(bug)];
}

// ---- the journal ----

std::uint64_t SimulatedServer::record(const std::string& name, const Object& object) {
  Group& group = journal_.emplace_back();
  group.lsn = ++lsn_;
  group.object = name;
  group.image = object;
  if (has(Bug::pin_not_recorded)) group.image.pinned = false;
  if (has(Bug::labels_not_recorded)) group.image.labels = kept_objects_[name].labels;
  group.image.lsn = group.lsn;
  objects_[name].lsn = group.lsn;
  return group.lsn;
}

bool SimulatedServer::write_journal() {
  if (journal_.empty()) return false;
  Group& group = journal_.front();
  durable_lsn_ = group.lsn;
  if (!group.object.empty()) kept_objects_[group.object] = group.image;
  if (!group.stream.empty()) kept_streams_[group.stream] = group.log;
  if (!group.request.empty()) kept_answers_[group.request] = group.answer;
  journal_.pop_front();
  return true;
}

void SimulatedServer::crash() {
  if (has(Bug::append_torn) && !journal_.empty() && !journal_.front().log.items.empty()) {
    Stream half = journal_.front().log;
    half.items.pop_back();
    if (half.items.size() > kept_streams_[journal_.front().stream].items.size()) {
      kept_streams_[journal_.front().stream] = half;
    }
  }
  std::map<std::string, Object> old;
  old.swap(objects_);
  for (auto& [name, object] : kept_objects_) {
    if (!object.there) continue;
    Object& restored = objects_[name] = object;
    restored.moving = false;
    restored.leases.clear();
    if (has(Bug::revision_goes_back)) restored.revision = 2;
  }
  if (has(Bug::allocation_outlives_host)) {
    for (auto& [name, object] : old) {
      if (object.there && !object.committed) objects_[name] = object;
    }
  }
  streams_ = kept_streams_;
  if (has(Bug::stream_offset_reused)) {
    for (auto& [name, log] : streams_) {
      if (!log.items.empty()) log.items.pop_back();
    }
  }
  answers_ = has(Bug::request_executed_twice) ? std::map<std::string, Answer>() : kept_answers_;
  journal_.clear();
  lsn_ = erased_lsn_ = durable_lsn_;
  lent_.clear();
  cache_.clear();
}

// ---- calls ----

SimulatedServer::Reply SimulatedServer::refuse(Operation& operation, Refusal refusal) {
  operation.outcome = Outcome::refused;
  operation.refusal = refusal;
  return {false, has(Bug::dirty_refusal) ? 0 : lsn_};
}

void SimulatedServer::show(Operation& operation, const Object& object) const {
  operation.seen.revision = object.revision;
  operation.seen.place = object.in_memory ? Place::memory : Place::disk;
}

SimulatedServer::Reply SimulatedServer::shown(Operation& operation, const Object& object) {
  show(operation, object);
  return {false, object.lsn};
}

SimulatedServer::Reply SimulatedServer::execute(Operation& operation) {
  operation.outcome = Outcome::ok;
  if (!operation.request.empty()) {
    const auto known = answers_.find(operation.request);
    if (known != answers_.end()) {
      operation.seen = known->second.seen;
      const auto object = objects_.find(operation.subject);
      if (has(Bug::repeat_answered_anew) && object != objects_.end() && object->second.there &&
          operation.kind == Kind::labels) {
        operation.seen.labels = object->second.labels;
        operation.seen.revision = object->second.revision;
      }
      // META-8: what it had merged then is not kept.
      const Asked& asked = operation.asked;
      if (asked.merge && (asked.data.empty() || asked.schema.empty())) {
        if (object == objects_.end() || !object->second.there)
          return refuse(operation, Refusal::not_found);
        operation.seen.data = object->second.data;
        operation.seen.schema = object->second.schema;
        return {false, object->second.lsn};
      }
      return {false, known->second.lsn};
    }
  }
  const std::uint64_t before = lsn_;
  const Reply reply = act(operation);
  if (operation.outcome == Outcome::ok && !operation.request.empty() && !reply.waits) {
    const Answer answer{operation.seen, reply.lsn, lsn_ != before};
    answers_[operation.request] = answer;
    if (answer.changed) {
      journal_.back().request = operation.request;
      journal_.back().answer = answer;
    }
  }
  return reply;
}

SimulatedServer::Reply SimulatedServer::act(Operation& operation) {
  switch (operation.kind) {
    case Kind::create_stream:
    case Kind::append:
    case Kind::read_stream: return stream(operation);
    case Kind::allocate: return create(operation);
    case Kind::renew: return renew(operation);
    default: break;
  }
  const auto found = objects_.find(operation.subject);
  const bool there = found != objects_.end() && found->second.there;
  if (operation.kind == Kind::release) {
    lent_.erase(operation.asked.lease);
    if (there && strikes(Bug::release_ends_all_leases)) found->second.leases.clear();
    if (there) found->second.leases.erase(operation.asked.lease);
    return {false, 0};
  }
  if (!there) {
    const auto cached = cache_.find(operation.subject);
    if (operation.kind == Kind::resolve && cached != cache_.end()) {
      return shown(operation, cached->second);
    }
    if (operation.kind == Kind::unpin) return {false, erased_lsn_};
    return refuse(operation, Refusal::not_found);
  }
  Object& object = found->second;
  switch (operation.kind) {
    case Kind::commit: return commit(operation, object);
    case Kind::abort:
    case Kind::erase: return erase(operation, object);
    case Kind::lease: return lease(operation, object);
    case Kind::promote:
    case Kind::spill: return begin_move(operation, object);
    case Kind::pin: return pin(operation, object, true);
    case Kind::unpin: return pin(operation, object, false);
    case Kind::labels:
    case Kind::set_metadata:
    case Kind::add_event: return update(operation, object);
    default: return describe(operation, object);
  }
}

SimulatedServer::Reply SimulatedServer::create(Operation& operation) {
  operation.subject = "p" + std::to_string(++counter_);
  Object& object = objects_[operation.subject];
  object.there = true;
  object.revision = 1;
  (operation.asked.place == Place::memory ? object.in_memory : object.on_disk) = true;
  if (!strikes(Bug::double_grant)) ++block_;
  object.block = block_;
  blocks_[object.block] = "written by the owner of " + operation.subject;
  return shown(operation, object);
}

SimulatedServer::Reply SimulatedServer::commit(Operation& operation, Object& object) {
  if (object.committed && !has(Bug::commit_acts_twice)) {
    return refuse(operation, Refusal::already_committed);
  }
  const bool first = !object.committed;
  object.committed = true;
  object.revision = first ? 2 : object.revision + 1;
  object.content = operation.asked.content;
  const std::uint64_t lsn = record(operation.subject, object);
  show(operation, object);
  return {false, has(Bug::ack_before_commit) ? 0 : lsn};
}

SimulatedServer::Reply SimulatedServer::erase(Operation& operation, Object& object) {
  if (operation.kind == Kind::abort && object.committed) {
    return refuse(operation, Refusal::already_committed);
  }
  const bool leased = !object.leases.empty() && !has(Bug::delete_ignores_lease);
  if (leased && !operation.asked.force) return refuse(operation, Refusal::leased);
  const bool committed = object.committed;
  if (has(Bug::delete_leaves_reader_cache)) cache_[operation.subject] = object;
  if (has(Bug::early_free) && !object.leases.empty()) blocks_[object.block] = "somebody else's";
  object = Object{};
  if (!committed) return {false, 0};
  const std::uint64_t lsn = erased_lsn_ = record(operation.subject, object);
  return {false, has(Bug::resurrected_delete) ? 0 : lsn};
}

SimulatedServer::Reply SimulatedServer::lease(Operation& operation, Object& object) {
  if (!object.committed && !has(Bug::lease_before_commit)) {
    return refuse(operation, Refusal::not_committed);
  }
  operation.seen.lease = "l" + std::to_string(++counter_);
  object.leases[operation.seen.lease] = object.in_memory;
  lent_[operation.seen.lease] = {operation.subject, object.block};
  operation.seen.content = blocks_[object.block];
  return shown(operation, object);
}

SimulatedServer::Reply SimulatedServer::renew(Operation& operation) {
  const auto lent = lent_.find(operation.asked.lease);
  if (lent == lent_.end()) return refuse(operation, Refusal::lease_not_found);
  const auto object = objects_.find(lent->second.object);
  const bool counts =
      object != objects_.end() && object->second.leases.count(operation.asked.lease) != 0;
  if (counts || has(Bug::renew_after_forced_delete)) return {false, 0};
  return refuse(operation, Refusal::lease_not_found);
}

SimulatedServer::Reply SimulatedServer::begin_move(Operation& operation, Object& object) {
  if (!object.committed) return refuse(operation, Refusal::not_committed);
  if (operation.kind == Kind::spill && object.in_memory) {
    if (object.pinned && !has(Bug::spill_ignores_pin)) {
      refuse(operation, Refusal::pinned);
      return {false, object.lsn};
    }
    if (object.moving) return refuse(operation, Refusal::busy);
    if (!object.leases.empty()) return refuse(operation, Refusal::leased);
  }
  if (object.moving) return refuse(operation, Refusal::busy);
  object.moving = true;
  return {true, 0};
}

SimulatedServer::Reply SimulatedServer::finish(Operation& operation) {
  const auto found = objects_.find(operation.subject);
  if (found == objects_.end() || !found->second.there) return refuse(operation, Refusal::not_found);
  Object& object = found->second;
  object.moving = false;
  object.old_revision = object.revision;
  object.old_place = object.in_memory ? Place::memory : Place::disk;
  const bool down = operation.kind == Kind::spill;
  const bool changes = down ? object.in_memory
                            : !object.in_memory || (operation.asked.drop_source && object.on_disk);
  if (changes) switch_copies(operation, object);
  const Reply reply = shown(operation, object);
  if (!operation.request.empty()) {
    const Answer answer = answers_[operation.request] = {operation.seen, reply.lsn, changes};
    if (changes) {
      journal_.back().request = operation.request;
      journal_.back().answer = answer;
    }
  }
  return reply;
}

void SimulatedServer::switch_copies(const Operation& operation, Object& object) {
  const bool down = operation.kind == Kind::spill;
  if (down) {
    object.in_memory = false;
    object.on_disk = true;
    std::erase_if(object.leases, [](const auto& lease) { return lease.second; });
  } else {
    object.in_memory = true;
    if (operation.asked.drop_source) {
      object.on_disk = false;
      std::erase_if(object.leases, [](const auto& lease) { return !lease.second; });
    }
    if (strikes(Bug::promote_serves_other_bytes)) {
      blocks_[object.block = ++block_] = "zeros";
    }
  }
  if (!down || !has(Bug::revision_reused)) ++object.revision;
  record(operation.subject, object);
}

SimulatedServer::Reply SimulatedServer::describe(Operation& operation, Object& object) {
  if (operation.kind == Kind::get_metadata) {
    if (!object.committed) return refuse(operation, Refusal::not_committed);
    const bool stale = strikes(Bug::metadata_read_stale);
    operation.seen.data = stale ? object.old_data : object.data;
    operation.seen.schema = stale ? object.old_schema : object.schema;
    return {false, object.lsn};
  }
  show(operation, object);
  if (strikes(Bug::stale_read) && object.old_revision != 0) {
    operation.seen.revision = object.old_revision;
    operation.seen.place = object.old_place;
  }
  return {false, has(Bug::dirty_read) ? 0 : object.lsn};
}

SimulatedServer::Reply SimulatedServer::pin(Operation& operation, Object& object, bool pinned) {
  if (!pinned && !object.pinned) {
    return {false, has(Bug::noop_acknowledged_early) ? 0 : object.lsn};
  }
  object.pinned = pinned;
  return {false, object.committed ? record(operation.subject, object) : 0};
}

SimulatedServer::Reply SimulatedServer::update(Operation& operation, Object& object) {
  if (operation.kind == Kind::labels) {
    const Labels before = object.labels;
    if (strikes(Bug::lost_update) && object.lsn > durable_lsn_) {
      object.labels = kept_objects_[operation.subject].labels;
    }
    for (const auto& [key, value] : operation.asked.set) object.labels[key] = value;
    for (const std::string& key : operation.asked.remove) object.labels.erase(key);
    operation.seen.labels = object.labels;
    if (object.committed && object.labels != before) record(operation.subject, object);
    return shown(operation, object);
  }
  if (!object.committed) return refuse(operation, Refusal::not_committed);
  if (operation.kind == Kind::add_event) {
    operation.seen.number = ++object.events;
    if (strikes(Bug::event_number_reused)) --object.events;
  } else {
    const Asked& asked = operation.asked;
    object.old_data = object.data;
    object.old_schema = object.schema;
    if (!asked.merge || !asked.data.empty()) object.data = asked.data;
    if (!asked.merge || !asked.schema.empty()) object.schema = asked.schema;
    operation.seen.data = object.data;
    operation.seen.schema = object.schema;
  }
  return {false, record(operation.subject, object)};
}

SimulatedServer::Reply SimulatedServer::stream(Operation& operation) {
  Stream& log = streams_[operation.subject];
  if (operation.kind == Kind::read_stream) {
    if (!log.there) return refuse(operation, Refusal::not_found);
    constexpr std::size_t entries_max = 16;
    operation.seen.number = log.items.size() - std::min(log.items.size(), entries_max);
    operation.seen.items.assign(
        log.items.begin() + static_cast<std::ptrdiff_t>(operation.seen.number), log.items.end());
    operation.seen.next_offset = log.items.size();
    return {false, lsn_};
  }
  if (operation.kind == Kind::append && !log.there) return refuse(operation, Refusal::not_found);
  log.there = true;
  operation.seen.number = log.items.size();
  log.items.insert(log.items.end(), operation.asked.items.begin(), operation.asked.items.end());
  Group& group = journal_.emplace_back();
  group.lsn = ++lsn_;
  group.stream = operation.subject;
  group.log = log;
  return {false, has(Bug::append_lost) ? 0 : lsn_};
}

std::string SimulatedServer::bytes_of(const std::string& lease) const {
  const auto lent = lent_.find(lease);
  return lent == lent_.end() ? std::string() : blocks_.at(lent->second.block);
}

}  // namespace pm::history
