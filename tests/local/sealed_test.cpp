#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "local_scene.h"

// The sealed layout over the real host: producers that nobody need trust.

namespace pm::local::test {
namespace {

constexpr std::uint64_t size_bytes = 100'000;
constexpr uid_t nobody = 65534;
const client::CreateOptions sealed{.layout = client::Layout::sealed};

class Sealed : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(host_.start_ready()) << host_.log(); }

  // Other users reach the socket.
  void let_all_in() {
    for (const auto& folder : {host_.directory(), host_.local_socket().parent_path()}) {
      ASSERT_EQ(::chmod(folder.c_str(), 0755), 0);
    }
    ASSERT_EQ(::chmod(host_.local_socket().c_str(), 0666), 0);
  }

  static client::PayloadId put_sealed(client::Client& client, std::uint64_t number) {
    auto made = client.create(size_bytes, sealed);
    if (!made) throw std::runtime_error("create: " + made.status().to_string());
    fill(made->bytes(), number);
    const auto committed = made->commit();
    if (!committed) throw std::runtime_error("commit: " + committed.status().to_string());
    return committed->id;
  }

  integration::HostProcess host_{local_options()};
};

bool is_nobody() { return ::setgid(nobody) == 0 && ::setuid(nobody) == 0; }

// One more mapping of what is mapped shared at `bytes` (mremap(2), an old length of 0).
void* map_again(std::span<std::byte> bytes) {
  return ::mremap(bytes.data(), 0, bytes.size(), MREMAP_MAYMOVE);
}

// A descriptor of what is mapped there, as if its owner had kept it. Only root gets it so.
int descriptor_of(std::span<const std::byte> bytes, int flags) {
  const auto address = reinterpret_cast<std::uintptr_t>(bytes.data());
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/map_files")) {
    const std::string name = entry.path().filename();
    if (std::stoull(name, nullptr, 16) == address) return ::open(entry.path().c_str(), flags);
  }
  return -1;
}

// "FAILED_PRECONDITION WRITER_NOT_DONE"
std::string answer(const Status& status) {
  return std::string(code_name(status.code())) + " " + status.reason();
}

int tell(int step, const Status& status) {
  std::fprintf(stderr, "step %d: %s\n", step, status.to_string().c_str());
  return step;
}

// SEAL-1
TEST_F(Sealed, a_producer_that_still_maps_it_cannot_commit_until_it_unmaps) {
  let_all_in();
  const pid_t child = in_child([&] {
    if (!is_nobody()) return 77;
    client::Client producer = connect(host_);
    auto made = producer.create(size_bytes, sealed);
    if (!made) return tell(1, made.status());
    if (!made->descriptor().location.name.empty()) return 2;
    fill(made->bytes(), 9);
    void* kept = map_again(made->bytes());
    if (kept == MAP_FAILED) return 3;
    for (int attempt = 0; attempt < 2; ++attempt) {
      const auto refused = made->commit();
      if (answer(refused.status()) != "FAILED_PRECONDITION WRITER_NOT_DONE" ||
          refused.status().message().find("unmap it") == std::string::npos) {
        return tell(4, refused.status());
      }
    }
    // With a checksum as well, which is another way through the host.
    client::Checksum computed;
    computed.algorithm = client::ChecksumAlgorithm::xxh3_128;
    const auto checked = producer.commit(made->descriptor().id, {}, computed);
    if (answer(checked.status()) != "FAILED_PRECONDITION WRITER_NOT_DONE") {
      return tell(5, checked.status());
    }
    ::munmap(kept, size_bytes);
    const auto committed = made->commit();
    if (!committed) return tell(6, committed.status());
    auto lease = producer.open(committed->id);
    if (!lease) return tell(7, lease.status());
    return has(lease->bytes(), 9) ? 0 : 8;
  });
  const int status = wait_for(child);
  if (status == 77) GTEST_SKIP() << "needs root to become another user";
  EXPECT_EQ(status, 0);
}

// SEAL-1
TEST_F(Sealed, a_producer_that_kept_its_descriptor_changes_nothing_even_as_root) {
  client::Client producer = connect(host_);
  auto made = producer.create(size_bytes, sealed);
  ASSERT_TRUE(made) << made.status().to_string();
  fill(made->bytes(), 9);
  const int kept = descriptor_of(made->bytes(), O_RDWR);
  if (kept < 0) GTEST_SKIP() << "needs root to find a descriptor of a mapping";
  EXPECT_NE(::ftruncate(kept, 10), 0) << "its length is fixed from the beginning";
  const auto committed = made->commit();
  ASSERT_TRUE(committed) << committed.status().to_string();
  EXPECT_EQ(::pwrite(kept, "!", 1, 0), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(::ftruncate(kept, 0), -1);
  EXPECT_EQ(::ftruncate(kept, 1 << 20), -1);
  EXPECT_EQ(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, kept, 0), MAP_FAILED);
  EXPECT_EQ(errno, EPERM);
  auto lease = producer.open(committed->id);
  ASSERT_TRUE(lease) << lease.status().to_string();
  EXPECT_FALSE(lease->is_direct());
  EXPECT_TRUE(has(lease->bytes(), 9));
  ::close(kept);
}

// SEAL-1, SESSION-2
TEST_F(Sealed, a_reader_of_another_user_has_no_way_to_write) {
  let_all_in();
  client::Client producer = connect(host_);
  const client::PayloadId id = put_sealed(producer, 9);
  const pid_t child = in_child([&] {
    if (!is_nobody()) return 77;
    client::Client reader = connect(host_);
    auto lease = reader.open(id);
    if (!lease) return tell(1, lease.status());
    if (!has(lease->bytes(), 9)) return 2;
    auto* bytes = const_cast<std::byte*>(lease->bytes().data());
    if (::mprotect(bytes, 4096, PROT_READ | PROT_WRITE) == 0) return 3;
    const auto again = map_again({bytes, size_bytes});
    if (again != MAP_FAILED && ::mprotect(again, 4096, PROT_READ | PROT_WRITE) == 0) return 4;
    return lease->release().ok() ? 0 : 5;
  });
  const int status = wait_for(child);
  if (status == 77) GTEST_SKIP() << "needs root to become another user";
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(has(producer.open(id)->bytes(), 9));
}

// SEAL-3
TEST_F(Sealed, who_has_no_session_is_told_to_use_the_local_socket) {
  client::Client remote = host_.client();
  const auto refused = remote.create(size_bytes, sealed);
  EXPECT_EQ(answer(refused.status()), "INVALID_ARGUMENT LAYOUT_NEEDS_SESSION");
  EXPECT_NE(refused.status().message().find("local socket"), std::string::npos);
  client::Client producer = connect(host_);
  const client::PayloadId id = put_sealed(producer, 9);
  EXPECT_TRUE(remote.resolve(id)) << "its place is told all the same";
  const auto unreachable = remote.open(id);
  EXPECT_EQ(answer(unreachable.status()), "FAILED_PRECONDITION NOT_REACHABLE");
  EXPECT_NE(unreachable.status().message().find("local socket"), std::string::npos);
  client::PromoteOptions up;
  up.layout = client::Layout::sealed;
  EXPECT_EQ(answer(remote.promote(id, client::Tier::ram, up).status()),
            "INVALID_ARGUMENT LAYOUT_NEEDS_SESSION");
}

// SEAL-2
TEST_F(Sealed, what_is_on_disk_as_well_outlives_the_host_and_the_rest_is_lost) {
  client::Client client = connect(host_);
  const client::PayloadId only = put_sealed(client, 1);
  const client::PayloadId both = put_sealed(client, 2);
  const auto spilled = client.spill(std::vector{both}, {.to = client::Tier::disk});
  ASSERT_TRUE(spilled && (*spilled)[0].status.ok());
  client::PromoteOptions up;
  up.layout = client::Layout::sealed;
  const auto promoted = client.promote(both, client::Tier::ram, up);
  ASSERT_TRUE(promoted) << promoted.status().to_string();
  EXPECT_TRUE(promoted->location.name.empty());
  EXPECT_TRUE(has(client.open(both)->bytes(), 2)) << "what the host wrote";
  host_.kill();
  ASSERT_TRUE(host_.start_ready()) << host_.log();
  client::Client next = connect(host_);
  auto lease = next.open(both);
  ASSERT_TRUE(lease) << lease.status().to_string();
  EXPECT_EQ(lease->descriptor().tier, client::Tier::disk);
  EXPECT_TRUE(has(lease->bytes(), 2));
  const Status lost = next.open(only).status();
  EXPECT_EQ(answer(lost), "DATA_LOSS PAYLOAD_LOST") << lost.to_string();
  EXPECT_TRUE(next.erase(only).ok());
}

TEST_F(Sealed, what_is_given_up_or_deleted_gives_back_its_descriptor) {
  client::Client client = connect(host_);
  put_sealed(client, 1);
  const auto before = host_.open_descriptors();
  for (int n = 0; n < 32; ++n) {
    const client::PayloadId id = put_sealed(client, 2);
    ASSERT_TRUE(client.create(size_bytes, sealed)) << "given up at once";
    EXPECT_TRUE(client.erase(id).ok());
  }
  const auto is_back = [&] { return host_.open_descriptors() <= before + 2; };
  EXPECT_LT(until(is_back), std::chrono::seconds(5)) << host_.open_descriptors() - before;
}

}  // namespace
}  // namespace pm::local::test
