#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "command.h"
#include "payload.h"
#include "reply.h"

// What takes time, and who waits for it.

namespace pm::catalog {

enum class Stage : std::uint8_t { waiting_for_leases, waiting_for_room, running };
enum class Action : std::uint8_t { allocate, seal, move };

// Somebody to answer when an operation ends.
struct Waiter {
  Ticket ticket = 0;
  Slot request = no_slot;
  bool wants_lease = false;
  Id lease{};
  std::uint64_t lease_duration_ns = 0;
  std::uint64_t range_offset_bytes = 0;
  std::uint64_t range_length_bytes = 0;
  std::string holder{};
  std::uint64_t session = 0;  // 0: none.
};

// Something that is being done with a payload and takes time.
struct Operation {
  Action action = Action::allocate;
  Stage stage = Stage::running;
  TierIndex tier = no_tier;  // Where the copy is made or sealed.
  bool downward = false;     // A move that gives up every faster copy.
  bool drop_source = false;  // A move that gives up its source.
  bool eviction = false;     // Started by the catalog to make room.
  bool import = false;       // A seal of what was uploaded.
  bool repair = false;       // A move that makes a good copy in place of a bad one.
  bool copies = false;       // A move that gives up nothing.
  Layout layout = Layout::segment;
  std::uint8_t attempts = 0;
  std::uint16_t rule = 0;  // Who wanted it; see Event.
  std::uint32_t owner_uid = 0;
  Slot payload = no_slot;  // no_slot: deleted meanwhile.
  Slot hash_next = no_slot;
  Id id;
  std::uint64_t length = 0;
  std::uint64_t generation = 0;  // Of the copy being made or sealed.
  std::uint64_t source_generation = 0;
  std::uint64_t room_bytes = 0;     // Taken on `tier` once running.
  std::uint64_t leaving_bytes = 0;  // Announced on the source's tier.
  TierIndex source_tier = no_tier;
  std::uint64_t queue_number = 0;
  std::uint64_t deadline_ns = 0;
  std::vector<Waiter> waiters;
};

// The memory of a request id.
struct Request {
  Id id;
  std::uint64_t digest = 0;
  std::int64_t answered_at_ns = 0;
  bool answered = false;
  std::vector<Ticket> followers;
  Reply reply;
  Slot hash_next = no_slot;
  const Id& key() const { return id; }
};

}  // namespace pm::catalog
