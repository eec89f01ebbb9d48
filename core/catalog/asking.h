#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "extras.h"
#include "payload.h"

// What the catalog asks those who decide, and what it tells them so that they can.

namespace pm::catalog {

// A payload, as a policy looks at it.
struct Candidate {
  Id id;
  std::uint64_t generation = 0;  // Of the copy that is to leave; else of the one shown.
  std::uint64_t size_bytes = 0;
  std::int64_t created_at_ns = 0;
  std::int64_t expires_at_ns = 0;  // 0: never.
  std::shared_ptr<const Labels> labels;
  Retention retention;
  std::vector<TierIndex> tiers;  // Of its good copies, the fastest first.
  std::uint32_t leases = 0;
  bool pinned = false;
  std::uint32_t reads = 0;
  std::uint64_t unread_ns = 0;
  std::uint32_t frequency = 0;  // See ReadClock.
};

struct TierLoad {
  std::uint64_t used_bytes = 0;
  std::uint64_t leaving_bytes = 0;
  std::uint64_t waiting_bytes = 0;
  bool in_service = true;
};

// What somebody owns.
struct Usage {
  std::uint64_t payloads = 0;
  std::vector<std::uint64_t> charged_bytes;  // On each tier; empty: nothing.
};

// Which victims are shown first: the least lately read, or the least worth their room by a score of
// size and frequency (see ScoreIndex).
enum class VictimOrder : std::uint8_t { oldest, score };

// Who decides. What is not asked is done by the built-in rules.
struct PolicyInUse {
  bool asks_spill = false;
  bool asks_retain = false;
  VictimOrder order = VictimOrder::oldest;
};

// A tier must give up room: ask the policy, and answer by Evict.
struct SpillWanted {
  TierIndex tier = no_tier;
  std::uint64_t number = 0;
};

// A payload's time to live is about to end: ask the policy, and answer by Retain, if at all.
struct RetainWanted {
  Id id;
};

inline constexpr std::int64_t retain_ahead_ns = 1'000'000'000;  // So long before it.

// Some of what the policy is told, for a spill.
struct SpillLook {
  std::uint64_t bytes_wanted = 0;
  std::vector<Candidate> candidates;
};

// The answer. What cannot be done any more is passed over.
struct SpillChoice {
  Id id;
  std::uint64_t generation = 0;
  TierIndex target = no_tier;  // no_tier: where the payload, or else its tier, says.
};
inline constexpr std::size_t spill_choices_max = 256;
struct Evict {
  TierIndex tier = no_tier;
  std::uint64_t number = 0;
  bool is_answered = false;          // Else nobody had an opinion: the built-in rule chooses.
  std::uint16_t rule = 0;            // Who chose; see Event.
  std::vector<SpillChoice> choices;  // At most spill_choices_max.
};

// The payload lives longer, and leaves for a slower tier if one is named.
struct Retain {
  Id id;
  std::uint64_t keep_ns = 0;
  TierIndex tier = no_tier;
  std::uint16_t rule = 0;
};

}  // namespace pm::catalog
