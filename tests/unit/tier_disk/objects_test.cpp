#include <thread>

#include "disk_tier.h"

namespace pm::test {
namespace {

// Like DiskTier::allocate, which keeps its reply, for use on several threads.
pm_status_t own_allocate(const DiskTier& tier, const pm_object_id_t& object, std::uint64_t length) {
  const pm_allocate_options_t options{sizeof(options), 0, ::getuid(), 0};
  pm_allocation_t allocation{};
  allocation.size = sizeof(allocation);
  return tier.abi()->allocate(tier.abi(), nullptr, &object, length, &options, &allocation);
}

struct DiskObjects : testing::Test {
  const TemporaryDirectory directory;
  const SmallHost host;
  DiskTier tier{host, directory.path()};
  const pm_object_id_t object = {
      {0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67, 0x89, 0x9a, 0xbc, 0xde, 0xf0, 1, 2, 3, 4}, 0x1f};
  const std::string sealed =
      directory.path() + "/ab/cd/abcdef01-2345-6789-9abc-def001020304.000000000000001f";
};

TEST_F(DiskObjects, says_what_it_promises) {
  const pm_tier_info_t info = tier.info();
  EXPECT_EQ(info.traits, PM_TIER_KEEPS_BYTES | PM_TIER_SURVIVES_PROCESS | PM_TIER_SURVIVES_POWER |
                             PM_TIER_HOST_ADDRESSABLE | PM_TIER_PARALLEL_RANGES |
                             PM_TIER_SHARES_DESCRIPTORS);
  EXPECT_EQ(info.capacity_bytes, UINT64_MAX);
  EXPECT_EQ(info.charge_granularity_bytes, 4096u);
  EXPECT_EQ(info.alignment_bytes, 4096u);
  EXPECT_EQ(info.inline_bytes_max, 0u);
}

TEST_F(DiskObjects, fills_structs_no_further_than_their_size) {
  pm_tier_info_t info{};
  info.size = offsetof(pm_tier_info_t, fingerprint);
  info.fingerprint[0] = '!';
  tier.abi()->get_info(tier.abi(), &info);
  EXPECT_EQ(info.size, offsetof(pm_tier_info_t, fingerprint));
  EXPECT_EQ(info.alignment_bytes, 4096u);
  EXPECT_EQ(info.fingerprint[0], '!');
}

TEST_F(DiskObjects, is_called_part_until_sealed) {
  ASSERT_EQ(tier.allocate(object, 100), PM_OK) << host.error();
  EXPECT_EQ(tier.locate(object), sealed + ".part");
  EXPECT_EQ(std::filesystem::file_size(sealed + ".part"), 100u);
  EXPECT_EQ(mode_of(sealed + ".part"), 0600u);
  EXPECT_FALSE(exists(sealed));

  ASSERT_EQ(tier.seal(object, 100), PM_OK) << host.error();
  EXPECT_EQ(tier.locate(object), sealed);
  EXPECT_EQ(mode_of(sealed), 0400u);
  EXPECT_FALSE(exists(sealed + ".part"));
}

TEST_F(DiskObjects, takes_its_blocks_at_allocate) {
  ASSERT_EQ(tier.allocate(object, 1 << 20), PM_OK) << host.error();
  struct stat state {};
  ASSERT_EQ(::stat((sealed + ".part").c_str(), &state), 0);
  EXPECT_GE(state.st_blocks * 512, 1 << 20);
}

TEST_F(DiskObjects, is_charged_in_whole_blocks) {
  ASSERT_EQ(tier.allocate(object, 4097), PM_OK) << host.error();
  EXPECT_EQ(tier.allocation().bytes_charged, 8192u);
  EXPECT_EQ(tier.usage().bytes_used, 8192u);
  EXPECT_EQ(tier.usage().objects, 1u);
  ASSERT_EQ(tier.remove(object, 4097), PM_OK) << host.error();
  EXPECT_EQ(tier.usage().bytes_used, 0u);
  EXPECT_EQ(tier.usage().objects, 0u);
}

TEST_F(DiskObjects, allocate_refuses_an_object_that_exists) {
  ASSERT_EQ(tier.allocate(object, 100), PM_OK) << host.error();
  EXPECT_EQ(tier.allocate(object, 100), PM_ALREADY_EXISTS);
  ASSERT_EQ(tier.seal(object, 100), PM_OK) << host.error();
  EXPECT_EQ(tier.allocate(object, 100), PM_ALREADY_EXISTS);
  EXPECT_EQ(tier.usage().bytes_used, 4096u);
}

TEST_F(DiskObjects, allocate_refuses_absurd_lengths) {
  EXPECT_EQ(tier.allocate(object, 0), PM_INVALID_ARGUMENT);
  EXPECT_EQ(tier.allocate(object, UINT64_MAX), PM_RESOURCE_EXHAUSTED);
  EXPECT_EQ(tier.allocate(object, 1ull << 62), PM_RESOURCE_EXHAUSTED);
  EXPECT_EQ(tier.usage().bytes_used, 0u);
  EXPECT_FALSE(exists(sealed + ".part"));
}

TEST_F(DiskObjects, generations_of_one_payload_are_apart) {
  auto newer = object;
  newer.generation = 0x20;
  tier.put(object, pattern(50, 1));
  tier.put(newer, pattern(60, 2));
  ASSERT_EQ(tier.remove(object, 50), PM_OK);
  EXPECT_EQ(tier.get(newer, 60), pattern(60, 2));
}

TEST_F(DiskObjects, remove_of_what_is_absent_is_not_found) {
  EXPECT_EQ(tier.remove(object, 100), PM_NOT_FOUND);
  tier.put(object, pattern(100));
  EXPECT_EQ(tier.remove(object, 100), PM_OK);
  EXPECT_EQ(tier.remove(object, 100), PM_NOT_FOUND);
  EXPECT_EQ(tier.usage().objects, 0u);
}

TEST_F(DiskObjects, remove_of_what_a_client_removed_gives_the_room_back) {
  ASSERT_EQ(tier.allocate(object, 100), PM_OK);
  ASSERT_EQ(::unlink((sealed + ".part").c_str()), 0);
  EXPECT_EQ(tier.remove(object, 100), PM_NOT_FOUND);
  EXPECT_EQ(tier.usage().bytes_used, 0u);
}

TEST_F(DiskObjects, removed_file_is_not_held_open) {
  tier.put(object, pattern(200 * 1024));
  EXPECT_EQ(tier.get(object, 200 * 1024).size(), 200u * 1024);  // Now its file is cached.
  ASSERT_EQ(tier.remove(object, 200 * 1024), PM_OK);
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code ignored;
    const auto target = std::filesystem::read_symlink(entry.path(), ignored).string();
    EXPECT_EQ(target.find("abcdef01"), std::string::npos) << target;
  }
}

TEST_F(DiskObjects, locate_says_when_the_text_is_too_small) {
  char text[8];
  pm_location_t location{};
  location.size = sizeof(location);
  location.text = text;
  location.text_capacity = sizeof(text);
  const pm_cookie_t cookie{};
  EXPECT_EQ(tier.abi()->locate(tier.abi(), &object, &cookie, 1, &location), PM_RESOURCE_EXHAUSTED);
}

TEST_F(DiskObjects, calls_about_different_objects_overlap) {
  std::vector<std::thread> threads;
  std::atomic<int> failures{0};
  for (unsigned t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (unsigned i = 0; i < 20; ++i) {
        const auto own = DiskTier::id(t * 64 + i % 3, i);
        const auto bytes = pattern(70000 + i, t * 100 + i);
        std::vector<char> back(bytes.size());
        std::uint64_t count = 0;
        const bool good = own_allocate(tier, own, bytes.size()) == PM_OK &&
                          tier.write(own, 0, bytes.data(), bytes.size()) == PM_OK &&
                          tier.seal(own, bytes.size()) == PM_OK &&
                          tier.read(own, 0, back.data(), back.size(), &count) == PM_OK &&
                          back == bytes && tier.remove(own, bytes.size()) == PM_OK;
        if (!good) ++failures;
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(failures, 0) << host.error();
  EXPECT_EQ(tier.usage().bytes_used, 0u);
  EXPECT_EQ(tier.usage().objects, 0u);
}

TEST(DiskCapacity, is_never_exceeded) {
  const TemporaryDirectory directory;
  const SmallHost host;
  DiskTier tier(host, directory.path(), "10000");
  EXPECT_EQ(tier.info().capacity_bytes, 10000u);
  EXPECT_EQ(tier.allocate(DiskTier::id(1), 5000), PM_OK) << host.error();  // Charged 8192.
  EXPECT_EQ(tier.allocate(DiskTier::id(2), 1), PM_RESOURCE_EXHAUSTED);
  EXPECT_NE(host.error().find("capacity_bytes 10000"), std::string::npos) << host.error();
  EXPECT_EQ(tier.remove(DiskTier::id(1), 5000), PM_OK);
  EXPECT_EQ(tier.allocate(DiskTier::id(2), 1), PM_OK) << host.error();
}

}  // namespace
}  // namespace pm::test
