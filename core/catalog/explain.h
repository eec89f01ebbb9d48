#pragma once

#include <cstdint>
#include <vector>

#include "command.h"

namespace pm::catalog {

// What becomes of a payload whose tier must give up its copy.
struct EvictionPlan {
  enum class Kind : std::uint8_t {
    stays,       // It cannot leave: `why`.
    drops_copy,  // The copy on `target` is enough.
    moves,       // To `target`.
    is_deleted,  // As `target` keeps no bytes.
  };
  Kind kind = Kind::stays;
  TierIndex target = no_tier;
  Reason why = Reason::tier_unspecified;  // Of stays; tier_unspecified: there is no target.
};

// All that keeps a payload where it is, or lets it go.
struct Explanation {
  struct CopyFacts {
    TierIndex tier = no_tier;
    std::uint64_t generation = 0;
    std::uint32_t leases = 0;
    bool durable = false;
    bool shown = false;
    bool tier_failed = false;
    bool bad = false;  // Its bytes are not what was committed.
    // Wall time at which the last of its leases ends; 0: there are none, or too many to look at.
    std::int64_t leases_end_at_ns = 0;
  };
  enum class Doing : std::uint8_t { nothing, sealing, moving };
  enum class Waits : std::uint8_t { no, for_leases, for_room };

  View view;
  std::vector<CopyFacts> copies;
  Doing doing = Doing::nothing;
  Waits waits = Waits::no;
  TierIndex target = no_tier;       // Of what is being done.
  bool eviction = false;            // It makes room for others.
  std::uint32_t callers = 0;        // Who wait for it.
  std::int64_t given_up_at_ns = 0;  // Wall time; when an uncommitted one goes. 0: committed.
  std::uint64_t lease_max_ns = 0;   // No lease runs longer.
  bool among_victims = false;       // It may be chosen when its tier needs room.
  EvictionPlan plan;                // Of the copy shown.
};

}  // namespace pm::catalog
