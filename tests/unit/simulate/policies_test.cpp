#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "core/policy/script_files.h"
#include "core/simulate/generators.h"
#include "core/simulate/simulator.h"

// The policies that ship, held against the references.

namespace pm::simulate {
namespace {

std::unique_ptr<policy::Policy> shipped(const std::string& name) {
  const char* source = std::getenv("PM_SOURCE_DIR");
  const std::string path =
      std::string(source != nullptr ? source : ".") + "/scripts/policies/" + name + ".lua";
  auto script = policy::read_script(path, name + ".lua");
  EXPECT_TRUE(script.ok()) << script.status().to_string();
  if (!script.ok()) return nullptr;
  auto policy = policy::Policy::load({*script});
  EXPECT_TRUE(policy.ok()) << policy.status().to_string();
  return policy.ok() ? *std::move(policy) : nullptr;
}

HitCounts run_policy(const std::string& name, const std::vector<Access>& trace,
                     std::uint64_t capacity) {
  const auto policy = shipped(name);
  if (policy == nullptr) return {};
  Simulator simulator(two_tiers(capacity), decider_of(*policy));
  const auto begin = std::chrono::steady_clock::now();
  const Status status = simulator.run(trace);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  EXPECT_TRUE(status.ok()) << status.to_string();
  const SimulationResult& result = simulator.result();
  std::printf("  %-11s %6.2f %% of reads, %6.2f %% of bytes, %lu promoted, %lu left; %.1f s\n",
              name.c_str(), 100 * result.hits.rate(), 100 * result.hits.byte_rate(),
              result.promoted, result.left, took.count());
  return result.hits;
}

constexpr std::uint64_t cache_bytes = 10'000 * 4096;

// The decisions are the script's, the victims and what they are told come from the catalog, so this
// is the whole way of a question and its answer.
TEST(Policies, lru_is_lru_to_the_last_hit) {
  const auto trace = make_zipf({});
  EXPECT_EQ(run_policy("lru", trace, cache_bytes), run_lru(trace, cache_bytes));
}

TEST(Policies, hot_cold_comes_near_the_optimum) {
  const auto share = [](const std::vector<Access>& trace) {
    return run_policy("hot-cold", trace, cache_bytes).rate() /
           run_belady(trace, cache_bytes).rate();
  };
  EXPECT_GE(share(make_zipf({})), 0.85);
  EXPECT_GE(share(make_scans({})), 0.80);
  EXPECT_GE(share(make_scans({.zipf = {}, .accesses_between = 10'000})), 0.80);
  EXPECT_GE(share(make_loop({})), 0.60);
}

TEST(Policies, size_aware_has_more_hits_than_lru_where_sizes_differ) {
  const auto trace = make_sized({.zipf = {.size_bytes = 65'536}});
  const std::uint64_t capacity = footprint_bytes(trace) / 10;
  EXPECT_GT(run_policy("size-aware", trace, capacity).rate(),
            run_lru(trace, capacity).rate() + 0.1);
}

}  // namespace
}  // namespace pm::simulate
