#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/policy/policy.h"
#include "core/policy/questions.h"

// Facts for tests: a machine of three tiers, and what is asked about it.

namespace pm::policy::test {

inline constexpr TierIndex disk = 0;  // Not in the order of ranks.
inline constexpr TierIndex shm = 1;
inline constexpr TierIndex nothing = 2;
inline constexpr std::uint64_t mib = 1 << 20;

inline std::vector<TierFacts> some_tiers() {
  std::vector<TierFacts> tiers(3);
  tiers[disk].name = "disk";
  tiers[disk].number = 3;
  tiers[disk].rank = 20;
  tiers[disk].survives_process = tiers[disk].survives_power = true;
  tiers[disk].spill_to = nothing;
  tiers[shm].name = "shm";
  tiers[shm].number = 2;
  tiers[shm].rank = 10;
  tiers[shm].spill_to = disk;
  tiers[shm].numa_node = 1;
  tiers[shm].capacity_bytes = 1'000 * mib;
  tiers[shm].used_bytes = 750 * mib;
  tiers[nothing].name = "void";
  tiers[nothing].rank = 30;
  tiers[nothing].keeps_bytes = false;
  return tiers;
}

inline std::shared_ptr<const catalog::Labels> some_labels() {
  return std::make_shared<catalog::Labels>(
      catalog::Labels{{"app", "train"}, {"env", "test"}, {"owner", "me"}});
}

inline PlaceFacts place_facts() {
  PlaceFacts facts;
  facts.tiers = some_tiers();
  facts.payload.id = "0123";
  facts.payload.size_bytes = 4 * mib;
  facts.payload.labels = some_labels();
  facts.payload.retention.priority = catalog::Priority::high;
  facts.payload.retention.no_evict = true;
  facts.payload.retention.spill_target = disk;
  facts.client.name = "uid:1000";
  facts.client.payloads = 7;
  facts.client.used_bytes = {5, 6};
  facts.client.numa_node = 1;
  facts.hint = shm;
  return facts;
}

// With candidates of 1, 2, ... MiB.
inline SpillFacts spill_facts(std::size_t candidates) {
  SpillFacts facts;
  facts.tiers = some_tiers();
  facts.tier = shm;
  facts.bytes_wanted = 4 * mib;
  for (std::size_t number = 1; number <= candidates; ++number) {
    facts.candidates.emplace_back().size_bytes = number * mib;
    facts.candidates.back().tiers = {shm, disk};
  }
  return facts;
}

inline std::unique_ptr<Policy> load(const std::string& text) {
  auto policy = Policy::load({{"a.lua", text}});
  EXPECT_TRUE(policy.ok()) << policy.status().message();
  return policy.ok() ? std::move(*policy) : nullptr;
}

// A file whose only rule has this body.
inline std::string rule(const std::string& hook, const std::string& body) {
  return "policy." + hook + " {name = 'one', rule = function(facts) " + body + " end}";
}

}  // namespace pm::policy::test
