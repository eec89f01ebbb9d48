#include "catalog.h"
#include "mutant.h"

// Those who read without a command. To the catalog a hold is a lease that it hears of when it asks.

namespace pm::catalog {

// From now on clients on this machine may hold the copy, if it lies where they can map it.
void Catalog::offer(Slot slot, std::uint64_t generation) {
  if (holds_ == nullptr || stopping_) return;
  Payload& payload = payloads_[slot];
  Copy* copy = find_copy(payload, generation);
  if (copy == nullptr || copy->publication != Publication::none || copy->bad) return;
  if ((tiers_[copy->tier].facts.traits & traits_host_addressable) == 0) return;
  if (payload.phase != Phase::committed || !holds_->has_room()) return;
  copy->publication = Publication::offered;
  changes_->effects.emplace_back(PublishEffect{object_of(payload, *copy), payload.lsn});
}

void Catalog::on(const Publish& published) {
  const Slot slot = find_live(published.place.payload, now_);
  if (slot == no_slot || holds_ == nullptr) return;
  Payload& payload = payloads_[slot];
  Copy* copy = find_copy(payload, published.place.generation);
  if (copy == nullptr || copy->publication != Publication::offered || copy->bad) return;
  HeldPlace place = published.place;
  place.revision = payload.revision;
  // What finds no room is offered again by the next lease; what cannot be shown at all is not.
  if (holds_->publish(place)) {
    copy->publication = Publication::published;
  } else if (!holds_->has_room()) {
    copy->publication = Publication::none;
  }
}

// Whether anybody reads the payload. When nobody does, nobody can begin to without a command.
bool Catalog::has_readers(Slot slot) {
  Payload& payload = payloads_[slot];
  if (payload.leases > 0) return true;
  const bool was_watched = is_watched(payload);
  bool is_held = false;
  change_copies(payload, [&](Copy& copy) {
    if (copy.publication != Publication::published && copy.publication != Publication::watched) {
      return;
    }
    if (holds_->withdraw(copy.generation) && !is_planted(Mutant::holds_are_ignored)) {
      copy.publication = Publication::none;
    } else {
      is_held = true;
    }
  });
  // Whoever waited for the one that was withdrawn waits for the others.
  if (is_held && was_watched) watch_holds(slot);
  return is_held && !is_planted(Mutant::holds_are_ignored);
}

// The payload is held: to be told when it is not.
void Catalog::watch_holds(Slot slot) {
  change_copies(payloads_[slot], [&](Copy& copy) {
    if (copy.publication != Publication::published && copy.publication != Publication::watched) {
      return;
    }
    holds_->watch(copy.generation);
    copy.publication = Publication::watched;
  });
  leave_victims(slot);
}

bool Catalog::is_watched(const Payload& payload) {
  bool is_watched = false;
  each_copy(payload, [&](const Copy& copy) {
    is_watched = is_watched || copy.publication == Publication::watched;
  });
  return is_watched;
}

// Nobody may begin to hold it from now on. True: somebody holds it still, and Unheld will come.
bool Catalog::close(Copy& copy) {
  const Publication before = copy.publication;
  copy.publication = Publication::none;
  if (before != Publication::published && before != Publication::watched) return false;
  if (is_planted(Mutant::holds_are_ignored)) return false;
  if (holds_->withdraw(copy.generation)) return false;
  holds_->close(copy.generation);
  copy.publication = Publication::watched;
  return true;
}

void Catalog::on(const Unheld& report) {
  if (const Slot slot = doomed_by_generation_.find(report.generation); slot != no_slot) {
    // What was said while it was only watched is old.
    if (!report.closed || !doomed_[slot].is_held) return;
    doomed_[slot].is_held = false;
    return release_hold(report.generation);
  }
  const Slot slot = payload_by_id_.find(report.payload);
  if (slot == no_slot) return;
  Copy* copy = find_copy(payloads_[slot], report.generation);
  if (copy == nullptr || copy->publication != Publication::watched) return;
  copy->publication = report.closed ? Publication::none : Publication::published;
  if (payloads_[slot].leases == 0) readers_left(slot);
}

// A hold is a use, as a lease is.
void Catalog::on(const NoteReads& reads) {
  for (const Id& id : reads.payloads) {
    const Slot slot = find_live(id, now_);
    if (slot == no_slot || payloads_[slot].phase != Phase::committed) continue;
    const bool was_victim = payloads_[slot].victim;
    leave_victims(slot);
    reads_.note_read(payloads_[slot].history, payloads_.size(), now_.mono_ns);
    if (was_victim) join_victims(slot);
  }
}

}  // namespace pm::catalog
