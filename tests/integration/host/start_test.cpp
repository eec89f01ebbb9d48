#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "host_process.h"
#include "oracle.h"

// How soon a host with many payloads is back. With a million of them perf_start measures it.

namespace pm::integration {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int payloads_count = 10'000;

// Half of them on disk, half in blocks of a slab.
void fill_host(const HostProcess& host) {
  std::atomic<int> left{payloads_count};
  std::vector<std::thread> threads;
  for (int n = 0; n < 16; ++n) {
    threads.emplace_back([&] {
      client::Client client = host.client();
      for (int number = left--; number > 0; number = left--) {
        client::CreateOptions options;
        if (number % 2 == 0) {
          options.tier = client::Tier::disk;
        } else {
          options.layout = client::Layout::slab;
        }
        const auto made = client.allocate(1'000, options);
        ASSERT_TRUE(made.ok()) << made.status().to_string();
        ASSERT_TRUE(client.commit(made->id).ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

std::int64_t count_listed(const HostProcess& host) {
  std::int64_t count = 0;
  EXPECT_TRUE(host.client()
                  .list_each({.page_size = 500},
                             [&](const client::Summary&) {
                               ++count;
                               return true;
                             })
                  .ok());
  return count;
}

TEST(start, over_ten_thousand_payloads_is_ready_within_five_seconds) {
  HostOptions options;
  options.shm_capacity_bytes = 64 << 20;
  options.slab_bytes = 32 << 20;
  HostProcess host(options);
  ASSERT_TRUE(host.start_ready()) << host.log();
  fill_host(host);
  for (const bool by_kill : {true, false}) {
    if (by_kill) {
      host.kill();
    } else {
      ASSERT_EQ(host.terminate()->code, 0);
    }
    const Clock::time_point begin = Clock::now();
    ASSERT_TRUE(host.start_ready()) << host.log();
    const std::chrono::duration<double> seconds = Clock::now() - begin;
    EXPECT_LT(seconds, ready_max);
    EXPECT_EQ(count_listed(host), payloads_count);
    std::printf("ready %.2f s after %s\n", seconds.count(), by_kill ? "a kill" : "a stop");
  }
}

}  // namespace
}  // namespace pm::integration
