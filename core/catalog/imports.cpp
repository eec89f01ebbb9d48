#include "catalog.h"

// Payloads whose bytes clients upload from outside.

namespace pm::catalog {

void Catalog::on(const Import& command) {
  Waiter waiter{.ticket = command.ticket};
  if (is_repeat(command.request, command.ticket, waiter.request)) return;
  const Slot slot = find_live(command.id, now_);
  if (const Reason why = seal_obstacle(slot); why != Reason::none) {
    return refuse_for(slot, waiter, why);
  }
  const Payload& payload = payloads_[slot];
  if (!tiers_[payload.first.tier].facts.takes_uploads) {
    return refuse(waiter, Reason::import_not_uploadable);
  }
  const std::uint64_t length = command.size_bytes != 0 ? command.size_bytes : payload.size_bytes;
  // More than was allocated has no room taken for it.
  if (length > payload.size_bytes) return refuse(waiter, Reason::import_length_mismatch);
  seal(slot, length, true, command.checksum, waiter);
}

// What was uploaded is shorter than what was allocated. Returns the bytes that its tier gets back,
// for give_back().
std::uint64_t Catalog::shorten(Slot slot, std::uint64_t length) {
  Payload& payload = payloads_[slot];
  const TierIndex tier = payload.first.tier;
  const std::uint64_t freed_bytes = charge(tier, payload.size_bytes) - charge(tier, length);
  unlist(slot);
  release_owner(payload, tier, freed_bytes);
  payload.size_bytes = length;
  relist(slot);
  return freed_bytes;
}

}  // namespace pm::catalog
