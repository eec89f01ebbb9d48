#pragma once

#include <pm/tier.h>

#include <cstdint>
#include <memory>
#include <mutex>

#include "core/policy/facts.h"

struct hwloc_topology;

// Where tiers and clients are, as policies are told.

namespace pm::api {

// What the tier says of itself (pm.tier.facts/1). [control-thread]
void add_place(const pm_tier_t* tier, policy::TierFacts& facts);

// The NUMA nodes of this machine, looked up when they are first asked for. [thread-safe]
class NumaNodes {
 public:
  // The node that all threads of the process are kept to; -1: there is no single one, or nobody
  // knows. Reads some files of /proc.
  std::int32_t node_of(std::int32_t pid);

 private:
  struct Destroy {
    void operator()(hwloc_topology* topology) const;
  };

  std::once_flag loaded_;
  std::unique_ptr<hwloc_topology, Destroy> topology_;  // Null: it cannot be told.
};

}  // namespace pm::api
