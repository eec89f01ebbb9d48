#include <gtest/gtest.h>

#include <cstdlib>
#include <set>

#include "core/catalog/mutant.h"
#include "random_list.h"

// Random lists of 200 commands, through the catalog and through a naive model of it.

namespace pm::catalog::naive {
namespace {

constexpr int commands = 200;
constexpr std::uint64_t all_lists = 10'000;

// PM_LISTS, else what the build says: a sanitizer's is slow.
std::uint64_t lists_to_run() {
  for (const char* name : {"PM_LISTS", "PM_LISTS_DEFAULT"}) {
    if (const char* text = std::getenv(name)) return std::strtoull(text, nullptr, 10);
  }
  return all_lists;
}

// Given by the engine around the catalog, never by the catalog.
const std::set<Reason> given_elsewhere = {Reason::journal_full, Reason::lineage_cycle,
                                          Reason::watch_too_old};

TEST(catalog_model, never_differs_from_the_catalog) {
  const std::uint64_t lists = lists_to_run();
  const std::uint64_t at_least = lists / 10;  // 1,000 of all.
  Tally tally;
  for (std::uint64_t seed = 1; seed <= lists; ++seed) {
    const std::string difference = RandomList(seed, tally).go(commands);
    ASSERT_EQ(difference, "") << "seed " << seed;
  }
  // Lists of which nothing came would show nothing.
  EXPECT_GE(2 * tally.successes, tally.answers);
  EXPECT_GE(tally.restarts, at_least);
  // The simulation gives those of policies, holds_test those of sessions and holds.
  constexpr std::size_t given_by_others = 3 + 4;
  EXPECT_EQ(tally.kinds.size() + given_by_others, std::variant_size_v<Command>);
  for (const auto& [kind, count] : tally.kinds) EXPECT_GE(count, at_least) << kind;
  for (int number = 0; number <= static_cast<int>(Reason::watch_too_old); ++number) {
    const auto reason = static_cast<Reason>(number);
    if (given_elsewhere.contains(reason)) continue;
    EXPECT_GE(tally.reasons[reason], at_least) << "reason " << number;
  }
}

#if PM_FAILPOINTS
struct Mistake {
  Mutant mutant;
  const char* name;
};
constexpr Mistake mistakes[] = {
    {Mutant::delete_ignores_leases, "delete_ignores_leases"},
    {Mutant::expired_is_live, "expired_is_live"},
    {Mutant::spill_ignores_durability, "spill_ignores_durability"},
    {Mutant::evicts_pinned, "evicts_pinned"},
    {Mutant::lets_in_one_block_too_many, "lets_in_one_block_too_many"},
    {Mutant::promote_drops_durable_copy, "promote_drops_durable_copy"},
    {Mutant::removes_leased_copy, "removes_leased_copy"},
    {Mutant::renewal_shortens_lease, "renewal_shortens_lease"},
    {Mutant::request_id_alone_is_a_repeat, "request_id_alone_is_a_repeat"},
    {Mutant::leaving_source_counts_twice, "leaving_source_counts_twice"},
    {Mutant::group_goes_back, "group_goes_back"},
    {Mutant::stale_look_is_believed, "stale_look_is_believed"},
    {Mutant::tier_failure_is_not_recorded, "tier_failure_is_not_recorded"},
    {Mutant::bad_copy_is_still_shown, "bad_copy_is_still_shown"},
    {Mutant::good_copy_is_condemned, "good_copy_is_condemned"},
    {Mutant::checked_copy_is_removed, "checked_copy_is_removed"},
    {Mutant::bad_copy_is_not_recorded, "bad_copy_is_not_recorded"},
    {Mutant::degraded_tier_is_used, "degraded_tier_is_used"},
};
static_assert(std::size(mistakes) == static_cast<std::size_t>(Mutant::last_of_catalog));

class PlantedMistake : public testing::TestWithParam<Mistake> {
 protected:
  ~PlantedMistake() override { planted = Mutant::none; }
};

TEST_P(PlantedMistake, is_found) {
  if (lists_to_run() < all_lists) GTEST_SKIP() << "takes up to 20,000 lists";
  constexpr std::uint64_t lists_max = 20'000;
  planted = GetParam().mutant;
  Tally tally;
  for (std::uint64_t seed = 1; seed <= lists_max; ++seed) {
    if (RandomList(seed, tally).go(commands).empty()) continue;
    RecordProperty("seed", static_cast<int>(seed));
    return;
  }
  FAIL() << "no list shows the mistake";
}

INSTANTIATE_TEST_SUITE_P(catalog_model, PlantedMistake, testing::ValuesIn(mistakes),
                         [](const auto& mistake) { return std::string(mistake.param.name); });
#endif

}  // namespace
}  // namespace pm::catalog::naive
