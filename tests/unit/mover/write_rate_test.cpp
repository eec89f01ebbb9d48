#include "core/mover/write_rate.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace pm::mover {
namespace {

constexpr std::uint64_t ms_ns = 1'000'000;
constexpr std::uint64_t mib = 1 << 20;
std::uint64_t now_ns = 0;

class Rate : public testing::Test {
 protected:
  Rate() { rate_.use(true); }
  WriteRate rate_{[] { return now_ns; }};
};

TEST_F(Rate, nothing_written_is_no_rate) { EXPECT_EQ(rate_.bytes_per_second(), 0u); }

TEST_F(Rate, steady_writes_show_their_rate) {
  for (int step = 0; step < 2'000; ++step) {
    rate_.note(mib / 10);
    now_ns += 10 * ms_ns;
  }
  EXPECT_NEAR(static_cast<double>(rate_.bytes_per_second()), 10.0 * mib, 0.1 * mib);
}

TEST_F(Rate, a_burst_decays_to_nothing) {
  rate_.note(30 * mib);
  const std::uint64_t at_once = rate_.bytes_per_second();
  EXPECT_NEAR(static_cast<double>(at_once), 10.0 * mib, 0.1 * mib);
  now_ns += 2'080 * ms_ns;
  EXPECT_NEAR(static_cast<double>(rate_.bytes_per_second()), 5.0 * mib, 0.1 * mib);
  now_ns += 120'000 * ms_ns;
  EXPECT_EQ(rate_.bytes_per_second(), 0u);
  now_ns += 24 * 3'600'000 * ms_ns;
  EXPECT_EQ(rate_.bytes_per_second(), 0u);
}

TEST_F(Rate, what_is_written_while_nobody_asks_does_not_count) {
  rate_.use(false);
  rate_.note(mib);
  EXPECT_EQ(rate_.bytes_per_second(), 0u);
}

TEST_F(Rate, no_write_of_many_threads_is_lost) {
  constexpr int threads_count = 4;
  constexpr int writes = 10'000;
  std::vector<std::thread> threads;
  for (int index = 0; index < threads_count; ++index) {
    threads.emplace_back([this] {
      for (int count = 0; count < writes; ++count) rate_.note(300);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(rate_.bytes_per_second(), 100u * threads_count * writes);
}

}  // namespace
}  // namespace pm::mover
