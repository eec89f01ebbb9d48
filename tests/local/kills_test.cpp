#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <random>
#include <thread>

#include "local_scene.h"

// Clients that are killed at any time while they create, write, commit, lease, release and do so in
// batches: everything is back at once, and what they committed is whole.

namespace pm::local::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr std::uint64_t small_bytes = 4'096;
constexpr std::size_t shared_count = 16;

class LocalKills : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(host_.start_ready()) << host_.log();
    client_.emplace(connect(host_, false));
    for (std::size_t n = 0; n < shared_count; ++n) {
      shared_.push_back(put(*client_, n + 1, small_bytes));
    }
  }

  // Until it is killed. What it commits has the number of its first eight bytes everywhere.
  int work(unsigned seed) {
    client::Client direct = connect(host_);
    client::Client calls = connect(host_, false);
    std::minstd_rand random(seed);
    for (std::uint64_t number = 1;; ++number) {
      client::Client& client = random() % 2 == 0 ? direct : calls;
      switch (random() % 4) {
        case 0: {
          client::CreateOptions options;
          options.layout = random() % 2 == 0 ? client::Layout::slab : client::Layout::segment;
          auto made = client.create(small_bytes, options);
          if (!made) return 1;
          fill(made->bytes(), number);
          if (random() % 2 == 0) break;  // Given back by its destructor.
          const auto committed = made->commit();
          if (!committed || !client.erase(committed->id).ok()) return 2;
          break;
        }
        case 1: {
          auto lease = client.open(shared_[random() % shared_count]);
          if (!lease) return 3;
          break;
        }
        default: {
          std::vector<client::ReadLease> batch;
          for (int n = 0; n < 8; ++n) {
            auto lease = client.open(shared_[random() % shared_count]);
            if (!lease) return 4;
            batch.push_back(*std::move(lease));
          }
          break;
        }
      }
    }
  }

  // Nothing is leased or being written, and what the dead committed is whole. Deletes that.
  bool is_clean() {
    const auto stats = client_->stats();
    if (!stats || stats->leases_active != 0) return false;
    const auto page = client_->list({.page_size = 1'000});
    return page && std::all_of(page->payloads.begin(), page->payloads.end(), [](const auto& one) {
             return one.state != client::State::allocated;
           });
  }
  void check_and_erase_others() {
    const auto page = client_->list({.page_size = 1'000});
    ASSERT_TRUE(page.ok());
    for (const client::Summary& one : page->payloads) {
      auto lease = client_->open(one.id);
      ASSERT_TRUE(lease.ok()) << lease.status().to_string();
      std::uint64_t number = 0;
      std::memcpy(&number, lease->bytes().data(), sizeof number);
      EXPECT_TRUE(has(lease->bytes(), number));
      EXPECT_TRUE(lease->release().ok());
      if (std::find(shared_.begin(), shared_.end(), one.id) != shared_.end()) continue;
      EXPECT_TRUE(client_->erase(one.id).ok());
    }
  }
  // What is held without a call cannot be deleted: each of the shared ones is, and is made anew.
  bool is_held_by_nobody() {
    for (std::size_t n = 0; n < shared_count; ++n) {
      if (!client_->erase(shared_[n]).ok()) return false;
      shared_[n] = put(*client_, n + 1, small_bytes);
    }
    return true;
  }

  integration::HostProcess host_{local_options(8 << 20)};
  std::optional<client::Client> client_;
  std::vector<client::PayloadId> shared_;
};

// SESSION-1, HOLD-2
TEST_F(LocalKills, leave_nothing_behind) {
  const long kills = number_from("PM_LOCAL_KILLS", "PM_LOCAL_KILLS_DEFAULT", 500);
  const auto seed = static_cast<unsigned>(number_from("PM_SEED", "PM_SEED", ::getpid()));
  std::printf("PM_SEED=%u PM_LOCAL_KILLS=%ld\n", seed, kills);
  std::fflush(stdout);
  std::minstd_rand random(seed);
  std::vector<nanoseconds> times;
  constexpr long at_once = 4;
  for (long done = 0; done < kills && !HasFailure(); done += at_once) {
    std::vector<pid_t> children;
    for (long n = 0; n < at_once; ++n) {
      const auto number = static_cast<unsigned>(random());
      children.push_back(in_child([&] { return work(number); }));
    }
    std::this_thread::sleep_for(std::chrono::microseconds(5'000 + random() % 40'000));
    for (const pid_t child : children) ::kill(child, SIGKILL);
    for (const pid_t child : children) ASSERT_EQ(wait_for(child), -SIGKILL) << "done " << done;
    times.push_back(until([&] { return is_clean(); }, milliseconds(5'000)));
    ASSERT_TRUE(is_clean()) << "after " << done << " kills something is left of the dead";
    check_and_erase_others();
    until([&] { return is_held_by_nobody(); }, milliseconds(5'000));
    ASSERT_TRUE(is_held_by_nobody()) << "after " << done << " kills something is held";
  }
  std::sort(times.begin(), times.end());
  const auto ms = [](nanoseconds time) { return static_cast<double>(time.count()) / 1e6; };
  std::printf("local kills: %ld, all back after %.1f ms (median), %.1f ms (p99.9), %.1f ms (max)\n",
              kills, ms(times[times.size() / 2]), ms(times[times.size() * 999 / 1000]),
              ms(times.back()));
  for (const client::PayloadId& id : shared_) EXPECT_TRUE(client_->erase(id).ok());
  const auto stats = client_->stats();
  ASSERT_TRUE(stats.ok());
  EXPECT_LT(until([&] { return client_->stats()->tiers[0].bytes_charged == 0; }),
            milliseconds(5'000));
}

}  // namespace
}  // namespace pm::local::test
