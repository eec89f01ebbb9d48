#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "local_scene.h"

// Leases, allocations and descriptors of clients on the same machine.

namespace pm::local::test {
namespace {

using std::chrono::milliseconds;

class Local : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(host_.start_ready()) << host_.log(); }

  // Opened so often until it is without a call: what was committed a moment ago is published soon.
  client::ReadLease open_direct(client::Client& client, const client::PayloadId& id) {
    std::optional<client::ReadLease> lease;
    until([&] {
      auto opened = client.open(id);
      if (!opened || !opened->is_direct()) return false;
      lease.emplace(*std::move(opened));
      return true;
    });
    if (!lease) throw std::runtime_error("there is no lease without a call");
    return *std::move(lease);
  }

  // Starts the host again, for users other than its own too.
  void start_for_others(const std::string& local_keys = {}) {
    host_.terminate();
    host_.options().local_keys = local_keys;
    host_.write_config();
    ASSERT_TRUE(host_.start_ready()) << host_.log();
    ASSERT_EQ(::chmod(host_.local_socket().c_str(), 0666), 0);
    ASSERT_EQ(::chmod(host_.directory().c_str(), 0755), 0);
    ASSERT_EQ(::chmod(host_.local_socket().parent_path().c_str(), 0755), 0);
  }

  integration::HostProcess host_{local_options()};
};

TEST_F(Local, what_is_in_a_slab_is_leased_without_a_call) {
  client::Client client = connect(host_);
  const client::PayloadId id = put(client, 7, 100'000);
  client::ReadLease lease = open_direct(client, id);
  EXPECT_TRUE(has(lease.bytes(), 7));
  EXPECT_EQ(lease.bytes().size(), 100'000u);
  EXPECT_EQ(lease.descriptor().id, id);
  EXPECT_EQ(lease.descriptor().size_bytes, 100'000u);
  // Where it is, is said as by a call: the one names the slab as the other does.
  const client::Location place = client.resolve(id)->location;
  EXPECT_EQ(lease.descriptor().location.slab, place.slab);
  EXPECT_EQ(lease.descriptor().location.name, place.name);
  EXPECT_EQ(lease.descriptor().location.offset_bytes, place.offset_bytes);
  EXPECT_EQ(lease.descriptor().location.mapping_bytes, place.mapping_bytes);
  EXPECT_NE(place.slab, 0u);  // Of an object of its own it is 0.
  // Another client, by gRPC, is told the same as of any lease. HOLD-1
  client::Client other = host_.client();
  const Status refused = other.erase(id);
  EXPECT_EQ(refused.code(), Code::aborted) << refused.to_string();
  EXPECT_EQ(refused.reason(), "PAYLOAD_LEASED");
  EXPECT_TRUE(lease.release().ok());
  EXPECT_TRUE(other.erase(id).ok());
  EXPECT_EQ(client.open(id).status().code(), Code::not_found);
}

TEST_F(Local, what_is_deleted_by_force_stays_readable_and_its_block_unused) {
  client::Client client = connect(host_);
  const client::PayloadId id = put(client, 7, 1 << 20);
  client::ReadLease lease = open_direct(client, id);
  EXPECT_TRUE(client.erase(id, true).ok());
  // All of the slab is filled with others.
  std::vector<client::PayloadId> others;
  for (int n = 0; n < 60; ++n) others.push_back(put(client, 1'000, 1 << 20));
  EXPECT_TRUE(has(lease.bytes(), 7));
  EXPECT_EQ(client.open(id).status().code(), Code::not_found);
  EXPECT_TRUE(lease.release().ok());
}

TEST_F(Local, a_client_that_dies_gives_back_everything_at_once) {
  client::Client watcher = host_.client();
  client::Client owner = connect(host_);
  const client::PayloadId id = put(owner, 7, 100'000);
  EXPECT_TRUE(open_direct(owner, id).release().ok());
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = in_child([&] {
    client::Client mine = connect(host_);
    client::Client by_calls = connect(host_, false);
    client::ReadLease direct = open_direct(mine, id);
    auto called = by_calls.open(id);
    auto written = by_calls.create(50'000);
    if (!called || !written) return 1;
    if (::write(ready[1], "x", 1) != 1) return 2;
    ::pause();
    return 0;
  });
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  EXPECT_EQ(watcher.stats()->leases_active, 1u);
  EXPECT_EQ(watcher.erase(id).code(), Code::aborted);
  ::kill(child, SIGKILL);
  EXPECT_EQ(wait_for(child), -SIGKILL);
  // SESSION-1, HOLD-2
  EXPECT_LT(until([&] { return watcher.stats()->leases_active == 0; }), milliseconds(1'000));
  EXPECT_LT(until([&] { return watcher.erase(id).ok(); }), milliseconds(1'000));
  EXPECT_LT(until([&] { return host_.segments().empty(); }), milliseconds(1'000));
}

// A writer may go on behind the end of its connection: its block is nobody else's for a while.
TEST_F(Local, the_block_of_a_writer_that_lives_is_kept_for_a_while) {
  client::Client watcher = host_.client();
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = in_child([&] {
    client::Client mine = connect(host_, false);
    client::CreateOptions options;
    options.layout = client::Layout::slab;
    auto written = mine.create(100'000, options);
    if (!written) return 1;
    for (int fd = 3; fd < 64; ++fd) ::shutdown(fd, SHUT_RDWR);
    if (::write(ready[1], "x", 1) != 1) return 2;
    ::pause();
    return 0;
  });
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  const auto begin = std::chrono::steady_clock::now();
  const auto charged = [&] { return watcher.stats()->tiers[0].bytes_charged; };
  until([&] { return charged() == 0; });
  const auto kept = std::chrono::steady_clock::now() - begin;
  EXPECT_GE(kept, milliseconds(host_.options().orphan_grace_ms));
  EXPECT_LT(kept, milliseconds(host_.options().orphan_grace_ms + 5'000));
  ::kill(child, SIGKILL);
  wait_for(child);
}

TEST_F(Local, a_client_without_trust_reads_its_own_and_writes_nothing_else) {
  const client::PayloadId in_slab = [&] {
    client::Client client = connect(host_);
    return put(client, 7, 100'000);
  }();
  start_for_others();
  const pid_t child = in_child([&] {
    if (::setgid(65534) != 0 || ::setuid(65534) != 0) return 77;
    client::Client mine = connect(host_);
    // What it writes is an object of its own, although it asks for a slab.
    client::CreateOptions options;
    options.layout = client::Layout::slab;
    auto made = mine.create(100'000, options);
    if (!made) return std::fprintf(stderr, "%s\n", made.status().to_string().c_str()), 1;
    fill(made->bytes(), 9);
    const auto id = made->commit();
    if (!id) return 2;
    auto lease = mine.open(id->id);
    if (!lease || lease->is_direct() || !has(lease->bytes(), 9)) return 3;
    // Its bytes cannot be made writable. SESSION-2
    auto* bytes = const_cast<std::byte*>(lease->bytes().data());
    auto page = reinterpret_cast<std::uintptr_t>(bytes) & ~std::uintptr_t{4095};
    if (::mprotect(reinterpret_cast<void*>(page), 4096, PROT_READ | PROT_WRITE) == 0) return 4;
    // What lies in a slab is not for it.
    const auto refused = mine.open(in_slab);
    if (refused.ok()) return 5;
    if (refused.status().message().find("trusted") == std::string::npos &&
        refused.status().code() != Code::permission_denied) {
      return std::fprintf(stderr, "%s\n", refused.status().to_string().c_str()), 6;
    }
    return 0;
  });
  const int status = wait_for(child);
  if (status == 77) GTEST_SKIP() << "needs root to become another user";
  EXPECT_EQ(status, 0);
}

TEST_F(Local, a_trusted_user_who_cannot_open_the_slab_by_its_name_is_given_it) {
  start_for_others("trusted_uids = [" + std::to_string(::getuid()) + ", 65534]\n");
  client::Client client = connect(host_);
  const client::PayloadId id = put(client, 7, 100'000);
  const std::string name = open_direct(client, id).descriptor().location.name;
  const pid_t child = in_child([&] {
    if (::setgid(65534) != 0 || ::setuid(65534) != 0) return 77;
    if (::shm_open(name.c_str(), O_RDONLY, 0) >= 0 || errno != EACCES) return 1;
    client::Client mine = connect(host_);
    const client::ReadLease lease = open_direct(mine, id);
    if (!has(lease.bytes(), 7) || lease.descriptor().location.name != name) return 2;
    // A put needs it for writing.
    return has(open_direct(mine, put(mine, 9, 100'000)).bytes(), 9) ? 0 : 3;
  });
  const int status = wait_for(child);
  if (status == 77) GTEST_SKIP() << "needs root to become another user";
  EXPECT_EQ(status, 0);
}

TEST_F(Local, leases_without_a_call_count_as_uses_for_evictions) {
  client::Client client = connect(host_);
  const client::PayloadId first = put(client, 1, 8 << 20);
  std::vector<client::PayloadId> others;
  for (std::uint64_t n = 2; n <= 7; ++n) others.push_back(put(client, n, 8 << 20));
  for (int n = 0; n < 20; ++n) {
    EXPECT_TRUE(open_direct(client, first).release().ok());
    ::usleep(5'000);
  }
  for (std::uint64_t n = 8; n <= 12; ++n) others.push_back(put(client, n, 8 << 20));
  EXPECT_EQ(client.resolve(first)->tier, client::Tier::ram);
  EXPECT_EQ(client.resolve(others[0])->tier, client::Tier::disk);
}

TEST_F(Local, a_new_life_of_the_host_is_found_again) {
  client::Client client = connect(host_);
  const client::PayloadId id = put(client, 7, 100'000);
  client::ReadLease before = open_direct(client, id);
  host_.kill();
  EXPECT_TRUE(has(before.bytes(), 7));
  ASSERT_TRUE(host_.start_ready());
  until([&] { return client.open(id).ok(); });
  client::ReadLease after = open_direct(client, id);
  EXPECT_TRUE(has(after.bytes(), 7));
  EXPECT_TRUE(before.release().ok());
}

}  // namespace
}  // namespace pm::local::test
