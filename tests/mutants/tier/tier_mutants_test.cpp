#include <gtest/gtest.h>

#include <cstdlib>
#include <set>

#include "rules.h"

// A rule that nothing can break proves nothing: for each there is a tier that breaks it and keeps
// the others' code paths as they are, and the rule must say so.

namespace pm::check {
namespace {

Subject mutant(const std::string& broken_rule, const Rule& rule) {
  // What a plugin says of itself is constant data, which no configuration can change.
  static const std::set<std::string> of_entry = {
      "entry_describes_plugin", "note_repeats_descriptor", "schema_explains_every_key"};
  const char* build = std::getenv("PM_BUILD_DIR");
  const std::string file =
      of_entry.contains(broken_rule) ? "tier-mutant-entry.so" : "tier-mutant.so";
  return {broken_rule, std::filesystem::path(build == nullptr ? "." : build) / "tests" / file,
          R"({"directory": "@DIRECTORY@", "capacity_bytes": @CAPACITY@, "broken_rule": ")" +
              broken_rule + "\"}",
          (rule.needs & needs_sealing) != 0 ? std::uint32_t{PM_ALLOCATE_SEALED} : 0};
}

class TierMutants : public testing::TestWithParam<Rule> {};

TEST_P(TierMutants, rule_catches_its_mutant) {
  const Rule& rule = GetParam();
  const Outcome outcome = run_rule(rule, mutant(rule.name, rule));
  ASSERT_TRUE(outcome.applies);
  EXPECT_NE(outcome.failure, "") << rule.number << " holds for a tier that breaks it";
  RecordProperty("failure", outcome.failure);
}

TEST_P(TierMutants, rule_holds_for_the_tier_unbroken) {
  const Rule& rule = GetParam();
  const Outcome outcome = run_rule(rule, mutant("", rule));
  if (!outcome.applies) GTEST_SKIP() << "the unbroken tier keeps bytes";
  EXPECT_EQ(outcome.failure, "");
}

INSTANTIATE_TEST_SUITE_P(Tier, TierMutants, testing::ValuesIn(tier_rules()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace pm::check
