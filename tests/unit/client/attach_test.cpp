// Hosts that are slow, full or stopped when a client connects, or when it asks for what leases
// without a call need.

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <optional>
#include <thread>

#include "direct_holds.h"
#include "fake_host.h"
#include "pm/client/client.h"

namespace pm::client {
namespace {

using local::FrameHeader;
using local::FrameKind;
using std::chrono::milliseconds;
using std::chrono::steady_clock;
using test::FakeDirectory;
using test::FakeHost;
using test::id_of;
using test::Peer;

constexpr std::uint64_t size = 4096;
const std::string echo = "/test.Service/Echo";
// The client asks again a second after a refusal.
constexpr milliseconds pause(1'100);

class Attach : public testing::Test {
 protected:
  Attach() {
    directory_.put(0, id_of(0), 0, size);
    host_.add(id_of(0), std::string(size, 'c'));
    host_.show(&directory_);
  }
  static bool is_direct(Client& client) {
    const auto lease = client.open(id_of(0));
    EXPECT_TRUE(lease.ok()) << lease.status().to_string();
    return lease.ok() && lease->is_direct();
  }
  // Refuses the first frame of a kind.
  void refuse_first(FrameKind kind, FrameKind answer, Code code) {
    host_.set_script(
        {.other = [this, kind, answer, code](Peer& peer, const FrameHeader& header, auto&) {
          if (header.kind != kind || refused_++ != 0) return false;
          peer.refuse(header.call, code, "not now", {}, answer);
          return true;
        }});
  }

  FakeDirectory directory_{4, 1, 4 * size};
  std::atomic<int> refused_{0};
  FakeHost host_;
};

TEST_F(Attach, a_thread_that_connects_without_a_deadline_costs_others_only_theirs) {
  std::atomic<bool> goes_on{false};
  FakeHost stopped({.connect = [&](Peer& peer) {
    while (!goes_on) ::usleep(1000);
    peer.say_hello();
  }});
  Client client = *Client::connect(stopped.address(), {.deadline_ms = 100});
  std::atomic<bool> is_streaming{false};
  std::thread patient([&] {
    is_streaming = true;
    EXPECT_TRUE(client.stream(echo, "", [](auto&) { return true; }).ok());
  });
  while (!is_streaming) ::usleep(1000);
  ::usleep(50'000);
  const auto start = steady_clock::now();
  std::atomic<int> late{0};
  std::vector<std::thread> others;
  for (int i = 0; i < 3; ++i) {
    others.emplace_back([&] {
      if (client.call(echo, "").status().code() == Code::deadline_exceeded) ++late;
    });
  }
  std::thread watchdog([&] {  // A client that waits with the patient one must fail, not hang.
    while (late < 3 && steady_clock::now() - start < milliseconds(3'000)) ::usleep(1000);
    goes_on = true;
  });
  for (std::thread& other : others) other.join();
  EXPECT_EQ(late, 3);
  EXPECT_LT(steady_clock::now() - start, milliseconds(2'000));
  watchdog.join();
  patient.join();
  EXPECT_TRUE(client.call(echo, "").ok());
  EXPECT_EQ(stopped.connections(), 1);
}

TEST_F(Attach, an_answer_that_comes_late_is_taken_when_it_comes) {
  std::atomic<std::uint64_t> asked{0};
  const auto answer = [&](Peer& peer) {
    FrameHeader attached{};
    attached.kind = FrameKind::attached;
    attached.call = asked;
    const int read_only = directory_.memory().read_only();
    peer.send(attached, {}, {read_only, directory_.add_page().descriptor()});
    ::close(read_only);
  };
  host_.set_script({.call =
                        [&](Peer& peer, auto&, auto&, const std::string& request) {
                          if (request == "now") answer(peer);
                          return false;
                        },
                    .other =
                        [&](Peer&, const FrameHeader& header, auto&) {
                          if (header.kind == FrameKind::attach) asked = header.call;
                          return header.kind == FrameKind::attach;
                        }});
  Client client = *Client::connect(host_.address(), {.deadline_ms = 400});
  // The first call has some of its time left.
  EXPECT_TRUE(client.call(echo, "").ok());
  EXPECT_FALSE(is_direct(client));
  ::usleep(500'000);
  EXPECT_TRUE(client.call(echo, "now").ok());
  EXPECT_TRUE(is_direct(client));
  EXPECT_EQ(host_.frames(FrameKind::attach), 1);
}

TEST_F(Attach, a_refusal_that_may_pass_is_asked_about_again) {
  refuse_first(FrameKind::attach, FrameKind::attached, Code::resource_exhausted);
  Client client = *Client::connect(host_.address());
  ASSERT_TRUE(client.call(echo, "").ok());
  EXPECT_FALSE(is_direct(client));
  EXPECT_EQ(host_.frames(FrameKind::attach), 1) << "not with each call";
  std::this_thread::sleep_for(pause);
  ASSERT_TRUE(client.call(echo, "").ok());  // Asks.
  ASSERT_TRUE(client.call(echo, "").ok());  // The answer came before this one's.
  EXPECT_TRUE(is_direct(client));
}

TEST_F(Attach, a_refusal_that_lasts_is_final) {
  refuse_first(FrameKind::attach, FrameKind::attached, Code::permission_denied);
  Client client = *Client::connect(host_.address());
  ASSERT_TRUE(client.call(echo, "").ok());
  std::this_thread::sleep_for(pause);
  ASSERT_TRUE(client.call(echo, "").ok());
  EXPECT_FALSE(is_direct(client));
  EXPECT_EQ(host_.frames(FrameKind::attach), 1);
}

TEST_F(Attach, a_slab_that_is_refused_for_now_is_asked_for_again) {
  refuse_first(FrameKind::open, FrameKind::handle, Code::resource_exhausted);
  Client client = *Client::connect(host_.address());
  ASSERT_TRUE(client.call(echo, "").ok());
  EXPECT_FALSE(is_direct(client));
  EXPECT_FALSE(is_direct(client));
  EXPECT_EQ(refused_, 1 + 2) << "the slab once, and the two leases by a call";
  std::this_thread::sleep_for(pause);
  EXPECT_TRUE(is_direct(client));
}

TEST_F(Attach, a_slab_that_is_refused_for_good_is_asked_for_once) {
  refuse_first(FrameKind::open, FrameKind::handle, Code::permission_denied);
  Client client = *Client::connect(host_.address());
  ASSERT_TRUE(client.call(echo, "").ok());
  EXPECT_FALSE(is_direct(client));
  std::this_thread::sleep_for(pause);
  EXPECT_FALSE(is_direct(client));
}

// One connection after another, with the same DirectHolds.
class Reconnecting : public Attach {
 protected:
  void connect() {
    const auto limit = steady_clock::now() + milliseconds(5'000);
    auto session = detail::LocalSession::make(host_.path(), 0, limit);
    ASSERT_TRUE(session.ok()) << session.status().to_string();
    holds_.renew(*session);
    holds_.look();
    (*session)->wait_for_pages(limit);
    holds_.look();
  }
  detail::DirectHolds holds_;
};

TEST_F(Reconnecting, a_reader_that_nothing_names_serves_the_next_session) {
  for (int i = 0; i < 50; ++i) {
    connect();
    detail::Hold hold;
    ASSERT_TRUE(holds_.hold(id_of(0), &hold)) << i;
    hold.reader->let_go(hold);
  }
  EXPECT_EQ(holds_.readers(), 1U);
}

TEST_F(Reconnecting, a_reader_that_a_hold_names_stays_as_it_is_until_that_ends) {
  std::memset(directory_.slab().base(), 'b', size);
  connect();
  detail::Hold old;
  ASSERT_TRUE(holds_.hold(id_of(0), &old));
  for (int i = 0; i < 10; ++i) connect();
  EXPECT_EQ(holds_.readers(), 2U);
  EXPECT_EQ(old.bytes[size - 1], std::byte{'b'});
  detail::Hold fresh;
  ASSERT_TRUE(holds_.hold(id_of(0), &fresh));
  EXPECT_NE(fresh.reader, old.reader);
  fresh.reader->let_go(fresh);
  old.reader->let_go(old);
  EXPECT_EQ(old.slab->bytes, 4 * size) << "what an ended lease says, it goes on saying";
  for (int i = 0; i < 10; ++i) connect();
  EXPECT_EQ(holds_.readers(), 2U);
  EXPECT_EQ(old.slab->bytes, 4 * size);
}

// Whoever is on the way into hold() while sessions change holds in one that lives, or not at all.
TEST_F(Reconnecting, holds_and_new_sessions_at_the_same_time_keep_to_one_of_both) {
  std::memset(directory_.slab().base(), 'c', size);
  connect();
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> held{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      while (!stop) {
        detail::Hold hold;
        if (!holds_.hold(id_of(0), &hold)) continue;
        if (hold.bytes[0] == std::byte{'c'}) ++held;
        hold.reader->let_go(hold);
      }
    });
  }
  for (int i = 0; i < 60; ++i) connect();
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(held, 100U);
  EXPECT_LE(holds_.readers(), 5U);
  EXPECT_FALSE(directory_.is_held(0));
}

}  // namespace
}  // namespace pm::client
