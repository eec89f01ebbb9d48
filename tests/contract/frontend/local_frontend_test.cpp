#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>
#include <thread>

#include "bench.h"
#include "local_socket.h"

// What only the local frontend does: descriptors, users, frames in any number and size.

namespace pm::frontend_contract {
namespace {

using local::FrameHeader;
using local::FrameKind;
using local::OpenWhat;

constexpr uid_t nobody = 65534;

// The frontend closes its own after the client has got them.
bool descriptors_return_to(std::size_t count) {
  for (int i = 0; i < 200 && open_descriptors() != count; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return open_descriptors() == count;
}

std::string content(int fd) {
  char bytes[200] = {};
  const ssize_t count = ::pread(fd, bytes, sizeof bytes, 0);
  return {bytes, count < 0 ? 0 : static_cast<std::size_t>(count)};
}

class LocalFrontend : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(bench_.trouble(), ""); }

  // Another frontend at `path` of the bench's folder.
  std::unique_ptr<Instance> start(const std::string& name, const std::string& more) {
    const std::string listen = "unix:" + bench_.directory() + "/" + name;
    auto made = Instance::create(Bench::config(listen, more), Transport::local);
    EXPECT_TRUE(made.ok()) << made.status().to_string();
    const Status started = (*made)->start(bench_.engine().face());
    EXPECT_TRUE(started.ok()) << started.to_string();
    return std::move(*made);
  }

  std::unique_ptr<LocalSocket> connect() const {
    return LocalSocket::connect(bench_.socket_path());
  }

  Bench bench_{Transport::local};
};

TEST_F(LocalFrontend, hello_names_the_protocol) {
  const auto socket = connect();
  ASSERT_NE(socket, nullptr);
  EXPECT_EQ(socket->hello().header.call, local::hello_magic);
  EXPECT_EQ(socket->hello().header.value, local::protocol_version);
  EXPECT_EQ(socket->hello().body, "");
}

TEST_F(LocalFrontend, frames_may_come_in_any_pieces) {
  const auto socket = connect();
  const std::string frames = call_frame(1, "/pm.fake.v1.Fake/Echo", "one") +
                             call_frame(2, "/pm.fake.v1.Fake/Echo", "") +
                             call_frame(3, "/pm.fake.v1.Fake/Echo", "three");
  for (const char byte : frames) ASSERT_TRUE(socket->send_bytes(std::string(1, byte)));
  EXPECT_EQ(socket->receive()->bytes(), "one");
  EXPECT_EQ(socket->receive()->bytes(), "");
  EXPECT_EQ(socket->receive()->bytes(), "three");
  std::string large(3 << 20, 'l');
  ASSERT_TRUE(socket->send_bytes(frames + call_frame(4, "/pm.fake.v1.Fake/Echo", large) + frames));
  for (const char* wanted : {"one", "", "three"}) EXPECT_EQ(socket->receive()->bytes(), wanted);
  EXPECT_EQ(socket->receive()->bytes(), large);
  for (const char* wanted : {"one", "", "three"}) EXPECT_EQ(socket->receive()->bytes(), wanted);
}

TEST_F(LocalFrontend, ten_thousand_calls_can_be_under_way) {
  constexpr std::uint64_t calls = 10'000;
  const auto socket = connect();
  std::string frames;
  for (std::uint64_t call = 1; call <= calls; ++call) {
    const char* method = call % 2 == 0 ? "/pm.fake.v1.Fake/Echo" : "/pm.fake.v1.Fake/Never";
    frames += call_frame(call, method, std::to_string(call));
  }
  ASSERT_TRUE(socket->send_bytes(frames));  // Nothing is read meanwhile.
  std::set<std::uint64_t> seen;
  for (std::uint64_t i = 0; i < calls / 2; ++i) {
    const auto frame = socket->receive();
    ASSERT_TRUE(frame) << "after " << i;
    EXPECT_EQ(frame->bytes(), std::to_string(frame->header.call));
    EXPECT_TRUE(seen.insert(frame->header.call).second);
  }
  for (std::uint64_t call = 1; call <= calls; call += 2) ASSERT_TRUE(socket->cancel(call));
  for (std::uint64_t i = 0; i < calls / 2; ++i) {
    const auto frame = socket->receive();
    ASSERT_TRUE(frame) << "after " << i;
    EXPECT_EQ(frame->header.number, PM_CANCELLED);
    EXPECT_TRUE(seen.insert(frame->header.call).second);
  }
  EXPECT_EQ(seen.size(), calls);
}

TEST_F(LocalFrontend, a_number_can_be_used_again_after_its_call) {
  const auto socket = connect();
  for (int i = 0; i < 100; ++i) {
    socket->call(5, "/pm.fake.v1.Fake/Later", "0");
    const auto frame = socket->receive();
    ASSERT_TRUE(frame);
    EXPECT_EQ(frame->header.call, 5U);
  }
}

TEST_F(LocalFrontend, time_beyond_all_clocks_is_no_deadline_in_the_past) {
  const auto socket = connect();
  socket->call(1, "/pm.fake.v1.Fake/Echo", "x", 0, 0, UINT64_MAX);
  ASSERT_TRUE(socket->receive());
  EXPECT_EQ(bench_.engine().last_call().deadline_ns, static_cast<std::uint64_t>(INT64_MAX));
}

TEST_F(LocalFrontend, a_reply_that_fits_in_no_frame_is_said_in_words) {
  const auto socket = connect();
  socket->call(1, "/pm.fake.v1.Fake/Fail", "5 " + std::string(40 << 20, 'x'));  // And its details.
  const auto frame = socket->receive();
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->header.number, PM_RESOURCE_EXHAUSTED);
  EXPECT_NE(frame->text().find("64 MiB"), std::string::npos);
}

TEST_F(LocalFrontend, descriptors_come_with_their_answers) {
  const auto socket = connect();
  const std::size_t before = open_descriptors();
  const std::string id = "leased..........";
  send_open(*socket, 1, OpenWhat::leased, id);
  auto frame = socket->receive();
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->header.kind, FrameKind::handle);
  EXPECT_EQ(frame->header.call, 1U);
  EXPECT_EQ(frame->header.number, PM_OK);
  ASSERT_EQ(frame->descriptors.size(), 1U);
  EXPECT_EQ(content(frame->descriptors[0]).substr(0, 18), "0 " + id);
  EXPECT_NE(::fcntl(frame->descriptors[0], F_GETFD) & FD_CLOEXEC, 0);
  ::close(frame->descriptors[0]);

  send_open(*socket, 2, OpenWhat::slab, "", 3);
  frame = socket->receive();
  ASSERT_TRUE(frame);
  ASSERT_EQ(frame->descriptors.size(), 1U);
  EXPECT_EQ(content(frame->descriptors[0]).substr(0, 5), "2  3 ");
  ::close(frame->descriptors[0]);

  send_bare(*socket, FrameKind::attach, 3);
  frame = socket->receive();
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->header.kind, FrameKind::attached);
  ASSERT_EQ(frame->descriptors.size(), 2U);
  EXPECT_EQ(content(frame->descriptors[0]), "directory");
  EXPECT_EQ(content(frame->descriptors[1]), "page");
  for (const int fd : frame->descriptors) ::close(fd);
  EXPECT_TRUE(descriptors_return_to(before)) << "the frontend keeps some, or lost some";
}

TEST_F(LocalFrontend, what_cannot_be_opened_is_said_in_words) {
  const auto socket = connect();
  send_open(*socket, 1, OpenWhat::leased, "n...............");
  auto frame = socket->receive();
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->header.number, PM_NOT_FOUND);
  EXPECT_NE(frame->text(), "");
  EXPECT_TRUE(frame->descriptors.empty());
  send_open(*socket, 2, OpenWhat::slab, "", 1ULL << 40);
  frame = socket->receive();
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->header.number, PM_NOT_FOUND);
  send_open(*socket, 3, static_cast<OpenWhat>(9), "................");
  frame = socket->receive();
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->header.number, PM_INVALID_ARGUMENT);
}

TEST_F(LocalFrontend, who_is_not_trusted_does_not_attach) {
  const auto other = start("other.sock", ", \"trusted_uids\": [12345]");
  const auto socket = LocalSocket::connect(bench_.directory() + "/other.sock");
  ASSERT_NE(socket, nullptr);
  send_bare(*socket, FrameKind::attach, 1);
  const auto frame = socket->receive();
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->header.number, PM_PERMISSION_DENIED);
  EXPECT_NE(frame->text().find("trusted_uids"), std::string::npos);
}

TEST_F(LocalFrontend, calls_do_not_wait_for_a_slow_open) {
  const auto socket = connect();
  send_open(*socket, 1, OpenWhat::allocated, "s...............");
  socket->call(2, "/pm.fake.v1.Fake/Echo", "x");
  auto frame = socket->receive();
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->header.call, 2U);
  frame = socket->receive();
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->header.call, 1U);
  for (const int fd : frame->descriptors) ::close(fd);
}

TEST_F(LocalFrontend, descriptors_for_a_client_that_left_are_closed) {
  connect().reset();  // The second loop gets its own descriptors with its first client.
  ASSERT_TRUE(bench_.engine().eventually([](const Counts& c) { return c.closed == 1; }));
  const std::size_t before = open_descriptors();
  for (int i = 0; i < 3; ++i) {
    const auto socket = connect();
    send_open(*socket, 1, OpenWhat::allocated, "s...............");
    send_bare(*socket, FrameKind::attach, 2);  // Comes, and is never read.
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_TRUE(bench_.engine().eventually([](const Counts& c) { return c.closed == 4; }));
  EXPECT_TRUE(descriptors_return_to(before));
}

TEST_F(LocalFrontend, releases_reach_the_engine) {
  const auto socket = connect();
  for (int i = 0; i < 5; ++i) send_bare(*socket, FrameKind::released, 0);
  EXPECT_TRUE(bench_.engine().eventually([](const Counts& c) { return c.released == 5; }));
}

TEST_F(LocalFrontend, another_user_is_known_and_not_trusted) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can be somebody else";
  ::chmod(bench_.directory().c_str(), 0755);
  const auto other = start("others.sock", ", \"mode\": \"0666\"");
  const std::string path = bench_.directory() + "/others.sock";
  const pid_t child = ::fork();
  if (child == 0) {
    if (::setgid(nobody) != 0 || ::setuid(nobody) != 0) ::_exit(2);
    const auto socket = LocalSocket::connect(path);
    if (socket == nullptr) ::_exit(3);
    socket->call(1, "/pm.fake.v1.Fake/Echo", "x");
    ::_exit(socket->receive() ? 0 : 4);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  ASSERT_EQ(WEXITSTATUS(status), 0);
  const SeenCall seen = bench_.engine().last_call();
  EXPECT_EQ(seen.uid, nobody);
  EXPECT_EQ(seen.gid, nobody);
  EXPECT_EQ(seen.pid, child);
  EXPECT_FALSE(seen.is_trusted);
}

TEST_F(LocalFrontend, more_clients_than_allowed_are_turned_away) {
  const auto small = start("small.sock", ", \"connections_max\": 2");
  const std::string path = bench_.directory() + "/small.sock";
  auto first = LocalSocket::connect(path);
  auto second = LocalSocket::connect(path);
  ASSERT_NE(first, nullptr);
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(LocalSocket::connect(path), nullptr);
  second.reset();
  for (int i = 0; i < 100 && second == nullptr; ++i) second = LocalSocket::connect(path);
  EXPECT_NE(second, nullptr) << "room does not come back";
}

TEST_F(LocalFrontend, many_clients_do_not_fill_the_log) {
  const auto small = start("small.sock", ", \"connections_max\": 1");
  const std::string path = bench_.directory() + "/small.sock";
  const auto first = LocalSocket::connect(path);
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 200; ++i) EXPECT_EQ(LocalSocket::connect(path), nullptr);
  const auto took = std::chrono::steady_clock::now() - begin;
  EXPECT_GE(small->warnings(), 1);
  EXPECT_LE(small->warnings(), 2 + took / std::chrono::seconds(1));
}

TEST(LocalConfiguration, what_makes_no_sense_is_refused_in_words) {
  for (const char* listen : {"[]", "\"\"", "\"127.0.0.1:0\"", "\"unix:\"", "\"unix:/tmp/\"",
                             "\"unix-abstract:x\"", "7", "[\"unix:/a\", 7]"}) {
    const auto made =
        Instance::create("{\"listen\": " + std::string(listen) + "}", Transport::local);
    ASSERT_FALSE(made.ok()) << listen;
    EXPECT_NE(made.status().message().find("listen"), std::string::npos);
  }
  EXPECT_TRUE(Instance::create(R"({"listen": "unix:/tmp/x"})", Transport::local).ok());
}

}  // namespace
}  // namespace pm::frontend_contract
