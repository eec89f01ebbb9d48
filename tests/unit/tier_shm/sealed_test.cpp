#include "sealed.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>

#include "shm_tier.h"
#include "test_host.h"

// What the kernel does for the sealed layout, and what is refused (the rest are rules for all
// tiers, tests/contract/tier/rules_sealed.cpp).

namespace pm::shm {
namespace {

class SealedTest : public testing::Test {
 protected:
  std::unique_ptr<ShmTier> open(std::uint64_t capacity, const std::string& more = "") {
    const std::string json = R"({"capacity_bytes": )" + std::to_string(capacity) +
                             R"(, "slab_bytes": 4096, "mode": "0600", "prefix": ")" +
                             host_.prefix() + "\"" + more + "}";
    auto tier = ShmTier::open(host_.host(), sdk::Config(json.c_str()));
    EXPECT_TRUE(tier.ok()) << tier.status().to_string();
    return tier.ok() ? std::move(*tier) : nullptr;
  }

  Status allocate(ShmTier& tier, unsigned number, std::uint64_t length,
                  std::uint32_t flags = PM_ALLOCATE_SEALED) {
    const pm_allocate_options_t options{sizeof options, flags, 1000, 0};
    pm_allocation_t allocation{};
    Status status = tier.allocate(nullptr, object_number(number), length, options, allocation);
    if (status.ok()) cookie_ = allocation.cookie;
    return status;
  }

  static std::uint64_t bytes_used(const ShmTier& tier) {
    pm_tier_usage_t usage{};
    tier.usage(usage);
    return usage.bytes_used;
  }

  TestHost host_;
  pm_cookie_t cookie_{};  // Of the last one.
};

TEST_F(SealedTest, there_are_no_more_than_sealed_max_and_a_removed_one_makes_room) {
  const auto tier = open(1 << 20, R"(, "sealed_max": 2)");
  ASSERT_TRUE(allocate(*tier, 1, 100).ok());
  ASSERT_TRUE(allocate(*tier, 2, 100).ok());
  const Status refused = allocate(*tier, 3, 100);
  EXPECT_EQ(refused.code(), Code::resource_exhausted);
  EXPECT_NE(refused.message().find("raise sealed_max"), std::string::npos) << refused.message();
  EXPECT_EQ(bytes_used(*tier), 8192u);
  EXPECT_TRUE(allocate(*tier, 3, 100, 0).ok()) << "segments are not counted";
  ASSERT_TRUE(tier->remove(object_number(3), cookie_, 100).ok());
  ASSERT_TRUE(allocate(*tier, 4, 100, PM_ALLOCATE_SLAB).ok());
  ASSERT_TRUE(tier->remove(object_number(4), cookie_, 100).ok());
  pm_cookie_t sealed{};
  sealed.length = 1;
  sealed.bytes[0] = 3;
  ASSERT_TRUE(tier->remove(object_number(1), sealed, 100).ok());
  EXPECT_TRUE(allocate(*tier, 5, 100).ok());
  EXPECT_EQ(bytes_used(*tier), 8192u);
}

TEST_F(SealedTest, more_than_dev_shm_has_left_is_refused_at_once) {
  const auto tier = open(std::uint64_t{1} << 50);
  const Status refused = allocate(*tier, 1, std::uint64_t{1} << 48);
  EXPECT_EQ(refused.code(), Code::resource_exhausted);
  EXPECT_NE(refused.message().find("/dev/shm"), std::string::npos) << refused.message();
  EXPECT_EQ(bytes_used(*tier), 0u);
  EXPECT_TRUE(allocate(*tier, 1, 100).ok()) << "nothing is left of what was refused";
}

TEST_F(SealedTest, it_shares_the_room_of_segments) {
  const auto tier = open(4096 * 4);
  ASSERT_TRUE(allocate(*tier, 1, 8192).ok());
  EXPECT_EQ(allocate(*tier, 2, 8192, 0).code(), Code::resource_exhausted);
  EXPECT_EQ(allocate(*tier, 2, 8192).code(), Code::resource_exhausted);
  EXPECT_TRUE(allocate(*tier, 2, 4096, 0).ok());
}

TEST_F(SealedTest, an_object_exists_in_one_layout_only) {
  const auto tier = open(1 << 20);
  ASSERT_TRUE(allocate(*tier, 1, 100).ok());
  EXPECT_EQ(allocate(*tier, 1, 100).code(), Code::already_exists);
  EXPECT_EQ(allocate(*tier, 1, 100, 0).code(), Code::already_exists);
  EXPECT_EQ(allocate(*tier, 1, 100, PM_ALLOCATE_SLAB).code(), Code::already_exists);
  ASSERT_TRUE(allocate(*tier, 2, 100, 0).ok());
  EXPECT_EQ(allocate(*tier, 2, 100).code(), Code::already_exists);
  ASSERT_TRUE(allocate(*tier, 3, 100, PM_ALLOCATE_SLAB).ok());
  EXPECT_EQ(allocate(*tier, 3, 100).code(), Code::already_exists);
}

TEST_F(SealedTest, it_is_sealed_also_when_a_slab_was_asked_for) {
  const auto tier = open(1 << 20);
  ASSERT_TRUE(allocate(*tier, 1, 100, PM_ALLOCATE_SLAB | PM_ALLOCATE_SEALED).ok());
  EXPECT_EQ(cookie_.bytes[0], 3);
}

TEST_F(SealedTest, who_cannot_write_it_cannot_open_it_for_writing_either) {
  const auto tier = open(1 << 20);
  ASSERT_TRUE(allocate(*tier, 1, 100).ok());
  const auto writer = tier->open_object(object_number(1), cookie_, 100, true);
  ASSERT_TRUE(writer.ok()) << writer.status().to_string();
  struct stat status {};
  ::fstat(*writer, &status);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  ASSERT_TRUE(tier->seal(object_number(1), cookie_, 100).ok());
  ::fstat(*writer, &status);
  EXPECT_EQ(status.st_mode & 0777, 0400u);
  ::close(*writer);
}

TEST_F(SealedTest, a_writer_that_forbids_seals_is_told_that_nothing_can_be_done) {
  const auto tier = open(1 << 20);
  ASSERT_TRUE(allocate(*tier, 1, 100).ok());
  const auto writer = tier->open_object(object_number(1), cookie_, 100, true);
  ASSERT_TRUE(writer.ok());
  ASSERT_EQ(::fcntl(*writer, F_ADD_SEALS, F_SEAL_SEAL), 0);
  const Status refused = tier->seal(object_number(1), cookie_, 100);
  EXPECT_EQ(refused.code(), Code::failed_precondition);
  EXPECT_NE(refused.message().find("can only be deleted"), std::string::npos);
  EXPECT_TRUE(tier->remove(object_number(1), cookie_, 100).ok());
  ::close(*writer);
}

TEST_F(SealedTest, flags_that_a_writer_sets_on_its_descriptor_are_its_own) {
  const auto tier = open(1 << 20);
  ASSERT_TRUE(allocate(*tier, 1, 8192).ok());
  const auto writer = tier->open_object(object_number(1), cookie_, 8192, true);
  ASSERT_TRUE(writer.ok());
  ASSERT_EQ(::fcntl(*writer, F_SETFL, O_APPEND), 0);
  EXPECT_TRUE(tier->write(object_number(1), cookie_, 0, "x", 1).ok());
  ::close(*writer);
}

// The kernel looks at pages that others use five times before it gives up: who says that a seal
// does not block would make a frontend wait for its clients.
TEST_F(SealedTest, a_seal_waits_no_longer_than_the_kernel_for_pages_in_a_pipe) {
  const auto tier = open(1 << 20);
  ASSERT_TRUE(allocate(*tier, 1, 4096).ok());
  const auto writer = tier->open_object(object_number(1), cookie_, 4096, true);
  ASSERT_TRUE(writer.ok());
  void* memory = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, *writer, 0);
  ASSERT_NE(memory, MAP_FAILED);
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  iovec bytes{memory, 4096};
  ASSERT_EQ(::vmsplice(pipe[1], &bytes, 1, 0), 4096);
  ::munmap(memory, 4096);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(tier->seal(object_number(1), cookie_, 4096).code(), Code::failed_precondition);
  const auto waited = std::chrono::steady_clock::now() - begin;
  RecordProperty("waited_us", static_cast<int>(waited / std::chrono::microseconds(1)));
  EXPECT_LT(waited, std::chrono::seconds(2));
  ::close(pipe[0]);
  ::close(pipe[1]);
  EXPECT_TRUE(tier->seal(object_number(1), cookie_, 4096).ok());
  ::close(*writer);
}

TEST_F(SealedTest, what_the_host_writes_is_sealed_whole) {
  const auto tier = open(8 << 20);
  ASSERT_TRUE(allocate(*tier, 1, 1 << 20, PM_ALLOCATE_SEALED | PM_ALLOCATE_HOST_WRITES).ok());
  const std::vector<char> bytes(1 << 20, 'x');
  ASSERT_TRUE(tier->write(object_number(1), cookie_, 0, bytes.data(), bytes.size()).ok());
  EXPECT_EQ(tier->write(object_number(1), cookie_, 1, bytes.data(), bytes.size()).code(),
            Code::out_of_range);
  EXPECT_TRUE(tier->seal(object_number(1), cookie_, 1 << 20).ok());
  EXPECT_TRUE(tier->seal(object_number(1), cookie_, 1 << 20).ok()) << "again";
}

TEST_F(SealedTest, more_than_there_may_be_descriptors_is_warned_of) {
  open(1 << 20, R"(, "sealed_max": 1000000000)");
  EXPECT_NE(host_.logged().find("RLIMIT_NOFILE"), std::string::npos) << host_.logged();
}

}  // namespace
}  // namespace pm::shm
