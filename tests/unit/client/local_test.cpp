// Calls over a local frontend's socket, against a fake host.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <thread>

#include "fake_host.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "pm/client/client.h"

namespace pm::client {
namespace {

using local::FrameHeader;
using local::FrameKind;
using test::FakeHost;
using test::id_of;
using test::Peer;

const std::string echo = "/test.Service/Echo";

Client connect(const FakeHost& host, ConnectOptions options = {}) {
  auto client = Client::connect(host.address(), std::move(options));
  EXPECT_TRUE(client.ok()) << client.status().to_string();
  return *std::move(client);
}

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::size_t open_descriptors() {
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

TEST(local, a_call_is_answered) {
  FakeHost host;
  Client client = connect(host);
  EXPECT_EQ(*client.call(echo, "hello"), "hello");
  EXPECT_EQ(*client.call(echo, ""), "");
  EXPECT_EQ(host.connections(), 1);
}

TEST(local, an_address_that_is_none_is_refused_at_once) {
  for (const std::string& address :
       {std::string("local:"), std::string("local:host.sock"), "local:/" + std::string(200, 'x')}) {
    EXPECT_EQ(Client::connect(address).status().code(), Code::invalid_argument) << address;
  }
  EXPECT_EQ(Client::connect("local:/x", {.tls_ca_file = "ca.pem"}).status().code(),
            Code::invalid_argument);
}

TEST(local, where_nobody_listens_is_unavailable_and_named) {
  Client client = *Client::connect("local:/tmp/pm-nobody-is-here.sock");
  const auto reply = client.call(echo, "");
  EXPECT_EQ(reply.status().code(), Code::unavailable);
  EXPECT_THAT(reply.status().message(), testing::HasSubstr("/tmp/pm-nobody-is-here.sock"));
}

TEST(local, a_failure_has_the_hosts_code_words_and_reason) {
  FakeHost host;
  host.set_script({.call = [](Peer& peer, const FrameHeader& header, auto&, auto&) {
    google::rpc::ErrorInfo info;
    info.set_reason("TIER_FULL");
    google::rpc::Status details;
    details.set_code(8);
    details.add_details()->PackFrom(info);
    peer.refuse(header.call, Code::resource_exhausted, "no room", details.SerializeAsString());
    return true;
  }});
  Client client = connect(host);
  const auto reply = client.call(echo, "");
  EXPECT_EQ(reply.status().code(), Code::resource_exhausted);
  EXPECT_EQ(reply.status().message(), "no room");
  EXPECT_EQ(reply.status().reason(), "TIER_FULL");
}

// Calls that wait for each other's company, and are answered last first.
class Shuffler {
 public:
  bool take(Peer& peer, const FrameHeader& header, const std::string& request) {
    waiting_.emplace_back(header.call, request);
    if (waiting_.size() < 8) return true;
    for (; !waiting_.empty(); waiting_.pop_back()) {
      peer.reply(waiting_.back().first, waiting_.back().second);
    }
    return true;
  }

 private:
  std::vector<std::pair<std::uint64_t, std::string>> waiting_;
};

TEST(local, eight_threads_share_a_connection_that_answers_in_any_order) {
  Shuffler shuffler;
  FakeHost host({.call = [&](Peer& peer, const FrameHeader& header, auto&, auto& request) {
    return shuffler.take(peer, header, request);
  }});
  Client client = connect(host);
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 8; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < 500; ++i) {
        const std::string request = std::to_string(thread * 1000 + i);
        const auto reply = client.call(echo, request);
        if (!reply || *reply != request) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(host.connections(), 1);
}

TEST(local, big_requests_and_big_replies_do_not_wait_for_each_other) {
  // The fake reads nothing while it writes, as a host that waits for its client to read.
  FakeHost host;
  Client client = connect(host, {.deadline_ms = 60'000});
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      const std::string request(3'000'000, static_cast<char>('a' + thread));
      for (int i = 0; i < 5; ++i) {
        const auto reply = client.call(echo, request);
        if (!reply || *reply != request) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(local, a_call_without_an_answer_costs_the_deadline_and_is_cancelled) {
  std::atomic<std::uint64_t> waiting{0};
  std::atomic<std::uint64_t> told_ns{0};
  FakeHost host({.call = [&](Peer& peer, const FrameHeader& header, auto&, auto&) {
    if (waiting != 0) peer.reply(waiting, "late");
    const bool is_first = waiting == 0;
    waiting = header.call;
    told_ns = is_first ? header.value : told_ns.load();
    return is_first;
  }});
  Client client = connect(host, {.deadline_ms = 100});
  const auto reply = client.call(echo, "first");
  EXPECT_EQ(reply.status().code(), Code::deadline_exceeded);
  EXPECT_GT(told_ns, 0U);
  EXPECT_LE(told_ns, 100'000'000U);
  // The answer that comes later is nobody's.
  EXPECT_EQ(*client.call(echo, "second"), "second");
  EXPECT_EQ(host.frames(FrameKind::cancel), 1);
  EXPECT_EQ(host.connections(), 1);
}

TEST(local, a_host_that_reads_nothing_costs_the_deadline_and_no_more) {
  std::atomic<bool> stop{false};
  FakeHost host({.connect = [&](Peer& peer) {
    peer.say_hello();
    while (!stop) ::usleep(1000);
  }});
  Client client = connect(host, {.deadline_ms = 300, .direct = false});
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::thread> threads;
  std::atomic<int> failed{0};
  for (int thread = 0; thread < 3; ++thread) {
    threads.emplace_back([&] {
      const Code code = client.call(echo, std::string(10'000'000, 'x')).status().code();
      if (code == Code::deadline_exceeded || code == Code::unavailable) ++failed;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failed, 3);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2));
  stop = true;
}

TEST(local, deadlines_of_waiting_threads_do_not_depend_on_who_reads) {
  FakeHost host({.call = [](auto&, auto&, auto&, auto&) { return true; }});
  Client patient = connect(host, {.deadline_ms = 300});
  std::vector<std::thread> threads;
  std::atomic<int> late{0};
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&] {
      if (patient.call(echo, "").status().code() == Code::deadline_exceeded) ++late;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(late, 4);
}

TEST(local, a_connection_that_ended_while_idle_is_made_anew_by_the_next_call) {
  FakeHost host;
  Client client = connect(host);
  ASSERT_TRUE(client.call(echo, "x").ok());
  host.hang_up();
  const auto reply = client.call(echo, "y");
  EXPECT_TRUE(reply.ok()) << reply.status().to_string();
  EXPECT_EQ(host.connections(), 2);
}

TEST(local, calls_under_way_when_the_connection_breaks_are_unavailable) {
  constexpr int count = 4;
  std::atomic<int> seen{0};
  FakeHost host({.call = [&seen](Peer& peer, auto&, auto&, auto&) {
    if (++seen == count) peer.hang_up();
    return true;
  }});
  Client client = connect(host);
  std::vector<std::thread> threads;
  std::atomic<int> unavailable{0};
  for (int n = 0; n < count; ++n) {
    threads.emplace_back([&] {
      if (client.call(echo, "x").status().code() == Code::unavailable) ++unavailable;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(unavailable, count);
  host.set_script({});
  EXPECT_TRUE(client.call(echo, "x").ok());
}

TEST(local, a_stream_gives_each_reply_in_order_and_no_more_than_there_is_credit_for) {
  std::atomic<int> sent{0};
  const auto send = [&sent](Peer& peer, const FrameHeader& header) {
    for (std::uint32_t i = 0; i < header.number && sent < 100; ++i) {
      FrameHeader reply{};
      reply.kind = FrameKind::reply;
      reply.call = header.call;
      peer.send(reply, std::to_string(sent++));
    }
    if (sent == 100) peer.reply(header.call, "");
  };
  FakeHost host({.call = [&](Peer& peer, const FrameHeader& header, auto&,
                             auto&) { return send(peer, header), true; },
                 .other =
                     [&](Peer& peer, const FrameHeader& header, auto&) {
                       if (header.kind != FrameKind::credit || sent == 100) return false;
                       return send(peer, header), true;
                     }});
  Client client = connect(host);
  int next = 0;
  const Status status = client.stream("/test.Service/Watch", "", [&](const std::string& reply) {
    return reply == std::to_string(next++);
  });
  EXPECT_TRUE(status.ok()) << status.to_string();
  EXPECT_EQ(next, 100);
}

TEST(local, a_stream_that_the_visitor_ends_is_cancelled) {
  FakeHost host({.call = [](Peer& peer, const FrameHeader& header, auto& method, auto&) {
    if (method == echo) return false;
    for (int i = 0; i < 3; ++i) {
      FrameHeader reply{};
      reply.kind = FrameKind::reply;
      reply.call = header.call;
      peer.send(reply, "x");
    }
    return true;
  }});
  Client client = connect(host);
  EXPECT_TRUE(client.stream("/test.Service/Watch", "", [](auto&) { return false; }).ok());
  const auto thrown =
      client.stream("/test.Service/Watch", "", [](auto&) -> bool { throw std::bad_alloc(); });
  EXPECT_EQ(thrown.code(), Code::resource_exhausted);
  EXPECT_TRUE(client.call(echo, "").ok());
  EXPECT_EQ(host.frames(FrameKind::cancel), 2);
}

TEST(local, a_lease_without_a_name_is_mapped_by_a_descriptor_from_the_host) {
  FakeHost host;
  host.add(id_of(1), "the bytes");
  host.add(id_of(2), "others", "/pm-fake-not-in-dev-shm");
  Client client = connect(host);
  const auto first = client.open(id_of(1));
  ASSERT_TRUE(first.ok()) << first.status().to_string();
  EXPECT_EQ(text_of(first->bytes()), "the bytes");
  EXPECT_FALSE(first->is_direct());
  const auto second = client.open(id_of(2));
  ASSERT_TRUE(second.ok()) << second.status().to_string();
  EXPECT_EQ(text_of(second->bytes()), "others");
  EXPECT_EQ(host.frames(FrameKind::open), 2);
}

TEST(local, what_is_allocated_without_a_name_is_written_through_a_descriptor) {
  FakeHost host;
  Client client = connect(host);
  auto payload = client.create(5);
  ASSERT_TRUE(payload.ok()) << payload.status().to_string();
  std::memcpy(payload->bytes().data(), "12345", 5);
  const auto id = payload->id().bytes;
  EXPECT_EQ(std::memcmp(host.allocated({id.begin(), id.end()})->base(), "12345", 5), 0);
}

TEST(local, where_the_host_gives_no_descriptor_the_refusal_says_so) {
  FakeHost host({.other = [](Peer& peer, const FrameHeader& header, auto&) {
    if (header.kind != FrameKind::open) return false;
    peer.refuse(header.call, Code::unimplemented, "this tier has none", {}, FrameKind::handle);
    return true;
  }});
  host.add(id_of(1), "x", "/pm-fake-not-in-dev-shm");
  Client client = connect(host);
  const auto lease = client.open(id_of(1));
  EXPECT_EQ(lease.status().reason(), "NOT_REACHABLE");
  EXPECT_THAT(lease.status().message(), testing::HasSubstr("this tier has none"));
}

TEST(local, a_descriptor_of_too_few_bytes_is_data_loss) {
  FakeHost host;
  host.add(id_of(1), std::string(10'000, 'x'));
  test::FakeMemory small(4096);
  host.set_script({.other = [&](Peer& peer, const FrameHeader& header, auto&) {
    if (header.kind != FrameKind::open) return false;
    FrameHeader handle{};
    handle.kind = FrameKind::handle;
    handle.call = header.call;
    peer.send(handle, {}, {small.descriptor()});
    return true;
  }});
  Client client = connect(host);
  EXPECT_EQ(client.open(id_of(1)).status().code(), Code::data_loss);
}

TEST(local, a_release_waits_for_no_answer) {
  FakeHost host;
  host.add(id_of(1), "x");
  Client client = connect(host);
  auto lease = client.open(id_of(1));
  ASSERT_TRUE(lease.ok()) << lease.status().to_string();
  std::atomic<unsigned> flags{0};
  host.set_script({.call = [&](Peer&, const FrameHeader& header, auto& method, auto&) {
    if (method.ends_with("ReleaseLease")) flags = header.flags;
    return false;
  }});
  EXPECT_TRUE(lease->release().ok());
  EXPECT_TRUE(client.call(echo, "").ok());
  EXPECT_EQ(flags, unsigned{local::frame_no_reply});
  EXPECT_EQ(host.leases(), 0U);
}

TEST(local, a_lease_of_a_session_that_ended_is_released_without_a_word) {
  FakeHost host;
  host.add(id_of(1), "x");
  Client client = connect(host);
  auto lease = client.open(id_of(1));
  host.hang_up();
  ASSERT_TRUE(client.call(echo, "").ok());
  EXPECT_TRUE(lease->release().ok());
  EXPECT_EQ(host.calls("ReleaseLease"), 0);
}

TEST(local, a_client_that_is_closed_leaves_no_connection_and_no_descriptor) {
  FakeHost host;
  host.add(id_of(1), "x");
  const std::size_t before = open_descriptors();
  {
    Client client = connect(host);
    const auto lease = client.open(id_of(1));
    ASSERT_TRUE(lease.ok());
    Client(std::move(client));
    EXPECT_TRUE(host.comes_to(1));  // The lease keeps it.
  }
  EXPECT_TRUE(host.comes_to(0));
  EXPECT_EQ(open_descriptors(), before + 1);  // The fake keeps its end until it is gone.
}

TEST(local, a_forked_child_does_not_keep_the_connection) {
  FakeHost host;
  std::optional<Client> client = connect(host);
  ASSERT_TRUE(client->call(echo, "").ok());
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const bool is_refused = client->call(echo, "").status().reason() == "FORKED";
    char byte = 0;
    ::close(ends[1]);
    static_cast<void>(::read(ends[0], &byte, 1));  // Until the parent has looked.
    ::_exit(is_refused ? 0 : 1);
  }
  client.reset();
  EXPECT_TRUE(host.comes_to(0));
  ::close(ends[0]);
  ::close(ends[1]);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

}  // namespace
}  // namespace pm::client
