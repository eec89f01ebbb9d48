// Leases without a call, against a fake host's directory.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <barrier>
#include <cstring>
#include <fstream>
#include <optional>
#include <thread>

#include "fake_host.h"
#include "pm/client/client.h"

namespace pm::client {
namespace {

using local::FrameHeader;
using local::FrameKind;
using test::FakeDirectory;
using test::FakeHost;
using test::id_of;

constexpr std::uint64_t size = 4096;

// Payload n lies in block n, which is full of its number; calls lease it, too.
class direct : public testing::Test {
 protected:
  direct() {
    for (std::uint32_t n = 0; n < 64; ++n) {
      std::memset(directory_.slab().base() + n * size, static_cast<int>(n), size);
      directory_.put(n, id_of(n), n * size, size);
      host_.add(id_of(n), std::string(size, static_cast<char>(n)));
    }
    host_.show(&directory_);
  }

  Client connect(ConnectOptions options = {}) {
    Client client = *Client::connect(host_.address(), std::move(options));
    EXPECT_TRUE(client.call("/test.Service/Echo", "").ok());
    return client;
  }
  static bool is_filled(const ReadLease& lease, unsigned with) {
    for (const std::byte byte : lease.bytes()) {
      if (byte != static_cast<std::byte>(with)) return false;
    }
    return lease.bytes().size() == size;
  }

  FakeDirectory directory_{64, 16, 64 * size};
  FakeHost host_;
};

TEST_F(direct, what_is_listed_is_opened_without_a_call) {
  Client client = connect();
  for (std::uint32_t n = 0; n < 64; ++n) {
    const auto lease = client.open(id_of(n));
    ASSERT_TRUE(lease.ok()) << lease.status().to_string();
    EXPECT_TRUE(lease->is_direct());
    EXPECT_TRUE(is_filled(*lease, n)) << n;
  }
  EXPECT_EQ(host_.calls("AcquireReadLease"), 0);
  EXPECT_EQ(host_.frames(FrameKind::released), 0);
}

TEST_F(direct, a_lease_says_what_the_entry_says) {
  Client client = connect();
  auto held = client.open(id_of(5));
  ASSERT_TRUE(held.ok());
  EXPECT_TRUE(held->release().ok());
  // Also after its end, when the entry is another payload's.
  directory_.put(5, id_of(99), 0, 1);
  const Lease& lease = held->lease();
  EXPECT_EQ(lease.id, LeaseId{});
  EXPECT_EQ(lease.expires_at, std::nullopt);
  EXPECT_EQ(lease.descriptor.id, id_of(5));
  EXPECT_EQ(lease.descriptor.size_bytes, size);
  EXPECT_EQ(lease.descriptor.tier, Tier::ram);
  EXPECT_EQ(lease.descriptor.version, 7U);
  EXPECT_EQ(lease.descriptor.location.kind, LocationKind::memory);
  EXPECT_EQ(lease.descriptor.location.offset_bytes, 5 * size);
  EXPECT_EQ(lease.descriptor.location.length_bytes, size);
  EXPECT_EQ(lease.descriptor.location.mapping_bytes, 64 * size);
  EXPECT_EQ(lease.descriptor.location.slab, 3U);
  EXPECT_TRUE(held->bytes().empty());
}

TEST_F(direct, the_page_names_an_entry_as_long_as_it_is_held) {
  Client client = connect();
  std::optional<ReadLease> lease = *client.open(id_of(3));
  EXPECT_TRUE(directory_.is_held(3));
  ReadLease moved = std::move(*lease);
  lease.reset();
  EXPECT_TRUE(directory_.is_held(3));
  moved = *client.open(id_of(4));
  EXPECT_FALSE(directory_.is_held(3));
  EXPECT_TRUE(directory_.is_held(4));
  EXPECT_TRUE(moved.release().ok());
  EXPECT_TRUE(moved.release().ok());
  EXPECT_FALSE(directory_.is_held(4));
}

TEST_F(direct, reads_are_noted_in_the_page) {
  Client client = connect();
  ASSERT_TRUE(client.open(id_of(3)).ok());
  const local::SessionPage& page = directory_.page(0);
  EXPECT_EQ(std::count(std::begin(page.reads), std::end(page.reads), 4U), 1);
  EXPECT_EQ(page.has_reads, 1U);
}

TEST_F(direct, what_is_not_open_or_not_listed_is_leased_by_a_call) {
  Client client = connect();
  host_.add(id_of(1000), std::string(size, 'x'));
  ASSERT_TRUE(directory_.close(3));
  for (const std::uint64_t n : {3, 1000}) {
    const auto lease = client.open(id_of(n));
    ASSERT_TRUE(lease.ok()) << lease.status().to_string();
    EXPECT_FALSE(lease->is_direct());
    EXPECT_NE(lease->lease().id, LeaseId{});
  }
  EXPECT_FALSE(directory_.is_held(3));
  EXPECT_EQ(client.open(id_of(2000)).status().code(), Code::not_found);
}

TEST_F(direct, who_is_waited_for_says_when_it_lets_go) {
  Client client = connect();
  auto lease = client.open(id_of(3));
  EXPECT_FALSE(directory_.close(3, true));
  EXPECT_EQ(host_.frames(FrameKind::released), 0);
  ASSERT_TRUE(lease->release().ok());
  ASSERT_TRUE(client.call("/test.Service/Echo", "").ok());  // What was sent before has come.
  EXPECT_EQ(host_.frames(FrameKind::released), 1);
  EXPECT_TRUE(directory_.close(3));
}

TEST_F(direct, options_that_need_the_host_are_a_call) {
  Client client = connect();
  EXPECT_FALSE(client.open(id_of(1), {.min_tier = Tier::ram})->is_direct());
  EXPECT_FALSE(client.open(id_of(1), {.duration_ms = 1})->is_direct());
  EXPECT_FALSE(client.open(id_of(1), {.holder = "me"})->is_direct());
  EXPECT_FALSE(client.open(id_of(1), {.verify = true})->is_direct());
  EXPECT_EQ(host_.calls("AcquireReadLease"), 4);
}

TEST_F(direct, who_asks_for_calls_only_or_is_not_trusted_gets_them) {
  Client asks = connect({.direct = false});
  EXPECT_FALSE(asks.open(id_of(1))->is_direct());
  EXPECT_EQ(host_.frames(FrameKind::attach), 0);
  host_.show(nullptr);
  Client stranger = connect();
  EXPECT_FALSE(stranger.open(id_of(1))->is_direct());
  EXPECT_EQ(host_.frames(FrameKind::attach), 1);
}

TEST_F(direct, when_every_slot_is_taken_the_next_lease_is_a_call) {
  Client client = connect();
  std::vector<ReadLease> leases;
  for (std::uint32_t i = 0; i < local::slots_max; ++i) {
    leases.push_back(*client.open(id_of(i % 64)));
    ASSERT_TRUE(leases.back().is_direct()) << i;
  }
  EXPECT_FALSE(client.open(id_of(0))->is_direct());
  leases.pop_back();
  EXPECT_TRUE(client.open(id_of(0))->is_direct());
}

TEST_F(direct, any_thread_takes_any_slot) {
  Client client = connect();
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int thread = 0; thread < 20; ++thread) {
    threads.emplace_back([&, thread] {
      std::vector<ReadLease> leases;
      for (int i = 0; i < 40; ++i) {
        leases.push_back(*client.open(id_of((thread + i) % 64)));
        if (!is_filled(leases.back(), (thread + i) % 64)) ++wrong;
        if (!leases.back().is_direct()) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  for (std::uint32_t n = 0; n < 64; ++n) EXPECT_FALSE(directory_.is_held(n));
}

TEST_F(direct, threads_that_hold_little_leave_little_for_the_host_to_look_at) {
  Client client = connect();
  std::barrier all(20);
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 20; ++thread) {
    threads.emplace_back([&, thread] {
      const ReadLease lease = *client.open(id_of(thread));
      all.arrive_and_wait();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GE(directory_.page(0).used, 20U);
  EXPECT_LE(directory_.page(0).used, 32U);  // Two for each of the words that threads begin at.
}

TEST_F(direct, threads_may_ask_one_lease_at_a_time_what_it_says) {
  Client client = connect();
  std::vector<ReadLease> leases;
  for (std::uint32_t i = 0; i < 1000; ++i) leases.push_back(*client.open(id_of(i % 64)));
  std::array<std::atomic<std::size_t>, 2> arrived{};
  std::array<std::vector<const Descriptor*>, 2> seen;
  std::vector<std::thread> threads;
  for (std::size_t self = 0; self < 2; ++self) {
    threads.emplace_back([&, self] {
      for (std::size_t i = 0; i < leases.size(); ++i) {
        arrived[self] = i + 1;
        while (arrived[1 - self] <= i) {
        }
        seen[self].push_back(&leases[i].descriptor());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(seen[0], seen[1]) << "two were made, and one of them was lost under its reader";
  for (std::size_t i = 0; i < leases.size(); ++i) EXPECT_EQ(seen[0][i]->id, id_of(i % 64));
}

TEST_F(direct, a_lease_outlives_its_client) {
  std::optional<ReadLease> lease;
  {
    Client client = connect();
    lease = *client.open(id_of(9));
  }
  EXPECT_TRUE(is_filled(*lease, 9));
  EXPECT_TRUE(directory_.is_held(9));
  EXPECT_TRUE(host_.comes_to(1));
  lease.reset();
  EXPECT_FALSE(directory_.is_held(9));
  EXPECT_TRUE(host_.comes_to(0));
}

std::size_t mappings() {
  std::ifstream maps("/proc/self/maps");
  std::size_t count = 0;
  for (std::string line; std::getline(maps, line);) {
    count += line.find("pm-fake") != std::string::npos ? 1 : 0;
  }
  return count;
}

TEST_F(direct, after_a_new_connection_old_bytes_stay_until_they_are_let_go) {
  const std::size_t before = mappings();
  Client client = connect();
  std::optional<ReadLease> old = *client.open(id_of(7));
  EXPECT_EQ(mappings(), before + 1 + 3);  // The fake's page; directory, page and slab.
  host_.hang_up();
  // The host cannot say in memory that it has gone: it is looked for now and then.
  ::usleep(100'000);
  EXPECT_FALSE(client.open(id_of(7))->is_direct());
  const auto again = client.open(id_of(7));
  EXPECT_TRUE(again->is_direct());
  EXPECT_EQ(host_.connections(), 2);
  EXPECT_TRUE(is_filled(*old, 7));
  EXPECT_TRUE(old->release().ok());
  old.reset();
  EXPECT_EQ(mappings(), before + 2 + 3);  // The fake's pages; what the new connection maps.
  EXPECT_TRUE(directory_.is_held(7));
}

TEST_F(direct, a_session_that_the_host_has_ended_holds_nothing_new) {
  Client client = connect();
  directory_.page(0).ended = 1;
  EXPECT_FALSE(client.open(id_of(7))->is_direct());
  EXPECT_FALSE(directory_.is_held(7));
}

TEST_F(direct, a_slab_that_has_a_name_is_opened_by_it) {
  const std::string name = "/pm-fake-slab-" + std::to_string(::getpid());
  const int file = ::shm_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
  ASSERT_EQ(::ftruncate(file, 64 * size), 0);
  ASSERT_EQ(::pwrite(file, "named", 5, 0), 5);
  ::close(file);
  name.copy(directory_.header().slabs[0].name, sizeof(local::SlabPlace::name) - 1);
  Client client = connect();
  const auto lease = client.open(id_of(0));
  EXPECT_EQ(std::memcmp(lease->bytes().data(), "named", 5), 0);
  EXPECT_EQ(lease->descriptor().location.name, name);
  EXPECT_EQ(host_.frames(FrameKind::open), 0);
  ::shm_unlink(name.c_str());
}

TEST_F(direct, a_forked_child_reads_on_and_ends_nothing) {
  Client client = connect();
  std::optional<ReadLease> lease = *client.open(id_of(2));
  const pid_t child = ::fork();
  if (child == 0) {
    const bool is_read = is_filled(*lease, 2);
    const bool is_refused = lease->release().reason() == "FORKED" &&
                            client.open(id_of(3)).status().reason() == "FORKED";
    lease.reset();
    ::_exit(is_read && is_refused ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  EXPECT_TRUE(directory_.is_held(2));
  EXPECT_TRUE(is_filled(*lease, 2));
}

}  // namespace
}  // namespace pm::client
