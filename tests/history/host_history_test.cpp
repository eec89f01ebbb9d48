#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <random>
#include <thread>

#include "check.h"
#include "count.h"
#include "host_process.h"
#include "recorded_client.h"

// Eight clients at the real host, which is killed again and again; then what they saw is checked.

namespace pm::history {
namespace {

using integration::number_from;

using integration::HostOptions;
using integration::HostProcess;

constexpr std::uint32_t clients_count = 8;

// So much room that nothing is moved or deleted unasked, and copies of an earlier life are left
// alone for longer than a lease runs.
HostOptions host_options() {
  HostOptions options;
  options.shm_capacity_bytes = 256 << 20;
  options.slab_bytes = 64 << 20;
  options.quarantine_ms = 4'000;
  return options;
}

// One host and its clients, from the first start to the check.
class Round {
 public:
  explicit Round(std::uint32_t seed) : host_(host_options()), random_(seed) {
    for (std::uint32_t n = 0; n < clients_count; ++n) {
      clients_.push_back(std::make_unique<RecordedClient>(n, seed * 31 + n + 1, shared_));
    }
  }

  // False: the host did not start.
  bool live_and_die() {
    const bool in_recovery = random_() % 10 == 9;
    integration::Environment environment;
    if (random_() % 2 == 0) {
      static constexpr const char* points[] = {
          "journal.before_apply", "journal.after_apply", "ledger.before_effect", "mover.after_seal",
          "mover.after_copy",     "mover.after_move",    "mover.before_remove"};
      environment = {{"PM_CRASH_AT", std::string(points[random_() % std::size(points)]) + ":" +
                                         std::to_string(1 + random_() % 400)}};
    }
    host_.start(environment);
    if (in_recovery) {
      static_cast<void>(host_.wait_exit(std::chrono::milliseconds(random_() % 60)));
    } else if (host_.wait_ready()) {
      load(std::chrono::milliseconds(200 + random_() % 1'000));
    } else if (environment.empty()) {
      return false;
    }
    host_.kill();
    if (const std::string words = host_.strange_death(); !words.empty()) ADD_FAILURE() << words;
    end_life();
    return true;
  }

  bool look_at_all() {
    if (!host_.start_ready()) return false;
    clients_.front()->look_round(host_.client(10'000), life_);
    return true;
  }

  History history() const {
    History history = crashes_;
    for (const auto& client : clients_) {
      const auto& operations = client->recorder().operations();
      history.insert(history.end(), operations.begin(), operations.end());
    }
    return history;
  }

  std::vector<std::string> strange() const {
    std::vector<std::string> all;
    for (const auto& client : clients_) {
      all.insert(all.end(), client->strange().begin(), client->strange().end());
    }
    return all;
  }

  std::string log() const { return host_.log(); }

 private:
  void load(std::chrono::milliseconds length) {
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    for (auto& client : clients_) {
      threads.emplace_back([&, this] { client->live(host_.client(20'000), life_, stop); });
    }
    if (!host_.wait_exit(length)) host_.send(SIGKILL);
    stop = true;
    for (std::thread& thread : threads) thread.join();
  }

  // The host is gone and all clients know.
  void end_life() {
    const std::int64_t now_ns = monotonic_ns();
    crashes_.push_back(crash_at(life_++, now_ns, now_ns + 1));
    while (monotonic_ns() <= now_ns + 1) {
    }
  }

  HostProcess host_;
  std::minstd_rand random_;
  SharedPayloads shared_;
  std::vector<std::unique_ptr<RecordedClient>> clients_;
  History crashes_;
  std::uint32_t life_ = 0;
};

struct Sum {
  long kills = 0;
  std::uint64_t operations = 0;
  std::uint64_t unknown = 0;
  std::size_t findings = 0;
};

void run_round(std::uint32_t seed, long kills, Sum& sum) {
  Round round(seed);
  bool alive = true;
  for (long kill = 0; alive && kill < kills; ++kill) {
    alive = round.live_and_die();
    if (alive) ++sum.kills;
  }
  alive = alive && round.look_at_all();
  if (!alive) {
    ++sum.findings;
    ADD_FAILURE() << "the host does not start; PM_SEED=" << seed << "\n" << round.log();
  }
  for (const std::string& answer : round.strange()) {
    ++sum.findings;
    ADD_FAILURE() << "no good host answers so; PM_SEED=" << seed << ": " << answer;
  }
  const Verdict verdict = check(round.history());
  sum.operations += verdict.operations;
  sum.unknown += verdict.unknown;
  sum.findings += verdict.findings.size();
  std::printf("PM_SEED=%u: %s", seed, verdict.to_text().c_str());
  std::fflush(stdout);
  EXPECT_TRUE(verdict.findings.empty()) << "PM_SEED=" << seed;
}

// PM_HISTORY_KILLS, in rounds of 25 at most; with PM_HISTORY_SECONDS it ends with the round in
// which they are over.
TEST(host_history, what_clients_saw_across_kills_is_what_the_contract_allows) {
  const long kills = number_from({"PM_HISTORY_KILLS", "PM_HISTORY_KILLS_DEFAULT"}, 12);
  const long seconds = number_from({"PM_HISTORY_SECONDS"}, 0);
  auto seed = static_cast<std::uint32_t>(number_from({"PM_SEED"}, ::getpid()));
  const auto begin = std::chrono::steady_clock::now();
  const auto is_over = [&] {
    const auto passed = std::chrono::steady_clock::now() - begin;
    return seconds != 0 && passed >= std::chrono::seconds(seconds);
  };
  constexpr long kills_per_round = 25;
  Sum sum;
  while (sum.kills < kills && sum.findings == 0 && !is_over()) {
    run_round(seed++, std::min(kills_per_round, kills - sum.kills), sum);
  }
  EXPECT_GE(sum.kills, std::min(kills, 10L));
  EXPECT_GT(sum.operations, static_cast<std::uint64_t>(sum.kills) * 50);
  std::printf("%llu operations without an answer\n", static_cast<unsigned long long>(sum.unknown));
  std::printf("history: %ld kills, %llu operations, %zu findings\n", sum.kills,
              static_cast<unsigned long long>(sum.operations), sum.findings);
}

}  // namespace
}  // namespace pm::history
