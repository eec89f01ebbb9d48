#pragma once

#include "../../tier.h"

PM_BEGIN_DECLS

// What a tier knows of itself that policies may go by: above all where it is.
#define PM_TIER_FACTS "pm.tier.facts/1"

// Names that mean the same of every tier; the host passes over those that it does not know.
#define PM_TIER_FACT_NUMA_NODE "numa_node"  // The node of its memory, as the system counts them.
#define PM_TIER_FACT_GPU "gpu"              // The GPU of its memory, as its driver counts them.

// Called for each fact, during the visit; `name` is valid during the call. False ends it.
// [control-thread]
typedef bool (*pm_on_tier_fact_t)(void* data, const char* name, int64_t value);

typedef struct pm_tier_facts {
  // Visits every fact, each name once. They are the same as long as the tier lives: the host asks
  // once, at its start.
  // [control-thread]
  void (*visit)(const pm_tier_t* tier, pm_on_tier_fact_t on_fact, void* data);
} pm_tier_facts_t;

PM_END_DECLS
