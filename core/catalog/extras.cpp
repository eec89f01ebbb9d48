#include "catalog.h"

// What only some payloads have: it lives beside their heads.

namespace pm::catalog {

const Extras* Catalog::find_extras(Slot payload) const {
  if (!payloads_[payload].has_extras) return nullptr;
  return &extras_[extras_by_payload_.find(std::uint64_t{payload})];
}

const Additions& Catalog::additions_of(Slot payload) const {
  static const Additions none;
  const Extras* extras = find_extras(payload);
  return extras != nullptr ? extras->additions : none;
}

Extras& Catalog::extras_for(Slot payload) {
  if (!payloads_[payload].has_extras) {
    const Slot slot = extras_.add();
    extras_[slot].payload = payload;
    extras_by_payload_.insert(slot);
    payloads_[payload].has_extras = true;
  }
  return extras_[extras_by_payload_.find(std::uint64_t{payload})];
}

// For a change; settle_additions() follows it.
Additions& Catalog::add_to(Slot payload) { return extras_for(payload).additions; }

// Gives back what holds nothing any more.
void Catalog::settle_additions(Slot payload) {
  if (!payloads_[payload].has_extras) return;
  const Slot slot = extras_by_payload_.find(std::uint64_t{payload});
  if (extras_[slot].additions.any()) return;
  extras_by_payload_.remove(slot);
  extras_.remove(slot);
  payloads_[payload].has_extras = false;
}

}  // namespace pm::catalog
