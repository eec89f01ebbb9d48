#pragma once

#include <cstdint>
#include <string>

#include "event.h"
#include "extras.h"
#include "object.h"
#include "payload.h"
#include "reason.h"

// What callers are told.

namespace pm::catalog {

// A payload as a caller sees it.
struct View {
  Id id;
  std::uint64_t size_bytes = 0;
  std::uint64_t revision = 0;
  std::int64_t created_at_ns = 0;
  std::int64_t expires_at_ns = 0;
  std::uint64_t order = 0;
  std::uint32_t leases = 0;
  Phase phase = Phase::allocating;
  bool spilling = false;
  bool durable = false;  // The copy shown survives loss of power.
  Retention retention;
  TierIndex tier = no_tier;      // Of the copy shown; of a lost payload, no_tier.
  TierIndex bad_tier = no_tier;  // Of a lost payload: where what is left of it is kept.
  std::uint64_t generation = 0;  // 0: no copy is shown.
  Cookie cookie;
  Checksum checksum;
  Additions additions;
};

// A lease as a list shows it.
struct LeaseView {
  Id id;
  Id payload;
  TierIndex tier = no_tier;
  std::string holder;
  std::int64_t expires_at_ns = 0;  // Wall time, for people.
};

// A copy whose bytes can be read and held against their checksum.
struct CopyToCheck {
  Object object;
  Checksum checksum;        // Of kind none: not known.
  std::uint64_t order = 0;  // Of its payload.
  bool bad = false;         // It was found to be bad before.
};

// A payload in a list.
struct Listed {
  View view;
  std::uint64_t lsn = 0;  // What must be durable before it may be shown.
};

// How much is said about a payload.
struct Described {
  Reason reason = Reason::none;
  bool has_metadata = false;
  std::uint32_t metadata_events = 0;
  std::uint64_t lsn = 0;       // What must be durable before it can be read.
  std::uint64_t seen_lsn = 0;  // For a command that builds on it.
};

// What must be looked up before edges are added.
struct LineageNeeds {
  bool edges = false;          // Which edges the child has.
  bool search = false;         // Whether a parent was made from the child.
  std::uint64_t lsn = 0;       // What must be durable before it can be read.
  std::uint64_t seen_lsn = 0;  // For the command that builds on it.
};

struct Reply {
  Ticket ticket = 0;
  Reason reason = Reason::none;
  std::int32_t storage_code = 0;  // With storage_error: the tier's.
  std::string message;            // With storage_error: the tier's words.
  bool has_view = false;
  View view;
  Id lease;
  std::uint64_t lease_duration_ns = 0;
  std::int64_t lease_expires_at_ns = 0;  // Wall time, for people; the lease counts monotonic.
  std::uint64_t range_offset_bytes = 0;  // Of what was leased.
  std::uint64_t range_length_bytes = 0;  // 0: all from there on.
  std::uint64_t first_number = 0;  // What was counted: offsets of a stream, an event's number.
  std::uint64_t last_number = 0;
  std::int64_t at_ns = 0;  // Wall time of what was done.
  bool is_repeat = false;  // Nothing was done now: the request was answered before.
  std::uint64_t lsn = 0;   // What must be durable before the reply may leave. 0: nothing.
};

}  // namespace pm::catalog
