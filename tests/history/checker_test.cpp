#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <map>
#include <set>

#include "check.h"
#include "simulated_server.h"

// The checker itself: it finds what is wrong, and nothing where all is well.

namespace pm::history {
namespace {

#if defined(PM_HISTORY_SLOW)  // A sanitizer's build.
constexpr std::uint64_t histories = 100;
constexpr std::uint64_t histories_of_a_bug = 5;
constexpr std::uint64_t many_operations = 10'000;
#else
constexpr std::uint64_t histories = 1'000;
constexpr std::uint64_t histories_of_a_bug = 100;
constexpr std::uint64_t many_operations = 100'000;
#endif

// Many clients, few payloads, a slow disk: much is seen before it is durable, and lost.
History hurried(std::uint64_t seed, Bug bug) {
  return simulate({.seed = seed,
                   .bug = bug,
                   .clients = 10,
                   .payloads = 3,
                   .crash_every = 40,
                   .journal_every = 60});
}

TEST(history_checker, passes_correct_histories) {
  std::uint64_t operations = 0;
  std::uint64_t unknown = 0;
  for (std::uint64_t seed = 1; seed <= histories; ++seed) {
    const Verdict verdict =
        check(seed % 2 == 0 ? simulate({.seed = seed}) : hurried(seed, Bug::none));
    ASSERT_TRUE(verdict.findings.empty()) << "seed " << seed << ": " << verdict.to_text();
    operations += verdict.operations;
    unknown += verdict.unknown;
  }
  std::printf(
      "%llu histories, %llu operations, %llu unknown\n", static_cast<unsigned long long>(histories),
      static_cast<unsigned long long>(operations), static_cast<unsigned long long>(unknown));
  EXPECT_GT(unknown, histories);
}

TEST(history_checker, catches_every_planted_bug) {
  constexpr std::uint64_t seeds_max = 2'000;  // For those that are rarely seen.
  EXPECT_GE(static_cast<int>(Bug::count), 21);
  for (int number = 1; number < static_cast<int>(Bug::count); ++number) {
    const Bug bug = static_cast<Bug>(number);
    std::map<std::string, int> by_rule;
    std::uint64_t caught = 0;
    std::uint64_t tried = 0;
    for (std::uint64_t seed = 1; seed <= (caught == 0 ? seeds_max : histories_of_a_bug); ++seed) {
      ++tried;
      const Verdict verdict = check(hurried(seed, bug));
      if (verdict.findings.empty()) continue;
      ++caught;
      std::set<std::string> rules;
      for (const Finding& finding : verdict.findings) rules.insert(finding.rule);
      for (const std::string& rule : rules) ++by_rule[rule];
    }
    std::string rules;
    for (const auto& [rule, times] : by_rule) rules += " " + rule + " " + std::to_string(times);
    std::printf("%-28s caught in %2llu of %3llu histories:%s\n", bug_name(bug),
                static_cast<unsigned long long>(caught), static_cast<unsigned long long>(tried),
                rules.c_str());
    EXPECT_GT(caught, 0u) << bug_name(bug);
  }
}

TEST(history_checker, checks_100000_operations_within_seconds) {
  const History history =
      simulate({.seed = 7, .clients = 8, .operations = many_operations, .payloads = 40});
  const auto begin = std::chrono::steady_clock::now();
  const Verdict verdict = check(history);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  EXPECT_TRUE(verdict.findings.empty()) << verdict.to_text();
  std::printf("checked in %.2f s: %s", seconds, verdict.to_text().c_str());
  EXPECT_EQ(verdict.operations, many_operations);
  EXPECT_LT(seconds, 20.0);
}

}  // namespace
}  // namespace pm::history
