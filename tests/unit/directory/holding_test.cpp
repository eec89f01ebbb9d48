#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "test_session.h"

// Sessions hold and let go as fast as they can while the host reuses every block that nobody holds.
// What is held never changes.

namespace pm::directory::test {
namespace {

constexpr std::uint64_t payloads = 8;
constexpr std::size_t words = 16;
using Block = std::array<std::atomic<std::uint64_t>, words>;

void fill(Block& block, std::uint64_t number) {
  for (auto& word : block) word.store(number, std::memory_order_relaxed);
}

struct Contest {
  Contest() : directory(Options{.entries_max = payloads}, [](const catalog::Command&) {}) {}

  void read(TestSession& session, std::uint32_t slot) {
    std::uint64_t number = slot;
    while (!ends.load(std::memory_order_relaxed)) {
      number = number * 6364136223846793005u + 1442695040888963407u;
      const std::uint64_t wanted = 1 + (number >> 33) % (2 * payloads);
      const auto entry = session.hold(make_id(wanted), slot);
      if (!entry) continue;
      const Block& block = blocks[session.entry(*entry).offset.load(std::memory_order_relaxed)];
      for (int round = 0; round < 3; ++round) {
        for (const auto& word : block) {
          if (word.load(std::memory_order_relaxed) != wanted) torn.fetch_add(1);
        }
      }
      session.let_go(slot);
      held.fetch_add(1, std::memory_order_relaxed);
    }
  }

  // Gives each block to one payload after another.
  void move() {
    std::array<std::uint64_t, payloads> generations{};
    std::uint64_t generation = 0;
    std::uint64_t next = 0;
    while (!ends.load(std::memory_order_relaxed)) {
      const std::size_t block = generation % payloads;
      if (generations[block] != 0 && !directory.withdraw(generations[block])) {
        busy.fetch_add(1, std::memory_order_relaxed);
        std::this_thread::yield();
        continue;
      }
      next = next % (2 * payloads) + 1;
      fill(blocks[block], next);
      generations[block] = ++generation;
      if (directory.publish(place_of(next, generation, block))) {
        moved.fetch_add(1, std::memory_order_relaxed);
      }
    }
  }

  std::array<Block, payloads> blocks{};
  Directory directory;
  std::atomic<bool> ends{false};
  std::atomic<std::uint64_t> held{0};
  std::atomic<std::uint64_t> moved{0};
  std::atomic<std::uint64_t> busy{0};
  std::atomic<std::uint64_t> torn{0};
};

TEST(holding, keeps_the_bytes_whatever_the_host_wants_to_do_with_them) {
  Contest run;
  std::vector<std::unique_ptr<TestSession>> sessions;
  for (std::uint64_t number = 1; number <= 2; ++number) {
    auto attached = run.directory.attach(number);
    ASSERT_TRUE(attached.ok());
    sessions.push_back(std::make_unique<TestSession>(*attached));
  }
  std::vector<std::thread> threads;
  for (std::uint32_t slot = 0; slot < 4; ++slot) {
    threads.emplace_back([&, slot] { run.read(*sessions[slot % 2], slot); });
  }
  std::thread mover([&] { run.move(); });
  std::this_thread::sleep_for(std::chrono::seconds(2));
  run.ends.store(true);
  mover.join();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(run.torn.load(), 0u);
  EXPECT_GT(run.held.load(), 100u);
  EXPECT_GT(run.moved.load(), 10u);
  EXPECT_GT(run.busy.load(), 0u);
}

}  // namespace
}  // namespace pm::directory::test
