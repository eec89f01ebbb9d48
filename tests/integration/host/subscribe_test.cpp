#include <gtest/gtest.h>

#include <atomic>
#include <numeric>
#include <thread>

#include "stream_wire.h"

// Subscribe: where it starts, that nothing is missed or doubled, and how it ends.

namespace pm::integration {
namespace {

class Subscribe : public testing::TestWithParam<const char*> {
 protected:
  Subscribe() : host_(host_options()) {}

  void SetUp() override {
    start();
    payload_ = wire_->make(wire_core::TIER_DISK);
    ASSERT_EQ(answer_of(wire_->create(id())), "OK");
  }
  void start() {
    ASSERT_TRUE(host_.start_ready()) << host_.log();
    wire_ = std::make_unique<StreamWire>(host_);
  }
  static HostOptions host_options() {
    HostOptions options;
    options.repository = GetParam();
    return options;
  }
  static wire_runtime::StreamID id(const std::string& name = "s") {
    return StreamWire::named(name);
  }
  static wire_runtime::SubscribeRequest from(std::uint64_t offset) {
    wire_runtime::SubscribeRequest request;
    *request.mutable_stream() = id();
    request.set_offset(offset);
    return request;
  }
  static std::vector<std::uint64_t> counting(std::uint64_t first, std::size_t count) {
    std::vector<std::uint64_t> numbers(count);
    std::iota(numbers.begin(), numbers.end(), first);
    return numbers;
  }
  void append(int count) { ASSERT_EQ(answer_of(wire_->append(id(), payload_, count)), "OK"); }

  HostProcess host_;
  std::unique_ptr<StreamWire> wire_;
  wire_core::PayloadID payload_;
};

// STREAM-12, STREAM-13
TEST_P(Subscribe, begins_where_it_is_told) {
  append(10);
  EXPECT_EQ(Follower(*wire_, from(4)).offsets(6), counting(4, 6));
  wire_runtime::SubscribeRequest request;
  *request.mutable_stream() = id();
  EXPECT_EQ(Follower(*wire_, request).offsets(10), counting(0, 10));
  request.set_from_beginning(true);
  EXPECT_EQ(Follower(*wire_, request).offsets(10), counting(0, 10));
  request.set_from_latest(true);
  Follower latest(*wire_, request);
  Follower later(*wire_, from(12));
  // A call that has been answered was begun before; so no append overtakes the subscriptions.
  Follower(*wire_, from(0)).offsets(1);
  sleep_ms(100);
  append(5);
  EXPECT_EQ(latest.offsets(5), counting(10, 5));
  EXPECT_EQ(later.offsets(3), counting(12, 3));
}

// STREAM-13
TEST_P(Subscribe, begins_at_the_oldest_entry_when_its_offset_has_left) {
  const auto trimmed = id("trimmed");
  ASSERT_EQ(answer_of(wire_->create(trimmed, 3)), "OK");
  ASSERT_EQ(answer_of(wire_->append(trimmed, payload_, 10)), "OK");
  wire_runtime::SubscribeRequest request = from(2);
  *request.mutable_stream() = trimmed;
  EXPECT_EQ(Follower(*wire_, request).offsets(3), counting(7, 3));
}

// STREAM-12
TEST_P(Subscribe, misses_and_doubles_nothing_while_it_catches_up) {
  append(1000);
  std::atomic<bool> ends{false};
  std::thread producer([&] {
    StreamWire wire(host_);
    while (!ends) wire.append(id(), payload_, 3);
  });
  std::vector<std::thread> followers;
  for (int follower = 0; follower < 4; ++follower) {
    followers.emplace_back([&, follower] {
      StreamWire wire(host_);
      const auto begin = static_cast<std::uint64_t>(follower) * 300;
      EXPECT_EQ(Follower(wire, from(begin)).offsets(4000), counting(begin, 4000));
    });
  }
  for (std::thread& follower : followers) follower.join();
  ends = true;
  producer.join();
}

// STREAM-12
TEST_P(Subscribe, a_slow_follower_gets_everything) {
  append(1);
  Follower slow(*wire_, from(0));
  EXPECT_EQ(slow.offsets(1), counting(0, 1));
  // More than the host keeps in memory, and than the transport takes.
  wire_runtime::AppendRequest request;
  *request.mutable_stream() = id();
  for (int item = 0; item < 1000; ++item) {
    auto& added = *request.add_items();
    *added.mutable_payload_id() = payload_;
    (*added.mutable_tags())["k"] = std::string(2'000, 'x');
  }
  for (int batch = 0; batch < 3; ++batch) ASSERT_EQ(answer_of(wire_->append(request)), "OK");
  EXPECT_EQ(slow.offsets(3000), counting(1, 3000));
}

// STREAM-14
TEST_P(Subscribe, ends_when_the_stream_is_deleted) {
  append(3);
  Follower idle(*wire_, from(0));
  EXPECT_EQ(idle.offsets(3), counting(0, 3));
  Follower waiting(*wire_, from(1000));
  sleep_ms(100);
  ASSERT_EQ(answer_of(wire_->remove(id())), "OK");
  EXPECT_EQ(idle.end(), "NOT_FOUND STREAM_NOT_FOUND");
  EXPECT_EQ(waiting.end(), "NOT_FOUND STREAM_NOT_FOUND");
  ASSERT_EQ(answer_of(wire_->create(id())), "OK");
  append(1);
  EXPECT_EQ(Follower(*wire_, from(0)).offsets(1), counting(0, 1));
}

TEST_P(Subscribe, ends_when_the_host_stops_and_when_the_client_leaves) {
  append(1);
  Follower stays(*wire_, from(0));
  EXPECT_EQ(stays.offsets(1), counting(0, 1));
  {
    Follower leaves(*wire_, from(0));
    EXPECT_EQ(leaves.offsets(1), counting(0, 1));
    leaves.cancel();
    EXPECT_EQ(leaves.end(), "CANCELLED");
  }
  append(1);
  EXPECT_EQ(stays.offsets(1), counting(1, 1));
  std::string end;
  std::thread watcher([&] { end = stays.end(); });
  const auto exit = host_.terminate();
  watcher.join();
  ASSERT_TRUE(exit.has_value());
  EXPECT_EQ(exit->code, 0);
  EXPECT_EQ(end, "UNAVAILABLE SHUTTING_DOWN");
}

// STREAM-8
TEST_P(Subscribe, sees_nothing_that_is_too_old) {
  const auto aging = id("aging");
  ASSERT_EQ(answer_of(wire_->create(aging, 0, 1)), "OK");
  ASSERT_EQ(answer_of(wire_->append(aging, payload_, 5)), "OK");
  sleep_ms(1'100);
  ASSERT_EQ(answer_of(wire_->append(aging, payload_, 2)), "OK");
  wire_runtime::SubscribeRequest request = from(0);
  *request.mutable_stream() = aging;
  EXPECT_EQ(Follower(*wire_, request).offsets(2), counting(5, 2));
}

// STREAM-3, STREAM-12
TEST_P(Subscribe, goes_on_where_it_was_after_a_kill) {
  if (std::string(GetParam()) != "sqlite") GTEST_SKIP() << "memory goes with the host";
  append(5);
  {
    Follower before(*wire_, from(0));
    EXPECT_EQ(before.offsets(5), counting(0, 5));
    host_.kill();
  }
  start();
  Follower after(*wire_, from(5));
  append(5);
  EXPECT_EQ(after.offsets(5), counting(5, 5));
}

INSTANTIATE_TEST_SUITE_P(repositories, Subscribe, testing::Values("sqlite", "memory"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace pm::integration
