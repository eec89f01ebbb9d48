#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "count.h"
#include "trial.h"

namespace pm::crash {
namespace {

using integration::number_from;

struct Sum {
  long cells = 0;
  long kills = 0;
  long dies_twice = 0;
  long leases = 0;
  long lease_cells = 0;
  long lease_cells_seen = 0;
  long findings = 0;
};

// Runs trials on several threads, each with hosts of its own.
class Matrix {
 public:
  explicit Matrix(std::vector<Trial> trials) : trials_(std::move(trials)) {}

  Sum run(long jobs) {
    std::vector<std::thread> threads;
    for (long job = 0; job < jobs; ++job) {
      threads.emplace_back([this] {
        for (std::size_t next = next_++; next < trials_.size(); next = next_++) {
          take(trials_[next], crash::run(trials_[next]));
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    return sum_;
  }

 private:
  void take(const Trial& trial, const Outcome& outcome) {
    const std::lock_guard lock(mutex_);
    ++sum_.cells;
    sum_.kills += outcome.kills;
    sum_.dies_twice += outcome.kills > 1 ? 1 : 0;
    sum_.leases += outcome.lease_was_held ? 1 : 0;
    if (trial.cell.operation == Operation::lease) {
      ++sum_.lease_cells;
      sum_.lease_cells_seen += outcome.lease_was_held ? 1 : 0;
    }
    if (outcome.violations.empty()) return;
    ++sum_.findings;
    std::string words;
    for (const std::string& violation : outcome.violations) words += "\n  " + violation;
    constexpr long findings_shown_max = 20;
    if (sum_.findings > findings_shown_max) return;
    ADD_FAILURE() << trial.cell.name() << (trial.dies_twice ? ", twice" : "")
                  << ": PM_CRASH_CELL=" << trial.cell.name() << " PM_SEED=" << trial.seed
                  << " PM_CRASH_SEEDS=1" << words << "\n"
                  << outcome.log;
  }

  const std::vector<Trial> trials_;
  std::atomic<std::size_t> next_{0};
  std::mutex mutex_;
  Sum sum_;
};

// PM_CRASH_SEEDS of them from PM_SEED on, each with every cell, or those whose names begin with
// PM_CRASH_CELL. With each fourth seed, the host dies a second time while it recovers.
std::vector<Trial> trials_of(long first_seed, long seeds) {
  const char* only = std::getenv("PM_CRASH_CELL");
  std::vector<Trial> trials;
  for (long seed = first_seed; seed < first_seed + seeds; ++seed) {
    for (const Cell& cell : all_cells()) {
      if (only != nullptr && !cell.name().starts_with(only)) continue;
      const bool dies_twice = cell.operation != Operation::recovery && seed % 4 == 0;
      trials.push_back({cell, static_cast<std::uint32_t>(seed), dies_twice});
    }
  }
  return trials;
}

TEST(crash_matrix, has_192_cells_each_with_a_name_of_its_own) {
  std::set<std::string> names;
  for (const Cell& cell : all_cells()) names.insert(cell.name());
  EXPECT_EQ(names.size(), 192u);
}

TEST(crash_matrix, a_kill_at_any_step_loses_nothing_acknowledged_and_leaves_nothing_behind) {
  const long seed = number_from({"PM_SEED"}, ::getpid());
  const long seeds = number_from({"PM_CRASH_SEEDS", "PM_CRASH_SEEDS_DEFAULT"}, 4);
  const auto begin = std::chrono::steady_clock::now();
  std::printf("PM_SEED=%ld PM_CRASH_SEEDS=%ld\n", seed, seeds);
  std::fflush(stdout);
  std::vector<Trial> trials = trials_of(seed, seeds);
  const auto wanted = static_cast<long>(trials.size());
  const Sum sum = Matrix(std::move(trials)).run(number_from({"PM_CRASH_JOBS"}, 8));
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  EXPECT_EQ(sum.cells, wanted);
  EXPECT_GE(sum.kills, wanted);
  // On a machine that is busy the quarantine is often over before anybody can look.
  EXPECT_GE(sum.leases * 20, sum.cells) << "the leases of earlier lives were not looked at";
  EXPECT_GE(sum.lease_cells_seen * 10, sum.lease_cells * 9) << "where they are what it is about";
  std::printf("the lease of an earlier life was looked at in %ld of %ld; %.0f s\n", sum.leases,
              sum.cells, seconds);
  std::printf("crash: %ld cells, %ld kills, %ld double kills, %ld findings\n", sum.cells, sum.kills,
              sum.dies_twice, sum.findings);
}

// Each is planted in the host and in turn looked for in these cells, a few seeds each.
struct Planted {
  catalog::Mutant mutant;
  std::vector<std::string> cells;
};

std::vector<Planted> planted_mistakes() {
  using catalog::Mutant;
  return {
      {Mutant::quarantine_is_ignored, {"lease.grant.after.shm", "lease.grant.after.disk"}},
      {Mutant::orphan_is_kept, {"allocate.reply.after.shm", "write.half.after.disk"}},
      {Mutant::reply_comes_before_durable, {"commit.row.before.shm", "delete.tombstone.before"}},
      {Mutant::copy_goes_before_durable, {"delete.removed.after", "spill.freed.after.disk"}},
      {Mutant::moved_copy_is_not_sealed, {"spill.row.after.disk", "promote.row.after.disk"}},
      {Mutant::sequence_begins_anew, {"commit.reply.after"}},
  };
}

// The first rule of the oracle that a trial has broken; empty: none.
std::string broken_rule(const Outcome& outcome) {
  for (const std::string& violation : outcome.violations) {
    if (violation.starts_with("I")) return violation;
  }
  return {};
}

// How many trials it took, and what was found.
std::string look_for(const Planted& planted) {
  constexpr std::uint32_t seeds_max = 12;
  int trials = 0;
  for (std::uint32_t seed = 1; seed <= seeds_max; ++seed) {
    for (const Cell& cell : all_cells()) {
      const bool is_meant =
          std::any_of(planted.cells.begin(), planted.cells.end(),
                      [&](const std::string& name) { return cell.name().starts_with(name); });
      if (!is_meant) continue;
      ++trials;
      const std::string found = broken_rule(crash::run({cell, seed, false, planted.mutant}));
      if (!found.empty()) return "trial " + std::to_string(trials) + ": " + found;
    }
  }
  return {};
}

TEST(crash_matrix, finds_each_planted_mistake) {
  const std::vector<Planted> mistakes = planted_mistakes();
  std::vector<std::string> found(mistakes.size());
  std::vector<std::thread> threads;
  for (std::size_t at = 0; at < mistakes.size(); ++at) {
    threads.emplace_back([&, at] { found[at] = look_for(mistakes[at]); });
  }
  for (std::thread& thread : threads) thread.join();
  for (std::size_t at = 0; at < mistakes.size(); ++at) {
    const int number = static_cast<int>(mistakes[at].mutant);
    EXPECT_FALSE(found[at].empty()) << "mutant " << number;
    std::printf("mutant %d: %s\n", number, found[at].c_str());
  }
}

}  // namespace
}  // namespace pm::crash
