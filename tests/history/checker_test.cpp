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

// Many clients, few payloads, a slow disk: much is seen before it is durable, and lost.
History hurried(std::uint64_t seed, Bug bug) {
  return simulate({.seed = seed,
                   .bug = bug,
                   .clients = 10,
                   .payloads = 3,
                   .crash_every = 40,
                   .journal_every = 60});
}

TEST(HistoryChecker, thousand_correct_histories_pass) {
  std::uint64_t operations = 0;
  std::uint64_t unknown = 0;
  for (std::uint64_t seed = 1; seed <= 1'000; ++seed) {
    const Verdict verdict =
        check(seed % 2 == 0 ? simulate({.seed = seed}) : hurried(seed, Bug::none));
    ASSERT_TRUE(verdict.findings.empty()) << "seed " << seed << ": " << verdict.to_text();
    operations += verdict.operations;
    unknown += verdict.unknown;
  }
  std::printf("1000 histories, %llu operations, %llu unknown\n",
              static_cast<unsigned long long>(operations),
              static_cast<unsigned long long>(unknown));
  EXPECT_GT(unknown, 1'000u);
}

TEST(HistoryChecker, every_planted_bug_is_caught) {
  constexpr std::uint64_t seeds = 100;
  constexpr std::uint64_t seeds_max = 2'000;  // For those that are rarely seen.
  EXPECT_GE(static_cast<int>(Bug::count), 21);
  for (int number = 1; number < static_cast<int>(Bug::count); ++number) {
    const Bug bug = static_cast<Bug>(number);
    std::map<std::string, int> by_rule;
    std::uint64_t caught = 0;
    std::uint64_t tried = 0;
    for (std::uint64_t seed = 1; seed <= (caught == 0 ? seeds_max : seeds); ++seed) {
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

TEST(HistoryChecker, checks_100000_operations_within_seconds) {
  const History history =
      simulate({.seed = 7, .clients = 8, .operations = 100'000, .payloads = 40});
  const auto begin = std::chrono::steady_clock::now();
  const Verdict verdict = check(history);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  EXPECT_TRUE(verdict.findings.empty()) << verdict.to_text();
  std::printf("checked in %.2f s: %s", seconds, verdict.to_text().c_str());
  EXPECT_EQ(verdict.operations, 100'000u);
#if !defined(PM_HISTORY_SLOW)
  EXPECT_LT(seconds, 20.0);
#endif
}

}  // namespace
}  // namespace pm::history
