#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/catalog/catalog.h"
#include "facts.h"

// The catalog's state in the words of policies.

namespace pm::policy {

// What does not change of a tier,
TierFacts tier_facts(const std::string& name, std::uint32_t number,
                     const catalog::TierFacts& facts);
// and what does, of all of them.
void set_loads(const std::vector<catalog::TierLoad>& loads, std::vector<TierFacts>& tiers);

PayloadFacts payload_facts(const catalog::Candidate& candidate, const catalog::Clocks& now);
// Of a payload that is about to be allocated.
PayloadFacts payload_facts(const catalog::Allocate& command);

// Whether `bytes` can be put on the tier at all.
bool can_take(const TierFacts& tier, std::uint64_t bytes);

// The slowest of those that are faster than `tier` and can take so much; no_tier: there is none.
TierIndex next_faster(const std::vector<TierFacts>& tiers, TierIndex tier, std::uint64_t bytes);

}  // namespace pm::policy
