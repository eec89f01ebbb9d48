#include <algorithm>

#include "catalog.h"

// Metadata and its events: what a client says about a payload goes to the repository; only how much
// there is, and when it changed, is kept here.

namespace pm::catalog {

// What can be spoken of: a payload that was committed, also one whose bytes were lost.
Reason Catalog::find_described(const Id& id, const Clocks& now, Slot& slot) const {
  slot = find_live(id, now);
  if (slot == no_slot || payloads_[slot].phase == Phase::allocating) {
    return Reason::payload_not_found;
  }
  if (payloads_[slot].phase == Phase::allocated) return Reason::payload_not_committed;
  return Reason::none;
}

// The payload is part of the record under way, and its row stays as it is.
void Catalog::join_record(Slot slot) {
  Payload& payload = payloads_[slot];
  payload.lsn = take_lsn();
  each_copy(payload, [this](const Copy& copy) {
    if (survives_power(copy.tier)) changes_->power = true;
  });
}

void Catalog::on(const UpdateMetadata& command) {
  Waiter waiter{.ticket = command.ticket};
  if (is_repeat(command.request, command.ticket, waiter.request)) return;
  Slot slot = no_slot;
  if (const Reason reason = find_described(command.id, now_, slot); reason != Reason::none) {
    return refuse(waiter, reason);
  }
  const Extras* known = find_extras(slot);
  if (command.is_derived && known != nullptr && known->metadata_lsn > command.seen_lsn) {
    return refuse(waiter, Reason::conflict);
  }
  if (known != nullptr && known->additions.has_metadata) {
    join_record(slot);
  } else {
    add_to(slot).has_metadata = true;
    record_payload(slot);
  }
  extras_for(slot).metadata_lsn = changes_->lsn;
  changes_->records.emplace_back(MetadataRecord{command.id, now_.wall_ns, command.metadata});
  Reply reply;
  reply.at_ns = now_.wall_ns;
  reply.lsn = changes_->lsn;
  answer(waiter, std::move(reply));
}

void Catalog::on(const AppendMetadataEvent& command) {
  Waiter waiter{.ticket = command.ticket};
  if (is_repeat(command.request, command.ticket, waiter.request)) return;
  Slot slot = no_slot;
  if (const Reason reason = find_described(command.id, now_, slot); reason != Reason::none) {
    return refuse(waiter, reason);
  }
  if (additions_of(slot).metadata_events >= limits_.metadata_events_max) {
    return refuse(waiter, Reason::metadata_events_full);
  }
  Additions& additions = add_to(slot);
  additions.last_event_at_ns = std::max(additions.last_event_at_ns, now_.wall_ns);
  Reply reply;
  reply.first_number = reply.last_number = ++additions.metadata_events;
  reply.at_ns = additions.last_event_at_ns;
  record_payload(slot);
  changes_->records.emplace_back(
      MetadataEventRecord{command.id, reply.first_number, reply.at_ns, command.event});
  reply.lsn = changes_->lsn;
  answer(waiter, std::move(reply));
}

Described Catalog::describe(const Id& id, const Clocks& now) const {
  Described described;
  described.seen_lsn = lsn_;
  Slot slot = no_slot;
  described.reason = find_described(id, now, slot);
  if (slot == no_slot) {
    described.lsn = last_erase_lsn_;
    return described;
  }
  described.lsn = payloads_[slot].lsn;
  const Additions& additions = additions_of(slot);
  described.has_metadata = additions.has_metadata;
  described.metadata_events = additions.metadata_events;
  return described;
}

}  // namespace pm::catalog
