#include <algorithm>

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
  if (extras_[slot].additions.any() || extras_[slot].has_checksum_rest) return;
  extras_by_payload_.remove(slot);
  extras_.remove(slot);
  payloads_[payload].has_extras = false;
}

Checksum Catalog::checksum_of(Slot slot) const {
  const ChecksumHead& head = payloads_[slot].checksum;
  Checksum checksum;
  checksum.kind = head.kind;
  std::copy(head.bytes.begin(), head.bytes.end(), checksum.bytes.begin());
  if (checksum.length() > head.bytes.size()) {
    const Extras& extras = extras_[extras_by_payload_.find(std::uint64_t{slot})];
    std::copy(extras.checksum_rest.begin(), extras.checksum_rest.end(),
              checksum.bytes.begin() + head.bytes.size());
  }
  return checksum;
}

void Catalog::set_checksum(Slot slot, const Checksum& checksum) {
  ChecksumHead& head = payloads_[slot].checksum;
  head.kind = checksum.kind;
  std::copy_n(checksum.bytes.begin(), head.bytes.size(), head.bytes.begin());
  if (checksum.length() > head.bytes.size()) {
    Extras& extras = extras_for(slot);
    extras.has_checksum_rest = true;
    std::copy(checksum.bytes.begin() + head.bytes.size(), checksum.bytes.end(),
              extras.checksum_rest.begin());
  }
}

// The payload goes, and with it all that only it had.
void Catalog::drop_extras(Slot payload) {
  if (!payloads_[payload].has_extras) return;
  extras_for(payload).has_checksum_rest = false;
  add_to(payload) = Additions{};
  settle_additions(payload);
}

}  // namespace pm::catalog
