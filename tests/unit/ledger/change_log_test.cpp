#include "core/ledger/change_log.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <thread>

namespace pm::ledger::test {
namespace {

using catalog::Event;
using catalog::EventKind;

catalog::Id make_id(std::uint64_t number) {
  catalog::Id id;
  std::memcpy(id.bytes.data(), &number, sizeof number);
  std::memcpy(id.bytes.data() + 8, &number, sizeof number);
  return id;
}

Event event_of(std::uint64_t number, EventKind kind = EventKind::moved) {
  Event event;
  event.kind = kind;
  event.why = catalog::Reason::tier_full;
  event.cause = catalog::Cause::room;
  event.tier = 1;
  event.from = 2;
  event.target = 3;
  event.id = make_id(number);
  event.revision = number;
  event.size_bytes = number * 3;
  event.wall_ns = static_cast<std::int64_t>(number * 5);
  return event;
}

bool is_whole(const Change& change) {
  const Event expected = event_of(change.event.revision, change.event.kind);
  const Event& event = change.event;
  return event.id == expected.id && event.size_bytes == expected.size_bytes &&
         event.wall_ns == expected.wall_ns && event.why == expected.why &&
         event.cause == expected.cause && event.tier == 1 && event.from == 2 && event.target == 3;
}

std::vector<std::uint64_t> sequences(const std::vector<Change>& changes) {
  std::vector<std::uint64_t> numbers;
  for (const Change& change : changes) numbers.push_back(change.sequence);
  return numbers;
}

using Numbers = std::vector<std::uint64_t>;

TEST(change_log, gives_changes_back_in_order_and_whole) {
  ChangeLog log(8, 8);
  log.append({event_of(1), event_of(2, EventKind::leased), event_of(3)}, 5);
  std::vector<Change> changes;
  std::uint64_t upto = 0;
  ASSERT_TRUE(log.read(0, true, 5, 100, changes, upto));
  EXPECT_EQ(sequences(changes), (Numbers{1, 2, 3}));
  for (const Change& change : changes) EXPECT_TRUE(is_whole(change));
  EXPECT_EQ(upto, 3u);
  ASSERT_TRUE(log.read(0, false, 5, 100, changes, upto));
  EXPECT_EQ(sequences(changes), (Numbers{1, 3}));
  ASSERT_TRUE(log.read(1, true, 5, 1, changes, upto));
  EXPECT_EQ(sequences(changes), Numbers{2});
  EXPECT_EQ(upto, 2u);
  ASSERT_TRUE(log.read(3, true, 5, 100, changes, upto));
  EXPECT_TRUE(changes.empty());
  EXPECT_EQ(upto, 3u);
}

TEST(change_log, shows_nothing_that_is_not_durable_and_nothing_behind_it) {
  ChangeLog log(8, 8);
  log.append({event_of(1)}, 5);
  log.append({event_of(2, EventKind::leased)}, 6);
  log.append({event_of(3)}, 6);
  std::vector<Change> changes;
  std::uint64_t upto = 0;
  ASSERT_TRUE(log.read(0, true, 4, 100, changes, upto));
  EXPECT_TRUE(changes.empty());
  EXPECT_EQ(upto, 0u);
  ASSERT_TRUE(log.read(0, true, 5, 100, changes, upto));
  EXPECT_EQ(sequences(changes), Numbers{1});
  EXPECT_EQ(upto, 1u);
  ASSERT_TRUE(log.read(0, false, 5, 100, changes, upto));
  EXPECT_EQ(sequences(changes), Numbers{1});
  EXPECT_EQ(upto, 2u) << "a lease that was not asked for holds nobody up";
}

TEST(change_log, tells_when_it_no_longer_remembers) {
  ChangeLog log(4, 4);
  for (std::uint64_t number = 1; number <= 6; ++number) log.append({event_of(number)}, 1);
  std::vector<Change> changes;
  std::uint64_t upto = 0;
  EXPECT_FALSE(log.read(1, false, 1, 100, changes, upto));
  EXPECT_FALSE(log.remembers(1, false));
  ASSERT_TRUE(log.read(2, false, 1, 100, changes, upto));
  EXPECT_EQ(sequences(changes), (Numbers{3, 4, 5, 6}));
}

TEST(change_log, forgets_nothing_else_for_leases) {
  ChangeLog log(4, 4);
  log.append({event_of(1)}, 1);
  for (std::uint64_t number = 2; number <= 50; ++number) {
    log.append({event_of(number, EventKind::leased)}, 1);
  }
  std::vector<Change> changes;
  std::uint64_t upto = 0;
  ASSERT_TRUE(log.read(0, false, 1, 100, changes, upto));
  EXPECT_EQ(sequences(changes), Numbers{1});
  EXPECT_EQ(upto, 50u);
  EXPECT_FALSE(log.read(0, true, 1, 100, changes, upto));
  ASSERT_TRUE(log.read(46, true, 1, 100, changes, upto));
  EXPECT_EQ(sequences(changes), (Numbers{47, 48, 49, 50}));
}

TEST(change_log, tells_the_history_of_one_payload_back_to_its_allocation) {
  ChangeLog log(16, 16);
  log.append({event_of(7), event_of(7, EventKind::allocated), event_of(8)}, 1);
  log.append({event_of(7, EventKind::leased), event_of(7, EventKind::committed)}, 1);
  log.append({event_of(7)}, 1);
  EXPECT_EQ(sequences(log.history(make_id(7), 10)), (Numbers{6, 5, 2}));
  EXPECT_EQ(sequences(log.history(make_id(7), 2)), (Numbers{6, 5}));
  EXPECT_TRUE(log.history(make_id(9), 10).empty());
}

// A reader that is overtaken says so, and never shows a mixture or leaves one out.
TEST(change_log, is_read_whole_while_it_is_written) {
  ChangeLog log(64, 64);
  constexpr std::uint64_t total = 200'000;
  std::atomic<bool> done{false};
  std::thread writer([&] {
    for (std::uint64_t number = 1; number <= total; number += 2) {
      log.append({event_of(number), event_of(number + 1, EventKind::leased)}, number);
    }
    done = true;
  });
  std::vector<std::thread> readers;
  std::atomic<std::uint64_t> seen{0};
  for (int reader = 0; reader < 2; ++reader) {
    readers.emplace_back([&, with_leases = reader == 0] {
      std::vector<Change> changes;
      std::uint64_t after = 0;
      const std::uint64_t step = with_leases ? 1 : 2;
      while (!done || after < total) {
        std::uint64_t upto = 0;
        if (!log.read(after, with_leases, UINT64_MAX, 16, changes, upto)) {
          const std::uint64_t end = log.end();
          ASSERT_EQ(end % 2, 0u) << "both of an append are there, or neither";
          after = end - 32;
          continue;
        }
        std::uint64_t expected = after + 1 + (with_leases ? 0 : after % 2);
        for (const Change& change : changes) {
          ASSERT_EQ(change.sequence, expected);
          ASSERT_EQ(change.event.revision, expected);
          ASSERT_TRUE(is_whole(change));
          expected += step;
          ++seen;
        }
        ASSERT_GE(upto, after);
        after = upto;
        log.history(make_id(after), 4);
      }
    });
  }
  writer.join();
  for (std::thread& reader : readers) reader.join();
  EXPECT_GT(seen, 0u);
}

}  // namespace
}  // namespace pm::ledger::test
