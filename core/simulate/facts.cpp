#include "core/simulate/facts.h"

#include <cstring>

namespace pm::simulate {

catalog::Id id_of(std::uint64_t number) {
  catalog::Id id;
  const std::uint64_t spread = catalog::hash_of(number);
  std::memcpy(id.bytes.data(), &number, sizeof number);
  std::memcpy(id.bytes.data() + sizeof number, &spread, sizeof spread);
  return id;
}

std::vector<policy::TierFacts> constant_facts(const std::vector<SimulatedTier>& tiers) {
  std::vector<policy::TierFacts> all;
  for (const SimulatedTier& tier : tiers) {
    const auto number = static_cast<std::uint32_t>(all.size() + 1);
    all.push_back(policy::tier_facts(tier.name, number, tier.facts));
  }
  return all;
}

}  // namespace pm::simulate
