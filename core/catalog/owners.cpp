#include <string_view>

#include "catalog.h"

// Whose payloads are, and what they take.

namespace pm::catalog {

void Catalog::take_owner(Slot payload, const std::string& name) {
  Slot slot = owner_by_name_.find(std::string_view(name));
  if (slot == no_slot) {
    slot = owners_.add();
    owners_[slot].name = name;
    owners_[slot].charged_bytes.resize(tiers_.size());
    owner_by_name_.insert(slot);
  }
  ++owners_[slot].payloads;
  payloads_[payload].owner = slot;
}

void Catalog::leave_owner(Slot payload) {
  const Slot slot = payloads_[payload].owner;
  if (slot == no_slot || --owners_[slot].payloads > 0) return;
  owner_by_name_.remove(slot);
  owners_.remove(slot);
}

void Catalog::charge_owner(const Payload& payload, TierIndex tier, std::uint64_t bytes) {
  if (payload.owner != no_slot) owners_[payload.owner].charged_bytes[tier] += bytes;
}

void Catalog::release_owner(const Payload& payload, TierIndex tier, std::uint64_t bytes) {
  if (payload.owner != no_slot) owners_[payload.owner].charged_bytes[tier] -= bytes;
}

Usage Catalog::usage_of(const std::string& name) const {
  const Slot slot = owner_by_name_.find(std::string_view(name));
  if (slot == no_slot) return {};
  return {owners_[slot].payloads, owners_[slot].charged_bytes};
}

}  // namespace pm::catalog
