#include "shm_tier.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test_host.h"

namespace pm::shm {
namespace {

class ShmTierTest : public testing::Test {
 protected:
  Result<std::unique_ptr<ShmTier>> try_open(std::uint64_t capacity, std::uint64_t slab_bytes = 0,
                                            const std::string& mode = "0600") {
    const std::string json = R"({"capacity_bytes": )" + std::to_string(capacity) +
                             R"(, "slab_bytes": )" + std::to_string(slab_bytes) +
                             R"(, "prefix": ")" + host_.prefix() + R"(", "mode": ")" + mode + "\"}";
    return ShmTier::open(host_.host(), sdk::Config(json.c_str()));
  }
  std::unique_ptr<ShmTier> open(std::uint64_t capacity, std::uint64_t slab_bytes = 0,
                                const std::string& mode = "0600") {
    auto tier = try_open(capacity, slab_bytes, mode);
    EXPECT_TRUE(tier.ok()) << tier.status().to_string();
    return tier.ok() ? std::move(*tier) : nullptr;
  }

  static Status allocate(ShmTier& tier, const pm_object_id_t& object, std::uint64_t length,
                         std::uint32_t flags, pm_allocation_t& allocation,
                         const pm_call_context_t* context = nullptr) {
    const pm_allocate_options_t options{sizeof options, flags, 1000, 0};
    return tier.allocate(context, object, length, options, allocation);
  }

  // The slab number that the object's location names: 0 for a segment.
  static std::uint32_t slab_of(const ShmTier& tier, const pm_object_id_t& object,
                               const pm_allocation_t& allocation, std::string* name = nullptr) {
    char text[256];
    pm_location_t location{};
    location.size = sizeof location;
    location.text = text;
    location.text_capacity = sizeof text;
    EXPECT_TRUE(tier.locate(object, allocation.cookie, 1, location).ok());
    if (name != nullptr) *name = text;
    return location.slab;
  }

  TestHost host_;
};

TEST_F(ShmTierTest, a_request_for_a_full_slab_becomes_a_segment) {
  const auto tier = open(4 * 4096, 2 * 4096);
  pm_allocation_t a{}, b{}, c{};
  ASSERT_TRUE(allocate(*tier, object_number(1), 8192, PM_ALLOCATE_SLAB, a).ok());
  ASSERT_TRUE(allocate(*tier, object_number(2), 8192, PM_ALLOCATE_SLAB, b).ok());
  EXPECT_EQ(slab_of(*tier, object_number(1), a), 1u);
  EXPECT_EQ(slab_of(*tier, object_number(2), b), 0u);
  EXPECT_EQ(allocate(*tier, object_number(3), 1, PM_ALLOCATE_SLAB, c).code(),
            Code::resource_exhausted);
}

TEST_F(ShmTierTest, a_segment_never_takes_the_room_of_the_slab) {
  const auto tier = open(4 * 4096, 2 * 4096);
  pm_allocation_t allocation{};
  ASSERT_TRUE(allocate(*tier, object_number(1), 8192, 0, allocation).ok());
  EXPECT_EQ(slab_of(*tier, object_number(1), allocation), 0u);
  EXPECT_EQ(allocate(*tier, object_number(2), 1, 0, allocation).code(), Code::resource_exhausted);
  EXPECT_TRUE(allocate(*tier, object_number(2), 8192, PM_ALLOCATE_SLAB, allocation).ok());
}

TEST_F(ShmTierTest, without_slab_bytes_the_slab_flag_means_a_segment) {
  const auto tier = open(1 << 20);
  pm_allocation_t allocation{};
  ASSERT_TRUE(allocate(*tier, object_number(1), 100, PM_ALLOCATE_SLAB, allocation).ok());
  EXPECT_EQ(slab_of(*tier, object_number(1), allocation), 0u);
}

TEST_F(ShmTierTest, an_object_exists_in_one_layout_only) {
  const auto tier = open(1 << 20, 1 << 19);
  pm_allocation_t allocation{};
  ASSERT_TRUE(allocate(*tier, object_number(1), 100, 0, allocation).ok());
  EXPECT_EQ(allocate(*tier, object_number(1), 100, PM_ALLOCATE_SLAB, allocation).code(),
            Code::already_exists);
  ASSERT_TRUE(allocate(*tier, object_number(2), 100, PM_ALLOCATE_SLAB, allocation).ok());
  EXPECT_EQ(allocate(*tier, object_number(2), 100, 0, allocation).code(), Code::already_exists);
}

TEST_F(ShmTierTest, cookies_have_at_most_16_bytes) {
  const auto tier = open(1 << 20, 1 << 19);
  pm_allocation_t segment{}, block{};
  ASSERT_TRUE(allocate(*tier, object_number(1), 100, 0, segment).ok());
  ASSERT_TRUE(allocate(*tier, object_number(2), 100, PM_ALLOCATE_SLAB, block).ok());
  EXPECT_LE(segment.cookie.length, 16);
  EXPECT_LE(block.cookie.length, 16);
}

TEST_F(ShmTierTest, two_tiers_with_the_same_names_are_refused) {
  auto first = open(1 << 20);
  EXPECT_EQ(try_open(1 << 20).status().code(), Code::already_exists);
  first.reset();
  EXPECT_TRUE(try_open(1 << 20).ok());
}

TEST_F(ShmTierTest, a_host_without_identity_is_refused) {
  host_.hide_identity();
  EXPECT_EQ(try_open(1 << 20).status().code(), Code::failed_precondition);
}

TEST_F(ShmTierTest, a_slab_larger_than_the_tier_is_refused) {
  EXPECT_EQ(try_open(8192, 16384).status().code(), Code::invalid_argument);
  EXPECT_EQ(host_.entries(), 0);
}

TEST_F(ShmTierTest, a_slab_larger_than_dev_shm_is_refused_and_leaves_nothing) {
  const auto refused = try_open(std::uint64_t{1} << 42, std::uint64_t{1} << 42);
  EXPECT_EQ(refused.status().code(), Code::resource_exhausted);
  EXPECT_NE(refused.status().message().find("slab_bytes"), std::string::npos);
  EXPECT_EQ(host_.entries(), 0);
}

TEST_F(ShmTierTest, a_segment_larger_than_dev_shm_is_refused_and_leaves_nothing) {
  const auto tier = open(std::uint64_t{1} << 50);
  EXPECT_NE(host_.logged().find("/dev/shm has only"), std::string::npos);
  pm_allocation_t allocation{};
  EXPECT_EQ(allocate(*tier, object_number(1), std::uint64_t{1} << 48, 0, allocation).code(),
            Code::resource_exhausted);
  EXPECT_EQ(host_.entries(), 0);
  pm_tier_usage_t usage{};
  tier->usage(usage);
  EXPECT_EQ(usage.bytes_used, 0u);
}

TEST_F(ShmTierTest, a_cancelled_allocation_leaves_nothing) {
  const auto tier = open(1 << 30);
  pm_call_context_t context{};
  context.size = sizeof context;
  context.is_cancelled = [](const pm_call_context_t*) { return true; };
  pm_allocation_t allocation{};
  EXPECT_EQ(allocate(*tier, object_number(1), 1 << 20, 0, allocation, &context).code(),
            Code::cancelled);
  EXPECT_EQ(host_.entries(), 0);
}

TEST_F(ShmTierTest, the_mode_is_as_configured_whatever_the_umask_and_sealed_is_read_only) {
  for (const auto& [text, mode] : {std::pair<const char*, mode_t>{"0600", 0600}, {"0660", 0660}}) {
    const auto tier = open(1 << 20, 0, text);
    const auto object = object_number(mode);
    pm_allocation_t allocation{};
    const mode_t before = ::umask(0077);
    ASSERT_TRUE(allocate(*tier, object, 100, 0, allocation).ok());
    ::umask(before);
    std::string name;
    slab_of(*tier, object, allocation, &name);
    EXPECT_EQ(ShmFile::open(name, O_RDONLY)->stat()->st_mode & 0777, mode);
    ASSERT_TRUE(tier->seal(object, allocation.cookie, 100).ok());
    EXPECT_EQ(ShmFile::open(name, O_RDONLY)->stat()->st_mode & 0777, mode & 0444);
  }
}

TEST_F(ShmTierTest, a_segment_has_its_room_before_anyone_writes) {
  const auto tier = open(1 << 20);
  pm_allocation_t allocation{};
  ASSERT_TRUE(allocate(*tier, object_number(1), 300000, 0, allocation).ok());
  std::string name;
  slab_of(*tier, object_number(1), allocation, &name);
  const auto status = ShmFile::open(name, O_RDONLY)->stat();
  EXPECT_GE(static_cast<std::uint64_t>(status->st_blocks) * 512, 300000u);
}

TEST_F(ShmTierTest, what_a_smaller_capacity_no_longer_holds_is_kept_and_nothing_added) {
  pm_allocation_t allocation{};
  auto tier = open(1 << 20);
  ASSERT_TRUE(allocate(*tier, object_number(1), 500000, 0, allocation).ok());
  ASSERT_TRUE(tier->seal(object_number(1), allocation.cookie, 500000).ok());
  tier.reset();
  tier = open(8192);
  std::uint64_t charged = 0;
  EXPECT_TRUE(tier->adopt(object_number(1), allocation.cookie, 500000, charged).ok());
  EXPECT_EQ(allocate(*tier, object_number(2), 1, 0, allocation).code(), Code::resource_exhausted);
}

TEST_F(ShmTierTest, a_slab_left_from_an_earlier_configuration_is_removed) {
  pm_allocation_t allocation{};
  auto tier = open(1 << 20, 1 << 19);
  ASSERT_TRUE(allocate(*tier, object_number(1), 4096, PM_ALLOCATE_SLAB, allocation).ok());
  tier.reset();
  EXPECT_EQ(host_.entries(), 1);
  open(1 << 20, 0).reset();
  EXPECT_EQ(host_.entries(), 0);
}

TEST_F(ShmTierTest, a_slab_that_holds_nothing_goes_with_the_host) {
  pm_allocation_t allocation{};
  auto tier = open(1 << 20, 1 << 19);
  ASSERT_TRUE(allocate(*tier, object_number(1), 4096, PM_ALLOCATE_SLAB, allocation).ok());
  EXPECT_EQ(host_.entries(), 1);
  ASSERT_TRUE(tier->remove(object_number(1), allocation.cookie, 4096).ok());
  tier.reset();
  EXPECT_EQ(host_.entries(), 0);
}

TEST_F(ShmTierTest, room_that_the_host_will_write_is_taken_by_its_writes) {
  pm_allocation_t allocation{};
  auto tier = open(8 << 20);
  ASSERT_TRUE(
      allocate(*tier, object_number(1), 4 << 20, PM_ALLOCATE_HOST_WRITES, allocation).ok());
  const std::vector<char> bytes(4 << 20, 'x');
  ASSERT_TRUE(tier->write(object_number(1), allocation.cookie, 0, bytes.data(), bytes.size()).ok());
  EXPECT_TRUE(tier->seal(object_number(1), allocation.cookie, 4 << 20).ok());
}

}  // namespace
}  // namespace pm::shm
