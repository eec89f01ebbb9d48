#include <gtest/gtest.h>

#include <cstdlib>
#include <set>

#include "rules.h"

namespace pm::check {
namespace {

std::filesystem::path plugin(const std::string& file,
                             const std::string& folder = "payload-manager") {
  const char* build = std::getenv("PM_BUILD_DIR");
  return std::filesystem::path(build == nullptr ? "." : build) / "lib" / folder / file;
}

std::vector<Subject> real_tiers() {
  return {
      {"void", plugin("tier-void.so"), "{}"},
      {"shm_segment", plugin("tier-shm.so"),
       R"({"prefix": "@UNIQUE@", "capacity_bytes": @CAPACITY@})"},
      {"shm_slab", plugin("tier-shm.so"),
       R"({"prefix": "@UNIQUE@", "capacity_bytes": @CAPACITY@, "slab_bytes": @CAPACITY@})",
       PM_ALLOCATE_SLAB},
      {"shm_sealed", plugin("tier-shm.so"),
       R"({"prefix": "@UNIQUE@", "capacity_bytes": @CAPACITY@})", PM_ALLOCATE_SEALED},
      {"disk", plugin("tier-disk.so"),
       R"({"root": "@DIRECTORY@/root", "capacity_bytes": @CAPACITY@})"},
  };
}

// The real ones, and each behind tier-fault with nothing in its schedule.
std::vector<Subject> subjects() {
  std::vector<Subject> all = real_tiers();
  for (const Subject& real : real_tiers()) {
    const std::string name = real.plugin.stem().string();
    all.push_back({"fault_" + real.name, plugin("tier-fault.so", "payload-manager-test"),
                   R"({"plugin": ")" + name + R"(", "schedule_file": "@DIRECTORY@/faults.toml",)" +
                       R"( "config": )" + real.config + "}",
                   real.allocate_flags});
  }
  return all;
}

class TierContract : public testing::TestWithParam<std::tuple<Subject, Rule>> {};

TEST_P(TierContract, holds) {
  const auto& [subject, rule] = GetParam();
  if (!std::filesystem::exists(subject.plugin)) {
    GTEST_SKIP() << subject.plugin << " was not built";
  }
  const Outcome outcome = run_rule(rule, subject);
  if (!outcome.applies) GTEST_SKIP() << "does not apply to " << subject.name;
  EXPECT_EQ(outcome.failure, "") << rule.number << ": " << rule.sentence;
}

INSTANTIATE_TEST_SUITE_P(Tiers, TierContract,
                         testing::Combine(testing::ValuesIn(subjects()),
                                          testing::ValuesIn(tier_rules())),
                         [](const auto& info) {
                           return std::get<0>(info.param).name + "_" + std::get<1>(info.param).name;
                         });

TEST(TierRules, numbers_and_names_are_unique) {
  std::set<std::string> seen;
  for (const auto& rule : tier_rules()) {
    EXPECT_TRUE(seen.insert(rule.number).second) << rule.number;
    EXPECT_TRUE(seen.insert(rule.name).second) << rule.name;
    EXPECT_NE(std::string(rule.sentence), "");
  }
}

}  // namespace
}  // namespace pm::check
