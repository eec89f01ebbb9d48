#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <functional>
#include <optional>
#include <stdexcept>
#include <thread>
#include <vector>

#include "content.h"
#include "host_process.h"
#include "leftovers.h"

// Clients that fork, duplicate what they have, and pass it on: a lease's bytes stay as long as the
// lease, whoever looks at them, and a child cannot end what is its parent's.

namespace pm::clients {
namespace {

using namespace integration;

constexpr std::uint64_t size_bytes = 300'000;

// Where the bytes lie.
struct Room {
  const char* name;
  client::Tier tier;
  client::Layout layout;
};
constexpr Room rooms[] = {{"slab", client::Tier::ram, client::Layout::slab},
                          {"segment", client::Tier::ram, client::Layout::segment},
                          {"disk", client::Tier::disk, client::Layout::segment}};

// Runs `body` in a forked child, which does what a child may do; true when that returns true.
class Child {
 public:
  explicit Child(const std::function<bool()>& body) : pid_(::fork()) {
    if (pid_ != 0) return;
    // A child that hangs is a failure, too.
    ::alarm(20);
    ::_exit(body() ? 0 : 1);
  }
  ~Child() {
    if (pid_ > 0) ::kill(pid_, SIGKILL);
    static_cast<void>(succeeds());
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  bool succeeds() {
    int status = 0;
    if (pid_ <= 0 || ::waitpid(pid_, &status, 0) != pid_) return false;
    pid_ = 0;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }

 private:
  pid_t pid_;
};

// Two ends, one for each process.
class Pair {
 public:
  Pair() {
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends_) != 0) std::abort();
  }
  ~Pair() {
    ::close(ends_[0]);
    ::close(ends_[1]);
  }
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;

  int end(int which) const { return ends_[which]; }
  void tell(int end) const { static_cast<void>(::write(ends_[end], "x", 1) == 1); }
  void wait(int end) const {
    char byte = 0;
    static_cast<void>(::read(ends_[end], &byte, 1) == 1);
  }

  // SCM_RIGHTS, see unix(7).
  bool send_descriptor(int end, int descriptor) const {
    char byte = 'x';
    iovec part{&byte, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof descriptor)] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof descriptor);
    std::memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
    return ::sendmsg(ends_[end], &message, 0) == 1;
  }
  int receive_descriptor(int end) const {
    char byte = 0;
    iovec part{&byte, 1};
    int descriptor = -1;
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof descriptor)] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    if (::recvmsg(ends_[end], &message, 0) != 1) return -1;
    const cmsghdr* header = CMSG_FIRSTHDR(&message);
    if (header != nullptr) std::memcpy(&descriptor, CMSG_DATA(header), sizeof descriptor);
    return descriptor;
  }

 private:
  int ends_[2] = {-1, -1};
};

int open_bytes(const client::Location& location, int flags) {
  if (location.kind == client::LocationKind::memory) {
    return ::shm_open(location.name.c_str(), flags, 0);
  }
  return ::open(location.name.c_str(), flags | O_CLOEXEC);
}

// By the descriptor alone.
bool reads(int descriptor, const client::Location& location, const Digest& digest) {
  const auto offset = static_cast<std::size_t>(location.offset_bytes);
  void* base = ::mmap(nullptr, offset + size_bytes, PROT_READ, MAP_SHARED, descriptor, 0);
  if (base == MAP_FAILED) return false;
  const bool same = sha256({static_cast<const std::byte*>(base) + offset, size_bytes}) == digest;
  ::munmap(base, offset + size_bytes);
  return same;
}

class Forks : public testing::TestWithParam<Room> {
 protected:
  Forks() : host_(host_options()) {}

  static HostOptions host_options() {
    HostOptions options;
    options.slab_bytes = 8 << 20;
    options.shm_capacity_bytes = 16 << 20;
    options.orphan_grace_ms = 100;
    return options;
  }

  void SetUp() override {
    ASSERT_TRUE(host_.start_ready()) << host_.log();
    client_ = host_.client();
    const auto stored = put(*client_, size_bytes, 5, options());
    ASSERT_TRUE(stored.ok()) << stored.status().to_string();
    stored_ = *stored;
  }
  void TearDown() override {
    static_cast<void>(client_->erase(stored_.descriptor.id, true));
    EXPECT_EQ(leftovers(host_, *client_), "");
  }

  static client::CreateOptions options() {
    client::CreateOptions options;
    options.tier = GetParam().tier;
    options.layout = GetParam().layout;
    return options;
  }
  client::ReadLease take_lease(std::uint64_t duration_ms = 20'000) {
    auto lease = client_->open(stored_.descriptor.id, {.duration_ms = duration_ms});
    if (!lease.ok()) throw std::runtime_error(lease.status().to_string());
    return *std::move(lease);
  }
  // What would be there if its room were given to somebody else.
  void delete_and_replace() {
    ASSERT_TRUE(client_->erase(stored_.descriptor.id, true).ok());
    const auto other = put(*client_, size_bytes, 6, options());
    ASSERT_TRUE(other.ok()) << other.status().to_string();
    EXPECT_TRUE(client_->erase(other->descriptor.id).ok());
  }
  std::uint64_t leases() { return client_->stats()->leases_active; }

  HostProcess host_;
  std::optional<client::Client> client_;
  Stored stored_;
};

TEST_P(Forks, a_child_reads_what_its_parent_leased_also_when_it_is_deleted) {
  const auto lease = take_lease();
  const Pair pair;
  Child child([&] {
    pair.wait(1);
    return sha256(lease.bytes()) == stored_.digest;
  });
  delete_and_replace();
  pair.tell(0);
  EXPECT_TRUE(child.succeeds());
  EXPECT_EQ(sha256(lease.bytes()), stored_.digest);
  EXPECT_EQ(leases(), 1u) << "the child's end is not the lease's";
}

TEST_P(Forks, a_child_that_drops_a_lease_or_calls_the_client_changes_nothing) {
  std::optional<client::ReadLease> lease = take_lease();
  auto written = client_->create(size_bytes, options());
  ASSERT_TRUE(written.ok());
  std::optional<client::WritablePayload> payload = *std::move(written);
  const client::PayloadId id = payload->id();
  Child child([&] {
    const bool refused =
        client_->resolve(id).status().reason() == "FORKED" &&
        client_->stats().status().reason() == "FORKED" &&
        client_->create(10, options()).status().reason() == "FORKED" &&
        client_->call("/x", "").status().reason() == "FORKED" &&
        client_->stream("/x", "", [](const auto&) { return true; }).reason() == "FORKED" &&
        payload->commit().status().reason() == "FORKED" && lease->release().reason() == "FORKED";
    lease.reset();
    payload.reset();
    client_.reset();
    return refused;
  });
  EXPECT_TRUE(child.succeeds());
  EXPECT_EQ(leases(), 1u);
  EXPECT_TRUE(lease->release().ok());
  fill(payload->bytes(), 7);
  EXPECT_TRUE(payload->commit().ok());
  EXPECT_TRUE(client_->erase(id).ok());
}

TEST_P(Forks, a_child_writes_half_of_what_its_parent_commits) {
  auto payload = client_->create(size_bytes, options());
  ASSERT_TRUE(payload.ok());
  std::vector<std::byte> wanted(size_bytes);
  fill(wanted, 8);
  const std::size_t half = size_bytes / 2;
  Child child([&] {
    std::memcpy(payload->bytes().data() + half, wanted.data() + half, size_bytes - half);
    return true;
  });
  std::memcpy(payload->bytes().data(), wanted.data(), half);
  ASSERT_TRUE(child.succeeds());
  ASSERT_TRUE(payload->commit().ok());
  EXPECT_EQ(*digest_of(*client_, payload->id()), sha256(wanted));
  EXPECT_TRUE(client_->erase(payload->id()).ok());
}

TEST_P(Forks, a_descriptor_that_is_passed_on_reads_the_bytes_while_the_lease_runs) {
  const auto lease = take_lease();
  const client::Location location = lease.descriptor().location;
  const Pair pair;
  Child child([&] {
    const int descriptor = pair.receive_descriptor(1);
    return reads(descriptor, location, stored_.digest);
  });
  const int descriptor = open_bytes(location, O_RDONLY);
  ASSERT_GE(descriptor, 0);
  delete_and_replace();
  EXPECT_TRUE(pair.send_descriptor(0, descriptor));
  ::close(descriptor);
  EXPECT_TRUE(child.succeeds());
}

TEST_P(Forks, duplicates_keep_no_room_behind_the_end_of_the_lease) {
  auto lease = take_lease();
  const client::Location location = lease.descriptor().location;
  const int descriptor = open_bytes(location, O_RDONLY);
  const int duplicate = ::dup(descriptor);
  ASSERT_GE(duplicate, 0);
  ::close(descriptor);
  delete_and_replace();
  EXPECT_TRUE(reads(duplicate, location, stored_.digest));
  EXPECT_TRUE(lease.release().ok());
  EXPECT_EQ(leftovers(host_, *client_), "");
  // What has a name of its own is nobody else's, also without that name; a block may be.
  if (GetParam().layout != client::Layout::slab) {
    EXPECT_TRUE(reads(duplicate, location, stored_.digest));
  }
  ::close(duplicate);
}

TEST_P(Forks, a_lease_ends_by_its_time_when_only_a_child_is_left_that_reads) {
  const Pair pair;
  constexpr std::uint64_t lease_ms = 1'500;
  client::LeaseOptions wanted{.duration_ms = lease_ms};
  const auto lease = client_->lease(stored_.descriptor.id, wanted);
  ASSERT_TRUE(lease.ok());
  const int descriptor = open_bytes(lease->descriptor.location, O_RDONLY);
  ASSERT_GE(descriptor, 0);
  // The one that has it from this process dies, and its child has it still.
  Child child([&]() -> bool {
    if (::fork() != 0) ::raise(SIGKILL);
    ::alarm(20);
    const bool good = reads(descriptor, lease->descriptor.location, stored_.digest);
    if (good) pair.tell(1);
    ::_exit(0);
  });
  EXPECT_FALSE(child.succeeds());
  delete_and_replace();
  pollfd waits{pair.end(0), POLLIN, 0};
  EXPECT_EQ(::poll(&waits, 1, 10'000), 1) << "the grandchild reads other bytes";
  EXPECT_EQ(leases(), 1u);
  EXPECT_TRUE(
      eventually([&] { return leases() == 0; }, std::chrono::milliseconds(lease_ms + 1'000)));
  ::close(descriptor);
}

INSTANTIATE_TEST_SUITE_P(rooms, Forks, testing::ValuesIn(rooms),
                         [](const auto& info) { return std::string(info.param.name); });

// The fork happens while other threads are in the middle of calls, and hold whatever locks.
TEST(forks, of_a_busy_client_leave_the_child_free) {
  HostProcess host;
  ASSERT_TRUE(host.start_ready()) << host.log();
  client::Client client = host.client();
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (std::uint64_t n = 0; n < 3; ++n) {
    threads.emplace_back([&, n] {
      client::CreateOptions options;
      options.ahead = true;
      while (!stop) {
        const auto stored = put(client, 1'000 + n, n, options);
        if (stored.ok()) static_cast<void>(client.erase(stored->descriptor.id));
      }
    });
  }
  for (int n = 0; n < 20; ++n) {
    Child child([&] {
      client::CreateOptions options;
      options.ahead = true;
      return client.create(1'000, options).status().reason() == "FORKED";
    });
    EXPECT_TRUE(child.succeeds());
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace pm::clients
