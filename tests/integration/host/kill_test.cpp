#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <set>
#include <thread>

#include "count.h"
#include "host_process.h"
#include "kill_writer.h"
#include "leftovers.h"
#include "oracle.h"

// kill -9 of the host, again and again, at random times and at chosen points, also while it
// recovers. Shared memory outlives the host, so nothing that was acknowledged may be missing.

namespace pm::integration {
namespace {

constexpr int writers_count = 4;

// How one life of the host ends.
struct Plan {
  Environment environment;
  bool in_recovery = false;
  int after_ms = 0;  // Since its start in recovery, else since it is under load.
};

Plan make_plan(std::minstd_rand& random, int kill) {
  static constexpr const char* points[] = {
      "journal.before_apply",  "journal.after_apply",  "ledger.before_effect",
      "mover.before_allocate", "mover.after_allocate", "mover.before_seal",
      "mover.after_seal",      "mover.before_remove",  "mover.after_remove",
      "mover.before_move",     "mover.after_copy",     "mover.after_move"};
  Plan plan;
  plan.in_recovery = kill % 10 == 9;
  plan.after_ms = static_cast<int>(plan.in_recovery ? random() % 60 : 150 + random() % 350);
  if (kill % 4 < 2 || kill % 20 == 19) {
    const char* point = points[random() % std::size(points)];
    // What recovery does, it does a few times only.
    const auto passages = plan.in_recovery ? 1 : 1 + random() % 40;
    plan.environment = {{"PM_CRASH_AT", std::string(point) + ":" + std::to_string(passages)}};
    if (plan.in_recovery) plan.after_ms = 300;
  }
  return plan;
}

class Kills : public testing::Test {
 protected:
  Kills() : host_(host_options()) {
    seed_ = static_cast<unsigned>(number_from({"PM_SEED"}, ::getpid()));
    random_.seed(seed_);
    for (unsigned n = 0; n < writers_count; ++n) {
      writers_.push_back(std::make_unique<KillWriter>(seed_ * 31 + n + 1));
    }
  }

  static HostOptions host_options() {
    HostOptions options;
    options.shm_capacity_bytes = 4 << 20;  // So little that payloads are evicted, too.
    options.slab_bytes = 1 << 20;
    options.allocate_wait_ms_max = 1'000;
    options.orphan_grace_ms = 200;
    options.quarantine_ms = 200;
    return options;
  }

  bool clean() const {
    return std::all_of(writers_.begin(), writers_.end(),
                       [](const auto& writer) { return writer->violations().empty(); });
  }

  // False: the host went away.
  bool audit() {
    client::Client client = host_.client(10'000);
    std::set<client::PayloadId> known;
    for (const auto& writer : writers_) {
      if (!writer->audit(client)) return false;
      known.merge(committed_ids(writer->payloads()));
    }
    Violations violations;
    const bool whole = audit_list(client, known, violations);
    for (const std::string& violation : violations) ADD_FAILURE() << violation;
    return whole;
  }

  void load(const Plan& plan) {
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    for (auto& writer : writers_) {
      threads.emplace_back([this, &stop, &writer] {
        client::Client client = host_.client(20'000);
        writer->work(client, stop);
      });
    }
    const bool by_point = !plan.environment.empty();
    if (!host_.wait_exit(std::chrono::milliseconds(by_point ? 500 : plan.after_ms))) {
      host_.send(SIGKILL);
    } else {
      ++by_point_;
    }
    stop = true;
    for (std::thread& thread : threads) thread.join();
    die();
  }

  void die() {
    host_.kill();
    if (const std::string words = host_.strange_death(); !words.empty()) ADD_FAILURE() << words;
  }

  // One life, and how it ended. False: the test has failed.
  bool live_and_die(const Plan& plan) {
    host_.start(plan.environment);
    if (plan.in_recovery) {
      if (host_.wait_exit(std::chrono::milliseconds(plan.after_ms))) ++by_point_;
      ++in_recovery_;
      die();
      return true;
    }
    const bool may_die = !plan.environment.empty();
    if (!host_.wait_ready()) {
      if (!may_die) ADD_FAILURE() << "the host does not start:\n" << host_.log();
      ++in_recovery_;
      die();
      return may_die;
    }
    if (!audit()) {
      if (!may_die || !host_.wait_exit(std::chrono::seconds(5))) {
        ADD_FAILURE() << "the host went away, or does not answer:\n" << host_.log();
      }
      die();
      return may_die;
    }
    if (clean() && !HasFailure()) load(plan);
    return clean() && !HasFailure();
  }

  void report_violations() const {
    for (const auto& writer : writers_) {
      for (const std::string& violation : writer->violations()) ADD_FAILURE() << violation;
    }
  }

  HostProcess host_;
  unsigned seed_ = 0;
  std::minstd_rand random_;
  std::vector<std::unique_ptr<KillWriter>> writers_;
  int by_point_ = 0;
  int in_recovery_ = 0;
};

TEST_F(Kills, nothing_acknowledged_is_lost_and_nothing_is_left_behind) {
  const long kills = number_from({"PM_KILLS", "PM_KILLS_DEFAULT"}, 200);
  std::printf("PM_SEED=%u PM_KILLS=%ld\n", seed_, kills);
  std::fflush(stdout);
  const auto begin = std::chrono::steady_clock::now();
  int kill = 0;
  while (kill < kills && live_and_die(make_plan(random_, kill))) ++kill;
  report_violations();
  ASSERT_FALSE(HasFailure()) << "after " << kill << " kills; PM_SEED=" << seed_ << "\n"
                             << host_.log();

  ASSERT_TRUE(host_.start_ready()) << host_.log();
  EXPECT_TRUE(audit());
  report_violations();
  std::uint64_t answers = 0;
  std::uint64_t unknowns = 0;
  for (const auto& writer : writers_) {
    answers += writer->answers();
    unknowns += writer->unknowns();
  }
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  std::printf(
      "%d kills (%d at a chosen point, %d in recovery) in %.0f s; %llu answers, %llu calls "
      "without one that were settled\n",
      kill, by_point_, in_recovery_, seconds, static_cast<unsigned long long>(answers),
      static_cast<unsigned long long>(unknowns));

  client::Client client = host_.client();
  Violations violations;
  audit_room(host_, client, violations);
  for (const std::string& violation : violations) ADD_FAILURE() << violation;
  const auto stats = client.stats();
  ASSERT_TRUE(stats.ok());
  for (const client::TierStats& tier : stats->tiers) {
    EXPECT_EQ(tier.health, "ok") << tier.name;
  }
  for (const auto& writer : writers_) {
    for (const Known& known : writer->payloads()) EXPECT_TRUE(client.erase(known.id).ok());
  }
  EXPECT_EQ(leftovers(host_, client), "") << "after everything was deleted";
  const auto exit = host_.terminate();
  ASSERT_TRUE(exit.has_value());
  EXPECT_EQ(exit->code, 0);
}

}  // namespace
}  // namespace pm::integration
