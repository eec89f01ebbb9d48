#pragma once

#include <optional>
#include <string>
#include <vector>

#include "harness.h"

// What every tier keeps, one function for each rule. Which rules apply to a tier follows from what
// it declares (pm_tier_trait, capacity, extensions) and is asked for, never from its name.

namespace pm::check {

enum Need : unsigned {
  needs_nothing = 0,
  needs_bytes = 1u << 0,            // PM_TIER_KEEPS_BYTES
  needs_no_bytes = 1u << 1,         // The opposite.
  needs_survival = 1u << 2,         // PM_TIER_SURVIVES_PROCESS
  needs_enumeration = 1u << 3,      // PM_TIER_ENUMERATE
  needs_capacity = 1u << 4,         // capacity_bytes is bounded.
  needs_address = 1u << 5,          // PM_TIER_HOST_ADDRESSABLE
  needs_parallel_ranges = 1u << 6,  // PM_TIER_PARALLEL_RANGES
  needs_share = 1u << 7,            // PM_TIER_SHARES_DESCRIPTORS
  needs_sealing = 1u << 8,          // The subject is asked for PM_ALLOCATE_SEALED.
  needs_names = 1u << 9,            // The opposite.
};

struct Rule {
  const char* number;     // "TIER-07"; never given to another rule.
  const char* name;       // A fact, as the name of a test.
  const char* sentence;   // What is promised, for people.
  unsigned needs;         // Bits of Need, all of which must be there.
  void (*check)(Bench&);  // Throws RuleBroken.
};

struct Outcome {
  bool applies = true;
  std::string failure;  // Empty when the rule holds.
};

// Runs one rule on a fresh bench.
Outcome run_rule(const Rule& rule, const Subject& subject);

// All rules, by number.
const std::vector<Rule>& tier_rules();

// The parts that tier_rules() joins.
std::vector<Rule> abi_rules();
std::vector<Rule> byte_rules();
std::vector<Rule> object_rules();
std::vector<Rule> life_rules();
std::vector<Rule> location_rules();
std::vector<Rule> room_rules();
std::vector<Rule> share_rules();
std::vector<Rule> sealed_rules();

}  // namespace pm::check
