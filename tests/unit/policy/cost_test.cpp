// What questions cost, as multiples of the least that one can cost. The bounds are ten times what
// is aimed at (tests/perf/policy tells the figures), so that no busy machine or sanitizer breaks
// them.

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>

#include "some_facts.h"

namespace pm::policy {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)

// Microseconds of a call, at its best.
template <typename Call>
double cost_us(Call&& call) {
  constexpr int rounds = 20;
  constexpr int calls = 200;
  double best = 1e9;
  for (int round = 0; round < rounds; ++round) {
    const auto begin = std::chrono::steady_clock::now();
    for (int n = 0; n < calls; ++n) call();
    const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - begin;
    best = std::min(best, took.count() / calls);
  }
  return best;
}

TEST(cost, of_lru_is_bounded) {
  std::ifstream file(std::string(PM_TEST_SCRIPTS) + "/policies/lru.lua");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const auto empty = load(rule("retain", ""));
  const auto lru = load(text);
  const double call_us = cost_us([&, facts = RetainFacts()] {
    RetainDecision decision;
    empty->ask(facts, decision);
  });
  const double place_us = cost_us([&, facts = place_facts()] {
    PlaceDecision decision;
    EXPECT_EQ(lru->ask(facts, decision), "");
  });
  constexpr std::size_t batch = 64;
  SpillFacts facts = spill_facts(batch);
  facts.bytes_wanted = UINT64_MAX >> 1;
  const double victim_us = cost_us([&] {
                             SpillDecision decision;
                             EXPECT_EQ(lru->ask(facts, decision), "lru");
                             EXPECT_EQ(decision.victims.size(), batch);
                           }) /
                           batch;
  std::printf("an empty call %.2f us, a placement %.2f us (%.1f), a victim %.3f us (%.2f)\n",
              call_us, place_us, place_us / call_us, victim_us, victim_us / call_us);
  constexpr double place_us_max = 50;
  constexpr double victim_us_max = 50;
  EXPECT_LT(place_us, place_us_max);
  EXPECT_LT(victim_us, victim_us_max);
}

}  // namespace
}  // namespace pm::policy
