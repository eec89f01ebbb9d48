#include <utility>

#include "catalog.h"

// Pins: what keeps a payload on its tier whatever the tier lacks.

namespace pm::catalog {

void Catalog::on(const Pin& command) {
  Waiter waiter{.ticket = command.ticket};
  if (is_repeat(command.request, command.ticket, waiter.request)) return;
  const Slot slot = find_live(command.id, now_);
  if (slot == no_slot || payloads_[slot].phase == Phase::allocating) {
    return refuse(waiter, Reason::payload_not_found);
  }
  if (payloads_[slot].phase == Phase::lost) return refuse_for(slot, waiter, Reason::payload_lost);
  leave_victims(slot);
  unindex_pin(slot);
  Additions& additions = add_to(slot);
  if (!additions.pinned) ++pinned_count_;
  additions.pinned = true;
  additions.pin_expires_at_ns =
      command.duration_ns == 0 ? 0 : now_.wall_ns + static_cast<std::int64_t>(command.duration_ns);
  index_pin(slot);
  // A move down that has begun ends; one that only waits does not begin. By now the payload is
  // pinned, so that nobody who waits behind that move makes it leave again.
  const Slot operation = payloads_[slot].operation;
  if (operation != no_slot && operations_[operation].downward &&
      operations_[operation].stage != Stage::running) {
    abandon(operation, Reason::payload_pinned);
  }
  if (payloads_[slot].phase == Phase::committed) record_payload(slot);
  tell(EventKind::updated, Cause::request, slot, no_tier);
  answer_with_view(waiter, slot);
}

void Catalog::on(const Unpin& command) {
  Waiter waiter{.ticket = command.ticket};
  if (is_repeat(command.request, command.ticket, waiter.request)) return;
  const Slot slot = find_live(command.id, now_);
  Reply reply;
  if (slot != no_slot && additions_of(slot).pinned) {
    const bool is_recorded = payloads_[slot].phase != Phase::allocated;
    unpin(slot, Cause::request);  // Those who wait for its room may make it leave at once.
    if (is_recorded) reply.lsn = changes_->lsn;
  } else {
    // Who did it may still wait for it to be durable.
    const bool there = slot != no_slot && payloads_[slot].phase != Phase::allocating;
    reply.lsn = there ? payloads_[slot].lsn : last_erase_lsn_;
  }
  answer(waiter, std::move(reply));
}

void Catalog::unpin(Slot slot, Cause cause) {
  unindex_pin(slot);
  Additions& additions = add_to(slot);
  additions.pinned = false;
  additions.pin_expires_at_ns = 0;
  --pinned_count_;
  settle_additions(slot);
  const Payload& payload = payloads_[slot];
  if (payload.phase != Phase::allocated) record_payload(slot);
  tell(EventKind::updated, cause, slot, no_tier);
  join_victims(slot);
  look_again(payload.listed);
}

void Catalog::index_pin(Slot slot) {
  const std::int64_t ends = additions_of(slot).pin_expires_at_ns;
  if (ends != 0) pin_due_.insert(static_cast<std::uint64_t>(ends), slot);
}

void Catalog::unindex_pin(Slot slot) {
  const std::int64_t ends = additions_of(slot).pin_expires_at_ns;
  if (ends != 0) pin_due_.remove(static_cast<std::uint64_t>(ends), slot);
}

}  // namespace pm::catalog
