#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "bench.h"
#include "local_socket.h"

// Clients of the local frontend that take, or leave lying about, as much as they can: what is the
// host's, and so everybody's, stays there for others.

namespace pm::frontend_contract {
namespace {

using local::FrameKind;
using local::OpenWhat;

constexpr uid_t nobody = 65534;
const std::string any_id = "leased..........";

// Descriptors that wait in a socket for its owner to read them; -1: this kernel does not tell.
int unread_descriptors(int socket) {
  std::ifstream info("/proc/self/fdinfo/" + std::to_string(socket));
  for (std::string key; info >> key;) {
    int value = 0;
    if (key == "scm_fds:" && info >> value) return value;
  }
  return -1;
}

void close_all(const LocalFrame& frame) {
  for (const int fd : frame.descriptors) ::close(fd);
}

// Lets go of what hangs, before a frontend waits for it.
struct Release {
  FakeEngine& engine;
  ~Release() { engine.release_stuck(); }
};

class GreedyClients : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(bench_.trouble(), "");
    // Each loop makes its own descriptors with its first client.
    connect().reset();
    ASSERT_TRUE(bench_.engine().eventually([](const Counts& c) { return c.closed == 1; }));
  }

  std::unique_ptr<LocalSocket> connect() const {
    return LocalSocket::connect(bench_.socket_path());
  }

  // Another frontend, for which this user is one whom it does not trust.
  std::unique_ptr<Instance> start_without_trust() {
    return start(R"(, "mode": "0666", "connections_max": 32, "trusted_uids": [12345])");
  }
  std::unique_ptr<Instance> start(const std::string& more) {
    auto made = Instance::create(Bench::config("unix:" + other_path(), more), Transport::local);
    EXPECT_TRUE(made.ok()) << made.status().to_string();
    const Status started = (*made)->start(bench_.engine().face());
    EXPECT_TRUE(started.ok()) << started.to_string();
    return std::move(*made);
  }
  std::string other_path() const { return bench_.directory() + "/other.sock"; }

  // The most descriptors that the frontend had open beyond `before` while it did what it could.
  static std::size_t most_beyond(std::size_t before) {
    std::size_t most = 0;
    for (int i = 0; i < 30; ++i) {
      most = std::max(most, open_descriptors() - before);
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return most;
  }

  Bench bench_{Transport::local};
};

// CONNECTION-4
TEST_F(GreedyClients, who_reads_no_descriptors_has_few_of_the_hosts) {
  constexpr std::uint64_t opens = 3000;
  const auto greedy = connect();
  const std::size_t before = open_descriptors();
  for (std::uint64_t call = 1; call <= opens; ++call) {
    ASSERT_TRUE(send_open(*greedy, call, OpenWhat::leased, any_id));
  }
  EXPECT_LE(most_beyond(before), 32U);
  EXPECT_LE(unread_descriptors(greedy->fd()), 32);
  const auto other = connect();
  ASSERT_TRUE(send_open(*other, 1, OpenWhat::leased, any_id));
  const auto answer = other->receive();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->descriptors.size(), 1U);
  close_all(*answer);
  for (std::uint64_t call = 1; call <= opens; ++call) {  // Slow is not wrong: all are answered.
    const auto frame = greedy->receive();
    ASSERT_TRUE(frame) << "after " << call;
    ASSERT_EQ(frame->descriptors.size(), 1U) << "after " << call << ": " << frame->text();
    close_all(*frame);
  }
}

TEST_F(GreedyClients, who_attaches_without_end_has_few_of_the_hosts) {
  constexpr std::uint64_t attaches = 3000;
  const auto greedy = connect();
  const std::size_t before = open_descriptors();
  for (std::uint64_t call = 1; call <= attaches; ++call) {
    ASSERT_TRUE(send_bare(*greedy, FrameKind::attach, call));
  }
  EXPECT_LE(most_beyond(before), 32U);
  EXPECT_LE(unread_descriptors(greedy->fd()), 32);
  for (std::uint64_t call = 1; call <= attaches; ++call) {
    const auto frame = greedy->receive();
    ASSERT_TRUE(frame) << "after " << call;
    const bool is_given = frame->header.number == PM_OK;
    EXPECT_TRUE(is_given || frame->header.number == PM_RESOURCE_EXHAUSTED) << frame->text();
    EXPECT_EQ(frame->descriptors.size(), is_given ? 2U : 0U);
    close_all(*frame);
  }
  ASSERT_TRUE(send_bare(*greedy, FrameKind::attach, 1));
  const auto frame = greedy->receive();
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->header.number, PM_OK) << "who has read may attach again";
  close_all(*frame);
}

// CONNECTION-5
TEST_F(GreedyClients, a_user_who_is_not_trusted_leaves_connections_for_others) {
  const auto other = start_without_trust();
  std::vector<std::unique_ptr<LocalSocket>> sockets;
  for (int i = 0; i < 8; ++i) {
    sockets.push_back(LocalSocket::connect(other_path()));
    ASSERT_NE(sockets.back(), nullptr) << "after " << i;
  }
  EXPECT_EQ(LocalSocket::connect(other_path()), nullptr);
  EXPECT_GE(other->warnings(), 1);
  if (::geteuid() == 0) {  // Who can be somebody else sees that there is room for others.
    ::chmod(bench_.directory().c_str(), 0755);
    const pid_t child = ::fork();
    if (child == 0) {
      if (::setgid(nobody) != 0 || ::setuid(nobody) != 0) ::_exit(2);
      ::_exit(LocalSocket::connect(other_path()) == nullptr ? 3 : 0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  }
  sockets.pop_back();
  for (int i = 0; i < 100 && sockets.size() < 8; ++i) {
    if (auto socket = LocalSocket::connect(other_path())) sockets.push_back(std::move(socket));
  }
  EXPECT_EQ(sockets.size(), 8U) << "room does not come back";
}

TEST_F(GreedyClients, requests_that_do_not_come_whole_take_little_of_the_hosts_memory) {
  const auto other = start_without_trust();
  constexpr std::size_t most = local::body_bytes_max - 100;
  const std::string frame = call_frame(1, "/pm.fake.v1.Fake/Echo", std::string(most, 'x'),  //
                                       0, local::frame_no_reply);
  const std::string part = frame.substr(0, 20 << 20);
  std::vector<std::unique_ptr<LocalSocket>> sockets;
  for (int i = 0; i < 6; ++i) {
    sockets.push_back(LocalSocket::connect(other_path()));
    ASSERT_NE(sockets.back(), nullptr);
    sockets.back()->send_bytes(part);
  }
  int alive = 0;
  for (const auto& socket : sockets) {
    if (!socket->send_bytes(frame.substr(part.size()))) continue;
    socket->call(2, "/pm.fake.v1.Fake/Echo", "alive");
    if (const auto answer = socket->receive()) alive += answer->bytes() == "alive" ? 1 : 0;
  }
  EXPECT_EQ(alive, 4) << "so many of the largest requests fit into what a user may take";
}

TEST_F(GreedyClients, what_a_large_request_needed_is_given_back) {
  const auto other = start_without_trust();
  const std::string frame =
      call_frame(1, "/pm.fake.v1.Fake/Echo", std::string(60 << 20, 'x'), 0, local::frame_no_reply);
  std::vector<std::unique_ptr<LocalSocket>> sockets;
  for (int i = 0; i < 6; ++i) {
    sockets.push_back(LocalSocket::connect(other_path()));
    ASSERT_NE(sockets.back(), nullptr);
    ASSERT_TRUE(sockets.back()->send_bytes(frame));
    // The begin of the next one is there too.
    sockets.back()->send_bytes(call_frame(2, "/pm.fake.v1.Fake/Echo", "alive") +
                               frame.substr(0, 40));
    const auto answer = sockets.back()->receive();
    ASSERT_TRUE(answer) << "after " << i;
    EXPECT_EQ(answer->bytes(), "alive");
  }
}

TEST_F(GreedyClients, opens_that_never_began_end_with_their_connection) {
  const std::size_t before = open_descriptors();
  for (int round = 0; round < 3; ++round) {
    const auto greedy = connect();
    for (std::uint64_t call = 1; call <= 1000; ++call) {
      ASSERT_TRUE(send_open(*greedy, call, OpenWhat::leased, any_id));
    }
  }
  EXPECT_TRUE(bench_.engine().eventually([](const Counts& c) { return c.closed == 4; }));
  EXPECT_LE(most_beyond(before), 0U + 3U * 32U);
  EXPECT_EQ(open_descriptors(), before);
  const auto greedy = connect();
  for (std::uint64_t call = 1; call <= 1000; ++call) {
    ASSERT_TRUE(send_open(*greedy, call, OpenWhat::leased, any_id));
  }
  bench_.stop();  // With nearly a thousand of them waiting.
  EXPECT_EQ(bench_.engine().counts().opened, bench_.engine().counts().closed);
}

// CONNECTION-6
TEST_F(GreedyClients, a_tier_that_hangs_holds_up_only_those_who_ask_for_it) {
  const auto other = start(R"(, "open_ms": 200)");
  const Release release{bench_.engine()};
  auto hung = LocalSocket::connect(other_path());
  const auto well = LocalSocket::connect(other_path());
  ASSERT_NE(hung, nullptr);
  ASSERT_NE(well, nullptr);
  const std::size_t before = open_descriptors();
  for (std::uint64_t call = 1; call <= 4; ++call) {
    ASSERT_TRUE(send_open(*hung, call, OpenWhat::leased, "H..............."));
  }
  for (std::uint64_t call = 1; call <= 4; ++call) {
    const auto frame = hung->receive();
    ASSERT_TRUE(frame) << "after " << call;
    EXPECT_EQ(frame->header.number, PM_DEADLINE_EXCEEDED) << frame->text();
    EXPECT_TRUE(frame->descriptors.empty());
  }
  ASSERT_TRUE(send_open(*well, 1, OpenWhat::leased, any_id));
  const auto answer = well->receive();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->header.number, PM_OK) << answer->text();
  close_all(*answer);
  hung.reset();
  EXPECT_TRUE(bench_.engine().eventually([](const Counts& c) { return c.closed == 2; }))
      << "its session waits for the tier";
  bench_.engine().release_stuck();
  EXPECT_LE(most_beyond(before - 2), 4U);  // Without the socket of `hung`, both ends of it.
  EXPECT_EQ(open_descriptors(), before - 2) << "what came too late stays open";
}

TEST_F(GreedyClients, when_all_that_may_hang_do_the_others_are_told_in_time) {
  const auto other = start(R"(, "open_ms": 100)");
  const Release release{bench_.engine()};
  const auto hung = LocalSocket::connect(other_path());
  ASSERT_NE(hung, nullptr);
  constexpr std::uint64_t opens = 40;
  for (std::uint64_t call = 1; call <= opens; ++call) {
    ASSERT_TRUE(send_open(*hung, call, OpenWhat::leased, "H..............."));
  }
  for (std::uint64_t call = 1; call <= opens; ++call) {
    const auto frame = hung->receive();
    ASSERT_TRUE(frame) << "after " << call;
    EXPECT_EQ(frame->header.number, PM_DEADLINE_EXCEEDED) << frame->text();
  }
}

// A host of a user for whom the kernel counts descriptors in flight (it does not for root). Exits
// with 0 when a client that asks while too many are in flight gets its own after all.
[[noreturn]] void open_while_too_many_are_in_flight() {
  const rlimit few{128, 128};
  if (::setrlimit(RLIMIT_NOFILE, &few) != 0) ::_exit(10);
  // Loads the plugin, which may lie where only root can read.
  if (!Instance::create(Bench::config("unix:/tmp/unused"), Transport::local).ok()) ::_exit(18);
  if (::geteuid() == 0 && (::setgid(nobody) != 0 || ::setuid(nobody) != 0)) ::_exit(11);
  const Bench bench(Transport::local);
  if (!bench.trouble().empty()) ::_exit(12);
  std::vector<std::unique_ptr<LocalSocket>> hoarders;
  for (int i = 0; i < 14; ++i) {
    hoarders.push_back(LocalSocket::connect(bench.socket_path()));
    if (hoarders.back() == nullptr) ::_exit(13);
    for (std::uint64_t call = 1; call <= 10; ++call) {
      send_open(*hoarders.back(), call, OpenWhat::leased, any_id);
    }
  }
  const auto other = LocalSocket::connect(bench.socket_path());
  if (other == nullptr) ::_exit(14);
  other->call(1, "/pm.fake.v1.Fake/Later", "100");  // The opens before have been done by then.
  if (!other->receive()) ::_exit(15);
  send_open(*other, 2, OpenWhat::leased, any_id);
  other->set_receive_time(std::chrono::milliseconds(300));
  if (other->receive() || errno != EAGAIN) ::_exit(16);
  hoarders.clear();
  other->set_receive_time(std::chrono::seconds(10));
  const auto answer = other->receive();
  ::_exit(answer && answer->descriptors.size() == 1 ? 0 : 17);
}

TEST(GreedyClientsOfTheKernel, who_asks_while_too_many_are_in_flight_waits_and_gets_its_own) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // It begins anew, with no threads.
  EXPECT_EXIT(open_while_too_many_are_in_flight(), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace pm::frontend_contract
