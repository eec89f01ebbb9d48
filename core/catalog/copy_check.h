#pragma once

#include <cstdint>

#include "ids.h"
#include "payload.h"

namespace pm::catalog {

// Somebody is going to read a copy, whole, and hold its bytes against their checksum: it is not
// removed before the report, CopyChecked, which must follow each of these that was answered well.
// payload_not_found: there is no such copy.
struct CheckCopy {
  Ticket ticket = 0;
  Id id;
  std::uint64_t generation = 0;
};

// What came of it. A copy that is bad, or gone from its tier, is never shown again; with another
// one the payload lives on, and a good copy is made in its place, else it is lost. A copy that was
// bad and is found to be good serves again. The reply comes when a bad copy has been replaced, or
// says why not: payload_lost, or what keeps the new copy from being made; it is payload_not_found
// when the copy has gone meanwhile.
struct CopyChecked {
  // Unreadable: the tier says that it cannot read the bytes any more, which may be the end of them,
  // or a device that has gone for a while. With another good copy it is taken for bad; else nothing
  // changes, and the reply is storage_error.
  enum class Verdict : std::uint8_t { unknown, good, bad, unreadable };
  Ticket ticket = 0;
  Id id;
  std::uint64_t generation = 0;
  Verdict verdict = Verdict::unknown;
  // Of a good one: of what was read. Kept by a payload that has none.
  Checksum checksum;
};

}  // namespace pm::catalog
