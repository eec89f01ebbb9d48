#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <random>
#include <thread>

#include "bench.h"
#include "local_socket.h"

// Clients of the local frontend that are broken or mean harm: each loses its connection, nobody
// else notices, and every session closes.

namespace pm::frontend_contract {
namespace {

using local::FrameHeader;
using local::FrameKind;

std::string bytes_of(const FrameHeader& header) {
  return {reinterpret_cast<const char*>(&header), sizeof header};
}

FrameHeader header_of(FrameKind kind, std::uint32_t body_bytes = 0) {
  FrameHeader header{};
  header.kind = kind;
  header.body_bytes = body_bytes;
  return header;
}

class HostileClients : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(bench_.trouble(), ""); }

  void TearDown() override {
    const auto reply = bench_.client().call("/pm.fake.v1.Fake/Echo", "unharmed");
    EXPECT_EQ(reply.bytes, "unharmed") << reply.status.error_message();
    // All but that of the bench's own client.
    EXPECT_TRUE(bench_.engine().eventually([](const Counts& c) {
      return c.closed + 1 == c.opened && c.done == c.calls;
    })) << "sessions or calls stay open";
    EXPECT_EQ(bench_.engine().counts().closed_wrongly, 0U);
  }

  std::unique_ptr<LocalSocket> connect() const {
    return LocalSocket::connect(bench_.socket_path());
  }

  Bench bench_{Transport::local};
};

TEST_F(HostileClients, half_a_frame_and_the_end_does_no_harm) {
  const std::string frame = call_frame(1, "/pm.fake.v1.Fake/Never", std::string(1000, 'x'));
  for (const std::size_t length : {std::size_t{0}, std::size_t{1}, std::size_t{31}, std::size_t{32},
                                   std::size_t{33}, frame.size() - 1, frame.size()}) {
    const auto socket = connect();
    ASSERT_NE(socket, nullptr);
    ASSERT_TRUE(socket->send_bytes(frame.substr(0, length)));
  }
}

TEST_F(HostileClients, frames_that_break_the_rules_end_the_connection) {
  FrameHeader long_method = header_of(FrameKind::call, 3);
  long_method.method_bytes = 4;
  FrameHeader short_id = header_of(FrameKind::open, 15);
  FrameHeader slab_with_id = header_of(FrameKind::open, 16);
  slab_with_id.number = 2;
  const std::string never = call_frame(1, "/pm.fake.v1.Fake/Never", "");
  const std::vector<std::pair<const char*, std::string>> cases{
      {"kind 0", bytes_of(header_of(static_cast<FrameKind>(0)))},
      {"a host's kind", bytes_of(header_of(FrameKind::reply))},
      {"kind 255", bytes_of(header_of(static_cast<FrameKind>(255)))},
      {"too large", bytes_of(header_of(FrameKind::call, local::body_bytes_max + 1))},
      {"the largest number", bytes_of(header_of(FrameKind::call, UINT32_MAX))},
      {"method beyond body", bytes_of(long_method) + "abc"},
      {"NUL in the method", call_frame(1, std::string("/a/b\0c", 6), "")},
      {"cancel with a body", bytes_of(header_of(FrameKind::cancel, 1)) + "x"},
      {"a short id", bytes_of(short_id) + std::string(15, 'x')},
      {"a slab with an id", bytes_of(slab_with_id) + std::string(16, 'x')},
      {"a number twice", never + never},
      {"another protocol", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"},
  };
  for (const auto& [name, bytes] : cases) {
    const auto socket = connect();
    ASSERT_NE(socket, nullptr);
    socket->call(77, "/pm.fake.v1.Fake/Never", "");
    ASSERT_TRUE(socket->send_bytes(bytes)) << name;
    EXPECT_TRUE(socket->ends()) << name;
  }
}

TEST_F(HostileClients, descriptors_from_a_client_end_the_connection_and_are_closed) {
  const auto socket = connect();
  int pipe_ends[2] = {};
  ASSERT_EQ(::pipe(pipe_ends), 0);
  const std::string bytes = call_frame(1, "/pm.fake.v1.Fake/Echo", "x");
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(header), &pipe_ends[1], sizeof(int));
  ASSERT_GT(::sendmsg(socket->fd(), &message, 0), 0);
  ::close(pipe_ends[1]);
  EXPECT_TRUE(socket->ends());
  pollfd end{pipe_ends[0], POLLIN, 0};
  EXPECT_EQ(::poll(&end, 1, 5000), 1) << "somebody still has the other end";
  EXPECT_NE(end.revents & POLLHUP, 0);
  ::close(pipe_ends[0]);
}

// CONNECTION-3
TEST_F(HostileClients, who_does_not_read_is_disconnected_while_others_go_on) {
  const auto deaf = connect();
  const std::string request(1 << 20, 'r');
  bool cut = false;
  for (std::uint64_t call = 1; call <= 80 && !cut; ++call) {
    cut = !deaf->call(call, "/pm.fake.v1.Fake/Echo", request);
    const auto reply = bench_.client().call("/pm.fake.v1.Fake/Echo", "x");
    ASSERT_EQ(reply.bytes, "x") << "another client has to wait";
    EXPECT_TRUE(!cut || call > 60) << "after " << call;
  }
  EXPECT_TRUE(cut) << "80 MiB of replies wait for a client that does not read";
}

TEST_F(HostileClients, slow_readers_get_all_of_what_waits) {
  const auto slow = connect();
  const std::string request(1 << 20, 'r');
  for (std::uint64_t call = 1; call <= 20; ++call) {
    ASSERT_TRUE(slow->call(call, "/pm.fake.v1.Fake/Echo", request));
    ASSERT_TRUE(slow->call(call + 100, "/pm.fake.v1.Fake/Echo", std::to_string(call)));
  }
  for (std::uint64_t call = 1; call <= 20; ++call) {
    auto frame = slow->receive();
    ASSERT_TRUE(frame);
    EXPECT_EQ(frame->header.call, call);
    EXPECT_EQ(frame->bytes(), request);
    frame = slow->receive();
    ASSERT_TRUE(frame);
    EXPECT_EQ(frame->bytes(), std::to_string(call));
  }
}

// A client of a seed: frames of which most are nearly right, sent whole or cut anywhere.
void play(const std::string& path, unsigned seed) {
  std::mt19937 random(seed);
  const auto socket = LocalSocket::connect(path);
  if (socket == nullptr) return;
  socket->set_receive_time(std::chrono::milliseconds(1));
  const char* methods[] = {"Fake/Echo", "Fake/Never", "Fake/Later", "Streams/Endless", "Fake/Fail"};
  for (int i = 0; i < 60; ++i) {
    FrameHeader header{};
    header.kind = static_cast<FrameKind>(random() % 40 == 0 ? random() : 1 + random() % 6);
    header.flags = static_cast<std::uint8_t>(random() % 4);
    header.call = random() % 30 + static_cast<unsigned>(i) * 2;
    header.number = random() % 4;
    header.value = random() % 3 == 0 ? random() : 0;
    std::string body;
    if (header.kind == FrameKind::call) {
      body = std::string("/pm.fake.v1.") + methods[random() % 5];
      header.method_bytes = static_cast<std::uint16_t>(body.size() + (random() % 50 == 0 ? 9 : 0));
      body += std::to_string(random() % 20);
    } else if (header.kind == FrameKind::open && header.number != 2) {
      body = std::string(16, static_cast<char>('a' + random() % 26));
    }
    if (random() % 60 == 0) body.resize(random() % 100'000);
    header.body_bytes = static_cast<std::uint32_t>(body.size() + (random() % 100 == 0 ? 1 : 0));
    std::string bytes = bytes_of(header) + body;
    if (random() % 50 == 0) bytes[random() % bytes.size()] ^= static_cast<char>(random());
    if (random() % 50 == 0) bytes.resize(random() % bytes.size());
    if (!socket->send_bytes(bytes)) break;
    if (random() % 4 != 0) continue;
    if (const auto frame = socket->receive()) {
      for (const int fd : frame->descriptors) ::close(fd);
    }
  }
}

TEST_F(HostileClients, random_frames_do_no_harm) {
  const char* wanted = std::getenv("PM_SEED");
  const unsigned first = wanted == nullptr ? 1 : static_cast<unsigned>(std::atoi(wanted));
  std::vector<std::thread> threads;
  for (unsigned thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (unsigned i = 0; i < 50; ++i) play(bench_.socket_path(), first + thread * 1000 + i);
    });
  }
  for (auto& thread : threads) thread.join();
}

TEST_F(HostileClients, clients_that_come_and_go_during_a_stop_do_no_harm) {
  for (int round = 0; round < 5; ++round) {
    const std::string path = bench_.directory() + "/brief.sock";
    auto brief = bench_.another("unix:" + path);
    ASSERT_TRUE(brief.ok());
    ASSERT_TRUE((*brief)->start(bench_.engine().face()).ok());
    std::atomic<bool> over{false};
    std::vector<std::thread> threads;
    for (unsigned thread = 0; thread < 4; ++thread) {
      threads.emplace_back([&, thread] {
        for (unsigned i = 0; !over; ++i) play(path, 7000 + thread * 100 + i);
      });
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(40));
    (*brief)->drain(std::chrono::milliseconds(20));
    (*brief)->stop();
    over = true;
    for (auto& thread : threads) thread.join();
  }
}

}  // namespace
}  // namespace pm::frontend_contract
