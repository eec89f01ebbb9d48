#include "catalog.h"
#include "mutant.h"

// Sessions: connections whose end gives back what they hold, at once.

namespace pm::catalog {

namespace {

// Of what ends with a session, in one command.
constexpr int things_max = 256;

}  // namespace

Slot Catalog::take_session(std::uint64_t id) {
  Slot slot = session_by_id_.find(id);
  if (slot == no_slot) {
    slot = sessions_.add();
    sessions_[slot].id = id;
    session_by_id_.insert(slot);
  }
  ++sessions_[slot].things;
  return slot;
}

void Catalog::leave_session(Slot slot) {
  if (--sessions_[slot].things > 0) return;
  session_by_id_.remove(slot);
  sessions_.remove(slot);
}

// The payload is no allocation any more.
void Catalog::leave_session_of(Slot payload) {
  const auto found = allocation_session_.find(payload);
  if (found == allocation_session_.end()) return;
  allocation_by_session_.remove(found->second, payload);
  leave_session(found->second);
  allocation_session_.erase(found);
}

// False: there is more to end.
bool Catalog::end_some(const EndSession& end, int& things) {
  const Slot session = session_by_id_.find(end.session);
  if (session == no_slot) return true;
  const auto lives = [&] { return session_by_id_.find(end.session) == session; };
  const std::uint64_t until_ns = end.writer_lives ? now_.mono_ns + limits_.orphan_grace_ns : 0;
  while (lives()) {
    const auto lease = lease_by_session_.after({session, no_slot});
    if (!lease || lease->key != session) break;
    if (++things > things_max) return false;
    end_lease(lease->slot);
  }
  while (lives()) {
    const auto allocation = allocation_by_session_.after({session, no_slot});
    if (!allocation || allocation->key != session) break;
    if (++things > things_max) return false;
    const Slot payload = allocation->slot;
    // Its commit is under way: nobody is left to hear of it, but it was asked for.
    if (payloads_[payload].operation != no_slot) {
      leave_session_of(payload);
      without_writer_.insert(payload);
    } else {
      erase(payload, until_ns);
    }
  }
  return true;
}

void Catalog::on(const EndSession& end) {
  if (is_planted(Mutant::session_end_is_forgotten)) return;
  int things = 0;
  if (!end_some(end, things)) ended_sessions_.push_back(end);
}

bool Catalog::has_allocations(std::uint64_t id) const {
  const Slot session = session_by_id_.find(id);
  if (session == no_slot) return false;
  const auto first = allocation_by_session_.after({session, no_slot});
  return first && first->key == session;
}

Reason Catalog::find_leased(std::uint64_t session, const Id& lease, Object& object) const {
  const Slot slot = lease_by_id_.find(lease);
  if (slot == no_slot || leases_[slot].session == no_slot) return Reason::lease_not_found;
  const Lease& found = leases_[slot];
  if (sessions_[found.session].id != session) return Reason::lease_not_found;
  if (const Slot gone = doomed_by_generation_.find(found.generation); gone != no_slot) {
    const Doomed& doomed = doomed_[gone];
    object = {doomed.tier, doomed.payload, doomed.generation, doomed.cookie, doomed.length};
    return Reason::none;
  }
  each_copy(payloads_[found.payload], [&](const Copy& copy) {
    if (copy.generation == found.generation) object = object_of(payloads_[found.payload], copy);
  });
  return Reason::none;
}

Reason Catalog::find_allocated(std::uint64_t session, const Id& id, Object& object) const {
  const Slot slot = payload_by_id_.find(id);
  if (slot == no_slot) return Reason::payload_not_found;
  const auto owner = allocation_session_.find(slot);
  if (owner == allocation_session_.end() || sessions_[owner->second].id != session) {
    return Reason::payload_not_found;
  }
  const Payload& payload = payloads_[slot];
  if (payload.phase != Phase::allocated) return Reason::payload_not_found;
  if (payload.operation != no_slot) return Reason::payload_busy;
  object = object_of(payload, payload.first);
  return Reason::none;
}

}  // namespace pm::catalog
