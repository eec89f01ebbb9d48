#include "core/ledger/ledger.h"

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <optional>
#include <thread>

#include "fake_repository.h"

namespace pm::ledger::test {
namespace {

using namespace std::chrono_literals;

catalog::Id make_id(std::uint8_t number) {
  catalog::Id id;
  id.bytes[15] = number;
  return id;
}

class Waiter final : public ReplyHandler {
 public:
  void on_reply(const catalog::Reply& reply) override {
    {
      const std::lock_guard lock(mutex_);
      reply_ = reply;
    }
    changed_.notify_all();
  }
  bool wait(std::chrono::milliseconds limit = 5000ms) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, limit, [this] { return reply_.has_value(); });
  }
  catalog::Reason reason() {
    const std::lock_guard lock(mutex_);
    return reply_->reason;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<catalog::Reply> reply_;
};

// A ledger whose tier does everything at once, and notes what it removed.
class LedgerTest : public testing::Test {
 protected:
  LedgerTest() {
    catalog::TierFacts facts;
    facts.traits = catalog::traits_keeps_bytes | catalog::traits_survives_process;
    facts.capacity_bytes = 1 << 20;
    facts.granularity_bytes = 4096;
    ledger_ = std::make_unique<Ledger>(
        std::make_unique<catalog::Catalog>(limits(), std::vector{facts}, 1), JournalOptions{},
        repository_.abi(), 1, 0, tiers_, [this](catalog::Effect effect) { run(effect); },
        [this](const Status&) { fatal_.store(true); });
  }
  ~LedgerTest() override {
    repository_.open();
    ledger_->stop(monotonic_now_ns() + 1'000'000'000);
  }

  static catalog::Limits limits() {
    catalog::Limits limits;
    limits.lease_default_ns = 50'000'000;
    return limits;
  }

  void run(const catalog::Effect& effect) {
    if (const auto* allocation = std::get_if<catalog::AllocateEffect>(&effect)) {
      ledger_->submit(catalog::Allocated{allocation->operation, {}, {}});
    } else if (const auto* seal = std::get_if<catalog::SealEffect>(&effect)) {
      ledger_->submit(catalog::Sealed{seal->operation, {}});
    } else if (const auto* removal = std::get_if<catalog::RemoveEffect>(&effect)) {
      ++removed_;
      ledger_->submit(catalog::Removed{removal->object.generation, {}});
    }
  }

  void allocate(std::uint8_t number) {
    Waiter waiter;
    catalog::Allocate command;
    command.ticket = ticket_of(&waiter);
    command.id = make_id(number);
    command.size_bytes = 100;
    command.tier = 0;
    ledger_->submit(command);
    ASSERT_TRUE(waiter.wait());
    ASSERT_EQ(waiter.reason(), catalog::Reason::none);
  }
  void commit(std::uint8_t number, Waiter& waiter) {
    catalog::Commit command;
    command.ticket = ticket_of(&waiter);
    command.id = make_id(number);
    ledger_->submit(command);
  }

  FakeRepository repository_;
  TierNames tiers_{"shm"};
  std::atomic<int> removed_{0};
  std::atomic<bool> fatal_{false};
  std::unique_ptr<Ledger> ledger_;
};

TEST_F(LedgerTest, replies_to_a_commit_only_when_it_is_durable) {
  allocate(1);
  repository_.shut();
  Waiter waiter;
  commit(1, waiter);
  EXPECT_FALSE(waiter.wait(50ms));
  repository_.open();
  EXPECT_TRUE(waiter.wait());
  EXPECT_EQ(waiter.reason(), catalog::Reason::none);
}

TEST_F(LedgerTest, lets_no_read_show_what_is_not_durable) {
  allocate(1);
  repository_.shut();
  Waiter committing;
  commit(1, committing);
  Waiter leasing;
  catalog::AcquireLease lease;
  lease.ticket = ticket_of(&leasing);
  lease.id = make_id(1);
  lease.lease = make_id(99);
  ledger_->submit(lease);
  EXPECT_FALSE(leasing.wait(50ms));
  repository_.open();
  EXPECT_TRUE(leasing.wait());
  EXPECT_TRUE(committing.wait());
}

TEST_F(LedgerTest, destroys_nothing_before_the_record_is_durable) {
  allocate(1);
  Waiter committing;
  commit(1, committing);
  ASSERT_TRUE(committing.wait());
  repository_.shut();
  Waiter erasing;
  catalog::Delete command;
  command.ticket = ticket_of(&erasing);
  command.id = make_id(1);
  ledger_->submit(command);
  EXPECT_FALSE(erasing.wait(50ms));
  EXPECT_EQ(removed_.load(), 0);
  repository_.open();
  ASSERT_TRUE(erasing.wait());
  for (int round = 0; round < 1000 && removed_.load() == 0; ++round) {
    std::this_thread::sleep_for(1ms);
  }
  EXPECT_EQ(removed_.load(), 1);
}

TEST_F(LedgerTest, answers_settled_leases_while_the_repository_is_away) {
  allocate(1);
  Waiter committing;
  commit(1, committing);
  ASSERT_TRUE(committing.wait());
  repository_.fail(1'000'000, PM_UNAVAILABLE);
  allocate(2);
  Waiter stuck;
  commit(2, stuck);
  Waiter leasing;
  catalog::AcquireLease lease;
  lease.ticket = ticket_of(&leasing);
  lease.id = make_id(1);
  lease.lease = make_id(99);
  ledger_->submit(lease);
  EXPECT_TRUE(leasing.wait(100ms));
  EXPECT_FALSE(stuck.wait(50ms));
  repository_.fail(0, PM_OK);
  EXPECT_TRUE(stuck.wait());
}

TEST_F(LedgerTest, ends_leases_by_itself) {
  allocate(1);
  Waiter committing;
  commit(1, committing);
  ASSERT_TRUE(committing.wait());
  Waiter leasing;
  catalog::AcquireLease lease;
  lease.ticket = ticket_of(&leasing);
  lease.id = make_id(1);
  lease.lease = make_id(99);
  ledger_->submit(lease);
  ASSERT_TRUE(leasing.wait());
  const auto leases = [this] {
    return ledger_->read([](const catalog::Catalog& catalog, const catalog::Clocks&) {
      return catalog.counts().leases;
    });
  };
  EXPECT_EQ(leases(), 1u);
  for (int round = 0; round < 2000 && leases() != 0; ++round) std::this_thread::sleep_for(1ms);
  EXPECT_EQ(leases(), 0u);
}

TEST_F(LedgerTest, says_nothing_after_a_fatal_error) {
  allocate(1);
  repository_.fail(1, PM_DATA_LOSS);
  Waiter waiter;
  commit(1, waiter);
  for (int round = 0; round < 1000 && !fatal_.load(); ++round) std::this_thread::sleep_for(1ms);
  EXPECT_TRUE(fatal_.load());
  EXPECT_FALSE(waiter.wait(50ms));
}

TEST_F(LedgerTest, tells_those_it_cannot_answer_at_the_stop) {
  allocate(1);
  repository_.fail(1'000'000, PM_UNAVAILABLE);
  Waiter waiter;
  commit(1, waiter);
  std::atomic<int> reads{0};
  ledger_->when_durable(UINT64_MAX, [&](bool durable) {
    EXPECT_FALSE(durable);
    ++reads;
  });
  ledger_->stop(monotonic_now_ns() + 50'000'000);
  ASSERT_TRUE(waiter.wait(0ms));
  EXPECT_EQ(waiter.reason(), catalog::Reason::shutting_down);
  EXPECT_EQ(reads.load(), 1);
}

TEST_F(LedgerTest, serves_many_threads_and_comes_back_to_zero) {
  std::vector<std::thread> threads;
  for (std::uint8_t thread = 0; thread < 8; ++thread) {
    threads.emplace_back([this, thread] {
      for (int round = 0; round < 300; ++round) {
        allocate(static_cast<std::uint8_t>(thread + 1));
        Waiter committing;
        commit(static_cast<std::uint8_t>(thread + 1), committing);
        ASSERT_TRUE(committing.wait());
        ASSERT_EQ(committing.reason(), catalog::Reason::none);
        Waiter erasing;
        catalog::Delete command;
        command.ticket = ticket_of(&erasing);
        command.id = make_id(static_cast<std::uint8_t>(thread + 1));
        ledger_->submit(command);
        ASSERT_TRUE(erasing.wait());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const catalog::Counts counts =
      ledger_->read([](const catalog::Catalog& catalog, const catalog::Clocks&) {
        return catalog.counts();
      });
  EXPECT_EQ(counts.tiers[0].payloads, 0u);
  EXPECT_EQ(counts.operations, 0u);
}

}  // namespace
}  // namespace pm::ledger::test
