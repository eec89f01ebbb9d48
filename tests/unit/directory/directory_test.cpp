#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <chrono>
#include <mutex>
#include <thread>
#include <vector>

#include "test_session.h"

namespace pm::directory::test {
namespace {

// A directory whose reports are kept.
struct Kept {
  explicit Kept(Options options = {})
      : directory(options, [this](const catalog::Command& report) {
          const std::lock_guard lock(mutex);
          reports.push_back(report);
        }) {}

  Directory::Attached attach(std::uint64_t session) {
    auto attached = directory.attach(session);
    EXPECT_TRUE(attached.ok()) << attached.status().message();
    return attached.ok() ? *attached : Directory::Attached{};
  }
  template <typename Report>
  std::vector<Report> all() {
    std::vector<Report> found;
    const std::lock_guard lock(mutex);
    for (const catalog::Command& report : reports) {
      if (const auto* one = std::get_if<Report>(&report)) found.push_back(*one);
    }
    return found;
  }
  // Waits for so many reports of a kind.
  template <typename Report>
  std::vector<Report> wait_for(std::size_t count) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (all<Report>().size() < count && std::chrono::steady_clock::now() < end) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return all<Report>();
  }

  std::mutex mutex;
  std::vector<catalog::Command> reports;
  Directory directory;
};

TEST(directory, has_no_room_before_somebody_can_hold) {
  Kept kept;
  EXPECT_FALSE(kept.directory.has_room());
  EXPECT_FALSE(kept.directory.publish(place_of(1, 10)));
  TestSession session(kept.attach(1));
  EXPECT_TRUE(kept.directory.has_room());
  kept.directory.detach(1);
  EXPECT_FALSE(kept.directory.has_room());
}

TEST(directory, shows_what_is_published_until_it_is_withdrawn) {
  Kept kept;
  TestSession session(kept.attach(1));
  EXPECT_FALSE(session.hold(make_id(1), 0));
  ASSERT_TRUE(kept.directory.publish(place_of(1, 10, 4096)));
  ASSERT_TRUE(kept.directory.publish(place_of(2, 11, 8192)));
  EXPECT_FALSE(kept.directory.publish(place_of(1, 10)));
  const auto entry = session.hold(make_id(1), 0);
  ASSERT_TRUE(entry);
  EXPECT_EQ(session.entry(*entry).offset.load(), 4096u);
  EXPECT_EQ(session.entry(*entry).length.load(), 100u);
  EXPECT_STREQ(session.header().slabs[session.entry(*entry).slab.load()].name, "/a-slab");
  EXPECT_EQ(session.header().slabs[session.entry(*entry).slab.load()].number, 5u);
  kept.directory.revise(10, 7);
  EXPECT_EQ(session.entry(*entry).revision.load(), 7u);
  EXPECT_FALSE(kept.directory.withdraw(10));
  session.let_go(0);
  EXPECT_TRUE(kept.directory.withdraw(10));
  EXPECT_TRUE(kept.directory.withdraw(10));
  EXPECT_FALSE(session.hold(make_id(1), 0));
  EXPECT_TRUE(session.hold(make_id(2), 0));
}

TEST(directory, reports_the_end_of_a_hold_that_is_waited_for_once) {
  Kept kept;
  TestSession session(kept.attach(1));
  kept.directory.publish(place_of(1, 10));
  const auto entry = session.hold(make_id(1), 3);
  kept.directory.watch(10);
  EXPECT_EQ(session.entry(*entry).word.load(), local::entry_is_open | local::entry_is_wanted);
  EXPECT_TRUE(session.hold(make_id(1), 4));
  session.let_go(3);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_TRUE(kept.all<catalog::Unheld>().empty());
  session.let_go(4);
  kept.directory.released();
  const auto reports = kept.wait_for<catalog::Unheld>(1);
  ASSERT_EQ(reports.size(), 1u);
  EXPECT_EQ(reports[0].generation, 10u);
  EXPECT_EQ(reports[0].payload, make_id(1));
  EXPECT_FALSE(reports[0].closed);
  EXPECT_EQ(session.entry(*entry).word.load(), std::uint32_t{local::entry_is_open});
}

TEST(directory, lets_nobody_hold_what_is_closed_and_reuses_it_afterwards) {
  Options options;
  options.entries_max = 1;
  Kept kept(options);
  TestSession session(kept.attach(1));
  kept.directory.publish(place_of(1, 10));
  session.hold(make_id(1), 0);
  kept.directory.close(10);
  EXPECT_FALSE(session.hold(make_id(1), 1));
  EXPECT_FALSE(kept.directory.has_room());
  EXPECT_FALSE(kept.directory.publish(place_of(2, 11)));
  session.let_go(0);
  const auto reports = kept.wait_for<catalog::Unheld>(1);
  ASSERT_EQ(reports.size(), 1u);
  EXPECT_TRUE(reports[0].closed);
  EXPECT_TRUE(kept.directory.publish(place_of(2, 11)));
  EXPECT_TRUE(session.hold(make_id(2), 0));
}

// HOLD-2
TEST(directory, forgets_what_a_session_held_when_it_ends) {
  Kept kept;
  TestSession first(kept.attach(1));
  TestSession second(kept.attach(2));
  kept.directory.publish(place_of(1, 10));
  first.hold(make_id(1), 0);
  kept.directory.close(10);
  kept.directory.detach(1);
  EXPECT_EQ(kept.wait_for<catalog::Unheld>(1).size(), 1u);
  EXPECT_NE(first.page().ended.load(), 0u);
}

// HOLD-3
TEST(directory, believes_nothing_that_a_session_writes) {
  Kept kept;
  TestSession hostile(kept.attach(1));
  TestSession other(kept.attach(2));
  for (std::uint64_t number = 1; number <= 100; ++number) {
    kept.directory.publish(place_of(number, number));
  }
  std::memset(static_cast<void*>(&hostile.page()), 0xff, sizeof(local::SessionPage));
  EXPECT_TRUE(other.hold(make_id(7), 0));
  EXPECT_TRUE(kept.directory.withdraw(8));
  EXPECT_FALSE(kept.directory.withdraw(7));
  // It can hold everything, and no longer than it lives.
  for (std::uint32_t slot = 0; slot < local::slots_max; ++slot) {
    hostile.page().slots[slot].store(1 + slot % 100);
  }
  EXPECT_FALSE(kept.directory.withdraw(9));
  kept.directory.detach(1);
  EXPECT_TRUE(kept.directory.withdraw(9));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
}

TEST(directory, hands_on_what_was_read) {
  Options options;
  options.reads_every_us = 1'000;
  Kept kept(options);
  TestSession session(kept.attach(1));
  kept.directory.publish(place_of(5, 10));
  const auto entry = session.hold(make_id(5), 0);
  for (int again = 0; again < 3; ++again) session.page().reads[again].store(*entry + 1);
  session.page().has_reads.store(1);
  const auto reports = kept.wait_for<catalog::NoteReads>(1);
  ASSERT_EQ(reports.size(), 1u);
  EXPECT_EQ(reports[0].payloads, std::vector<catalog::Id>{make_id(5)});
  EXPECT_EQ(session.page().reads[0].load(), 0u);
}

TEST(directory, gives_pages_to_so_many_sessions_and_the_same_one_again) {
  Options options;
  options.sessions_max = 2;
  Kept kept(options);
  TestSession first(kept.attach(1));
  TestSession again(kept.attach(1));
  TestSession second(kept.attach(2));
  first.page().slots[5].store(77);
  EXPECT_EQ(again.page().slots[5].load(), 77u);
  const auto third = kept.directory.attach(3);
  ASSERT_FALSE(third.ok());
  EXPECT_EQ(third.status().code(), Code::resource_exhausted);
  kept.directory.detach(1);
  TestSession fresh(kept.attach(3));
  EXPECT_EQ(fresh.page().slots[5].load(), 0u);
}

TEST(directory, cannot_be_written_or_shortened_by_who_may_read_it) {
  Kept kept;
  const Directory::Attached attached = kept.attach(1);
  const pid_t child = ::fork();
  if (child == 0) {
    if (::setgid(65534) != 0 || ::setuid(65534) != 0) ::_exit(77);
    const std::string again = "/proc/self/fd/" + std::to_string(attached.directory);
    int wrong = 0;
    if (::open(again.c_str(), O_RDWR) >= 0) wrong |= 1;
    if (::ftruncate(attached.directory, 0) == 0) wrong |= 2;
    if (::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, attached.directory, 0) !=
        MAP_FAILED) {
      wrong |= 4;
    }
    void* shown = ::mmap(nullptr, 4096, PROT_READ, MAP_SHARED, attached.directory, 0);
    if (shown == MAP_FAILED || ::mprotect(shown, 4096, PROT_READ | PROT_WRITE) == 0) wrong |= 8;
    if (::ftruncate(attached.page, 0) == 0) wrong |= 16;
    ::_exit(wrong);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "needs root to become another user";
  EXPECT_EQ(WEXITSTATUS(status), 0);
  ::close(attached.directory);
  ::close(attached.page);
}

}  // namespace
}  // namespace pm::directory::test
