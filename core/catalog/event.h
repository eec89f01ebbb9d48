#pragma once

#include <cstdint>

#include "ids.h"
#include "payload.h"
#include "reason.h"

namespace pm::catalog {

// What happened to a payload: what watchers are told, and what a payload's place is explained by.
enum class EventKind : std::uint8_t {
  none = 0,  // Nothing that anybody is told.
  allocated,
  committed,
  moved,
  leased,
  evicted,  // Left its tier for want of room.
  expired,
  deleted,
  lost,
  updated,  // Something of it changed that is not its place: its labels, its pin.
  refused,  // A move was asked for or begun, and was not done: `why`. Not for watchers.
};

// Who decided it.
enum class Cause : std::uint8_t {
  request,
  room,    // The built-in rule, as a tier was full.
  time,    // The built-in rule, as a time ended.
  fault,   // A copy was found to be bad or gone.
  scrub,   // The bytes of a copy were read and held against their checksum.
  policy,  // A rule wanted it: `rule`.
};

struct Event {
  EventKind kind = EventKind::none;
  Cause cause = Cause::request;
  // Of refused; and of a copy that a scrub found to be bad, checksum_mismatch.
  Reason why = Reason::none;
  TierIndex tier = no_tier;    // Where the payload is shown now; no_tier: nowhere.
  TierIndex from = no_tier;    // Where it was shown before.
  TierIndex target = no_tier;  // Of refused: where it was to go, if that is known.
  // The rule of a policy that decided it, by a number that whoever asked it gave; 0: none did.
  std::uint16_t rule = 0;
  Id id;
  std::uint64_t revision = 0;
  std::uint64_t size_bytes = 0;
  std::int64_t wall_ns = 0;
};

}  // namespace pm::catalog
