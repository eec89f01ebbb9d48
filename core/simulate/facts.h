#pragma once

#include <string>
#include <vector>

#include "core/catalog/catalog.h"
#include "core/policy/catalog_facts.h"

// What the simulated tiers are, and how a trace's ids look to the catalog.

namespace pm::simulate {

struct SimulatedTier {
  std::string name;
  catalog::TierFacts facts;
};

// What does not change of them.
std::vector<policy::TierFacts> constant_facts(const std::vector<SimulatedTier>& tiers);

// Spread over tables as an id drawn at random is.
catalog::Id id_of(std::uint64_t number);

}  // namespace pm::simulate
