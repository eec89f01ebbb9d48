#include "core/ledger/journal.h"

#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <thread>

#include "core/ledger/clocks.h"
#include "fake_repository.h"

namespace pm::ledger::test {
namespace {

using namespace std::chrono_literals;

class JournalTest : public testing::Test {
 protected:
  void start(JournalOptions options = {}) {
    journal_.emplace(
        options, repository_.abi(), 7, 41, tiers_,
        [this](std::uint64_t lsn) { durable_.store(lsn); },
        [this](const Status& status) {
          const std::lock_guard lock(mutex_);
          fatal_ = status;
          ++fatal_calls_;
        });
  }
  void add(std::uint64_t lsn, bool power = false, std::size_t records = 1) {
    std::vector<catalog::Record> group(records, catalog::TierRecord{0, false, {}});
    journal_->append(lsn, power, std::move(group), monotonic_now_ns());
    journal_->wake();
  }
  bool wait_durable(std::uint64_t lsn) {
    for (int round = 0; round < 5000 && durable_.load() < lsn; ++round) {
      std::this_thread::sleep_for(1ms);
    }
    return durable_.load() >= lsn;
  }
  std::optional<Status> fatal() {
    const std::lock_guard lock(mutex_);
    return fatal_;
  }

  FakeRepository repository_;
  TierNames tiers_{"shm"};
  std::atomic<std::uint64_t> durable_{0};
  std::mutex mutex_;
  std::optional<Status> fatal_;
  int fatal_calls_ = 0;
  std::optional<Journal> journal_;
};

TEST_F(JournalTest, numbers_batches_from_the_last_sequence_and_carries_the_epoch) {
  start();
  add(1);
  ASSERT_TRUE(wait_durable(1));
  add(2);
  ASSERT_TRUE(wait_durable(2));
  const auto seen = repository_.seen();
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[0].sequence, 42u);
  EXPECT_EQ(seen[1].sequence, 43u);
  EXPECT_EQ(seen[0].epoch, 7u);
}

TEST_F(JournalTest, writes_what_came_meanwhile_in_one_batch) {
  start();
  repository_.shut();
  add(1);
  std::this_thread::sleep_for(20ms);
  for (std::uint64_t lsn = 2; lsn <= 100; ++lsn) add(lsn);
  repository_.open();
  ASSERT_TRUE(wait_durable(100));
  const auto seen = repository_.seen();
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[1].operations, 99u);
}

TEST_F(JournalTest, asks_for_power_when_one_group_of_a_batch_does) {
  start();
  repository_.shut();
  add(1);
  std::this_thread::sleep_for(20ms);
  add(2);
  add(3, true);
  repository_.open();
  ASSERT_TRUE(wait_durable(3));
  EXPECT_EQ(repository_.seen()[0].durability, std::uint32_t{PM_DURABILITY_PROCESS});
  EXPECT_EQ(repository_.seen()[1].durability, std::uint32_t{PM_DURABILITY_POWER});
}

TEST_F(JournalTest, sends_a_batch_again_while_the_repository_is_away) {
  JournalOptions options;
  options.retry_delay_ns = 1'000'000;
  start(options);
  repository_.fail(5, PM_UNAVAILABLE);
  add(1);
  ASSERT_TRUE(wait_durable(1));
  EXPECT_EQ(repository_.seen().size(), 1u);
  EXPECT_EQ(repository_.seen()[0].sequence, 42u);
  EXPECT_FALSE(journal_->is_away());
  EXPECT_FALSE(fatal().has_value());
}

TEST_F(JournalTest, is_full_when_too_much_waits) {
  JournalOptions options;
  options.records_max = 10;
  start(options);
  repository_.shut();
  add(1, false, 9);
  EXPECT_FALSE(journal_->is_full());
  add(2);
  EXPECT_TRUE(journal_->is_full());
  repository_.open();
  ASSERT_TRUE(wait_durable(2));
  for (int round = 0; round < 1000 && journal_->is_full(); ++round) {
    std::this_thread::sleep_for(1ms);
  }
  EXPECT_FALSE(journal_->is_full());
}

TEST_F(JournalTest, ends_the_host_once_when_the_epoch_is_lost) {
  start();
  repository_.fail(1, PM_ABORTED);
  add(1);
  for (int round = 0; round < 5000 && !fatal(); ++round) std::this_thread::sleep_for(1ms);
  ASSERT_TRUE(fatal().has_value());
  EXPECT_EQ(fatal()->code(), Code::aborted);
  add(2);
  std::this_thread::sleep_for(20ms);
  EXPECT_EQ(durable_.load(), 0u) << "nothing is acknowledged after it";
  journal_->stop(monotonic_now_ns());
  EXPECT_EQ(fatal_calls_, 1);
}

TEST_F(JournalTest, flushes_at_the_stop_and_gives_up_at_its_deadline) {
  start();
  for (std::uint64_t lsn = 1; lsn <= 50; ++lsn) add(lsn);
  journal_->stop(monotonic_now_ns() + 5'000'000'000);
  EXPECT_EQ(durable_.load(), 50u);

  start();
  repository_.fail(1'000'000, PM_UNAVAILABLE);
  add(51);
  journal_->stop(monotonic_now_ns() + 50'000'000);
  EXPECT_EQ(durable_.load(), 50u);
}

TEST_F(JournalTest, is_written_by_those_who_drive_it) {
  start();
  std::vector<std::thread> callers;
  std::atomic<std::uint64_t> lsns{0};
  std::mutex order;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&] {
      for (int round = 0; round < 200; ++round) {
        std::uint64_t mine = 0;
        {
          const std::lock_guard lock(order);
          mine = ++lsns;
          journal_->append(mine, false, {catalog::TierRecord{0, false, {}}}, monotonic_now_ns());
        }
        journal_->drive();
        EXPECT_GE(durable_.load(), mine);
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  std::uint64_t operations = 0;
  for (const auto& batch : repository_.seen()) operations += batch.operations;
  EXPECT_EQ(operations, 800u);
}

}  // namespace
}  // namespace pm::ledger::test
