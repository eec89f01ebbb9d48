#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

#include "core/catalog/mutant.h"
#include "core/observe/log.h"
#include "simulation.h"

namespace pm::simulation {
namespace {

constexpr std::uint64_t steps = 1'000;

std::uint64_t number_of(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

// What the host would warn of takes longer than the rest.
class Quiet : public testing::Environment {
 public:
  void SetUp() override { log::set_level(log::Level::error); }
};
[[maybe_unused]] const testing::Environment* const quiet =
    testing::AddGlobalTestEnvironment(new Quiet);

void add(Outcome& sum, const Outcome& outcome) {
  sum.steps += outcome.steps;
  sum.lives += outcome.lives;
  sum.answers += outcome.answers;
  sum.successes += outcome.successes;
  for (std::size_t at = 0; at < fault_count; ++at) sum.faults[at] += outcome.faults[at];
}

TEST(simulation, nothing_acknowledged_is_lost_whatever_fails) {
  const std::uint64_t first = number_of("PM_SEED", 1);
  const std::uint64_t seeds = number_of("PM_SEEDS", number_of("PM_SEEDS_DEFAULT", 200));
  constexpr std::uint64_t seeds_of_a_full_run = 20'000;
  Outcome sum;
  for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
    const Outcome outcome = Simulation(seed).run(steps);
    ASSERT_EQ(outcome.violation, "") << "make simulate SEED=" << seed << " SEEDS=1 shows it again";
    add(sum, outcome);
  }
  std::printf("simulation: %llu seeds, %llu steps, %llu lives, %llu answers, %llu of them good\n",
              static_cast<unsigned long long>(seeds), static_cast<unsigned long long>(sum.steps),
              static_cast<unsigned long long>(sum.lives),
              static_cast<unsigned long long>(sum.answers),
              static_cast<unsigned long long>(sum.successes));
  // Clients to whom nothing is given see nothing go wrong.
  EXPECT_GE(2 * sum.successes, sum.answers);
  if (seeds < seeds_of_a_full_run) return;
  for (std::size_t at = 0; at < fault_count; ++at) {
    EXPECT_GE(sum.faults[at], 1'000u) << "fault " << at << " comes too rarely";
  }
}

// What a try of a tier left behind stayed when that try hung, and came back after the next one.
TEST(simulation, seeds_that_found_something_find_nothing_any_more) {
  for (const std::uint64_t seed : {136'992u}) {
    EXPECT_EQ(Simulation(seed).run(1'000).violation, "") << "seed " << seed;
  }
}

#if PM_FAILPOINTS
using catalog::Mutant;

struct Mistake {
  Mutant mutant;
  const char* name;
};
constexpr Mistake mistakes[] = {
    {Mutant::lets_in_one_block_too_many, "lets_in_one_block_too_many"},
    {Mutant::promote_drops_durable_copy, "promote_drops_durable_copy"},
    {Mutant::removes_leased_copy, "removes_leased_copy"},
    {Mutant::bad_copy_is_still_shown, "bad_copy_is_still_shown"},
    {Mutant::good_copy_is_condemned, "good_copy_is_condemned"},
    {Mutant::checked_copy_is_removed, "checked_copy_is_removed"},
    {Mutant::quarantine_is_ignored, "quarantine_is_ignored"},
    {Mutant::orphan_is_kept, "orphan_is_kept"},
    {Mutant::reply_comes_before_durable, "reply_comes_before_durable"},
    {Mutant::copy_goes_before_durable, "copy_goes_before_durable"},
    {Mutant::away_batch_is_dropped, "away_batch_is_dropped"},
    {Mutant::power_is_not_asked_for, "power_is_not_asked_for"},
    {Mutant::sequence_begins_anew, "sequence_begins_anew"},
    {Mutant::gone_copy_is_believed, "gone_copy_is_believed"},
    {Mutant::failed_move_is_not_reported, "failed_move_is_not_reported"},
    {Mutant::failed_copy_is_reported_good, "failed_copy_is_reported_good"},
    {Mutant::moved_copy_is_not_sealed, "moved_copy_is_not_sealed"},
    {Mutant::half_made_copy_is_forgotten, "half_made_copy_is_forgotten"},
    {Mutant::hung_object_is_not_held, "hung_object_is_not_held"},
    {Mutant::given_up_allocation_is_forgotten, "given_up_allocation_is_forgotten"},
};

class PlantedMistake : public testing::TestWithParam<Mistake> {
 protected:
  ~PlantedMistake() override { catalog::planted = Mutant::none; }
};

TEST_P(PlantedMistake, is_found) {
  constexpr std::uint64_t seeds_max = 10'000;
  catalog::planted = GetParam().mutant;
  for (std::uint64_t seed = 1; seed <= seeds_max; ++seed) {
    const Outcome outcome = Simulation(seed).run(steps);
    if (outcome.violation.empty()) continue;
    std::printf("seed %llu: %s\n", static_cast<unsigned long long>(seed),
                outcome.violation.c_str());
    return;
  }
  FAIL() << "no seed shows the mistake";
}

// One seed that finds most of them would mean that only crude mistakes were planted.
TEST(simulation, mistakes_are_not_crude) {
  std::size_t found = 0;
  for (const Mistake& mistake : mistakes) {
    catalog::planted = mistake.mutant;
    if (!Simulation(1).run(steps).violation.empty()) ++found;
  }
  catalog::planted = Mutant::none;
  EXPECT_LE(2 * found, std::size(mistakes));
}

INSTANTIATE_TEST_SUITE_P(simulation, PlantedMistake, testing::ValuesIn(mistakes),
                         [](const auto& mistake) { return std::string(mistake.param.name); });
#endif

}  // namespace
}  // namespace pm::simulation
