#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "disk_tier.h"

namespace pm::test {
namespace {

struct DiskRecovery : testing::Test {
  const TemporaryDirectory directory;
  const SmallHost host;
  const pm_object_id_t object = DiskTier::id(1);
  const std::string bucket = directory.path() + "/ab/00";
  const std::string name = "ab000000-0000-0000-0000-000000000001.0000000000000001";
};

TEST_F(DiskRecovery, sealed_object_is_adopted_and_read) {
  const auto bytes = pattern((1 << 20) + 7);
  { DiskTier(host, directory.path()).put(object, bytes); }
  DiskTier tier(host, directory.path());
  ASSERT_EQ(tier.adopt(object, bytes.size()), PM_OK) << host.error();
  EXPECT_EQ(tier.charged(), (1u << 20) + 4096u);
  EXPECT_EQ(tier.usage().bytes_used, tier.charged());
  EXPECT_EQ(tier.usage().objects, 1u);
  EXPECT_EQ(tier.locate(object), bucket + "/" + name);
  EXPECT_EQ(tier.get(object, bytes.size()), bytes);
  ASSERT_EQ(tier.remove(object, bytes.size()), PM_OK) << host.error();
  EXPECT_EQ(tier.usage().bytes_used, 0u);
  EXPECT_EQ(tier.usage().objects, 0u);
}

TEST_F(DiskRecovery, adopt_tells_what_is_gone_from_what_is_wrong) {
  { DiskTier(host, directory.path()).put(object, pattern(100)); }
  DiskTier tier(host, directory.path());
  EXPECT_EQ(tier.adopt(object, 99), PM_DATA_LOSS);
  EXPECT_NE(host.error().find("has 100 bytes and should have 99"), std::string::npos);
  EXPECT_EQ(tier.adopt(DiskTier::id(1, 2), 100), PM_NOT_FOUND);
  EXPECT_EQ(tier.adopt(DiskTier::id(0x1234), 100), PM_NOT_FOUND);
}

TEST_F(DiskRecovery, adopt_of_what_was_removed_since_the_start_says_gone) {
  { DiskTier(host, directory.path()).put(object, pattern(100)); }
  DiskTier tier(host, directory.path());
  ASSERT_EQ(tier.remove(object, 100), PM_OK) << host.error();
  EXPECT_EQ(tier.adopt(object, 100), PM_NOT_FOUND);
}

TEST_F(DiskRecovery, adopt_after_the_first_allocation_looks_at_the_files) {
  { DiskTier(host, directory.path()).put(object, pattern(100)); }
  DiskTier tier(host, directory.path());
  ASSERT_EQ(tier.allocate(DiskTier::id(0x300, 9), 5000), PM_OK);
  EXPECT_EQ(tier.adopt(object, 100), PM_OK) << host.error();
  std::filesystem::resize_file(bucket + "/" + name, 99);
  EXPECT_EQ(tier.adopt(object, 100), PM_DATA_LOSS);
}

TEST_F(DiskRecovery, unsealed_object_is_not_adopted_and_can_be_removed) {
  {
    DiskTier tier(host, directory.path());
    ASSERT_EQ(tier.allocate(object, 5000), PM_OK);
  }
  DiskTier tier(host, directory.path());
  EXPECT_EQ(tier.adopt(object, 5000), PM_NOT_FOUND);
  EXPECT_EQ(tier.usage().bytes_used, 8192u);
  EXPECT_EQ(tier.remove(object, 5000), PM_OK) << host.error();
  EXPECT_EQ(tier.usage().bytes_used, 0u);
  EXPECT_FALSE(exists(bucket + "/" + name + ".part"));
}

TEST_F(DiskRecovery, enumerate_finds_sealed_and_unsealed) {
  {
    DiskTier tier(host, directory.path());
    tier.put(object, pattern(100));
    ASSERT_EQ(tier.allocate(DiskTier::id(0x300, 9), 5000), PM_OK);
  }
  DiskTier tier(host, directory.path());
  auto found = tier.enumerate();
  ASSERT_EQ(found.size(), 2u);
  std::sort(found.begin(), found.end(),
            [](const auto& a, const auto& b) { return a.length < b.length; });
  EXPECT_EQ(found[0].sealed, 1u);
  EXPECT_EQ(std::memcmp(&found[0].object, &object, sizeof(object)), 0);
  EXPECT_EQ(found[0].bytes_charged, 4096u);
  EXPECT_EQ(found[1].sealed, 0u);
  EXPECT_EQ(found[1].object.generation, 9u);
  EXPECT_EQ(found[1].length, 5000u);
  for (const auto& orphan : found)
    EXPECT_EQ(
        tier.abi()->remove(tier.abi(), nullptr, &orphan.object, &orphan.cookie, orphan.length),
        PM_OK);
  EXPECT_TRUE(tier.enumerate().empty());
  EXPECT_EQ(tier.usage().bytes_used, 0u);
  EXPECT_EQ(tier.usage().objects, 0u);
}

TEST_F(DiskRecovery, enumerate_ends_when_told) {
  DiskTier tier(host, directory.path());
  for (unsigned i = 0; i < 5; ++i) tier.put(DiskTier::id(i), pattern(10));
  const auto* extension = static_cast<const pm_tier_enumerate_t*>(
      tier.abi()->get_extension(tier.abi(), PM_TIER_ENUMERATE));
  int calls = 0;
  const auto stop = [](void* data, const pm_tier_object_t*) {
    return ++*static_cast<int*>(data) < 2;
  };
  EXPECT_EQ(extension->enumerate(tier.abi(), nullptr, stop, &calls), PM_OK);
  EXPECT_EQ(calls, 2);
}

TEST_F(DiskRecovery, strangers_are_counted_and_left_alone) {
  namespace fs = std::filesystem;
  {
    DiskTier tier(host, directory.path());
    tier.put(object, pattern(100));
  }
  const std::vector<std::string> files = {
      "garbage",
      "abc",
      "AB",
      "ab/0",
      "ab/garbage",
      "ab/00/garbage",
      "ab/00/.part",
      "ab/00/AB000000-0000-0000-0000-000000000001.0000000000000001",  // Capitals.
      "ab/00/ac000000-0000-0000-0000-000000000001.0000000000000001",  // Another directory's.
      "ab/00/ab000000-0000-0000-0000-000000000001.000000000000001",   // A digit short.
      "ab/00/ab000000_0000-0000-0000-000000000001.0000000000000001",
      "ab/00/ab000000-0000-0000-0000-000000000001.000000000000000g",
      "ab/00/ab000000-0000-0000-0000-000000000001.0000000000000001.part.part"};
  for (const auto& file : files) std::ofstream(directory.path() + "/" + file) << "x";
  fs::create_directory(bucket + "/ab000000-0000-0000-0000-000000000002.0000000000000001");
  fs::create_symlink("/etc/passwd",
                     bucket + "/ab000000-0000-0000-0000-000000000003.0000000000000001");
  fs::create_symlink("/", directory.path() + "/cc");
  fs::create_symlink("/", directory.path() + "/ab/dd");
  ASSERT_EQ(
      ::mkfifo((bucket + "/ab000000-0000-0000-0000-000000000004.0000000000000001").c_str(), 0600),
      0);
  DiskTier tier(host, directory.path());
  EXPECT_EQ(tier.usage().objects, 1u);
  EXPECT_EQ(tier.enumerate().size(), 1u);
  const std::string number = std::to_string(files.size() + 5);
  EXPECT_NE(host.logged().find("holds " + number + " names"), std::string::npos) << host.logged();
  for (const auto& file : files) EXPECT_TRUE(exists(directory.path() + "/" + file)) << file;
}

TEST_F(DiskRecovery, what_is_no_file_is_never_followed_nor_removed) {
  namespace fs = std::filesystem;
  const TemporaryDirectory elsewhere;
  std::ofstream(elsewhere.path() + "/secret") << "secret";
  DiskTier tier(host, directory.path());
  tier.put(object, pattern(100));
  const auto at = [&](unsigned number) {
    const std::string path = tier.locate(DiskTier::id(number));
    return path;
  };
  fs::create_symlink(elsewhere.path() + "/secret", at(2));
  fs::create_directory(at(3));
  ASSERT_EQ(::mkfifo(at(4).c_str(), 0600), 0);
  char byte = 0;
  std::uint64_t count = 0;
  for (const unsigned number : {2u, 3u, 4u}) {
    const auto hostile = DiskTier::id(number);
    EXPECT_EQ(tier.read(hostile, 0, &byte, 1, &count), PM_FAILED_PRECONDITION) << number;
    EXPECT_EQ(tier.adopt(hostile, 6), PM_DATA_LOSS) << number;
    EXPECT_EQ(tier.allocate(hostile, 6), PM_ALREADY_EXISTS) << number;
    EXPECT_EQ(tier.remove(hostile, 6), PM_FAILED_PRECONDITION) << number;
    EXPECT_TRUE(exists(at(number)));
  }
  EXPECT_EQ(file_bytes(elsewhere.path() + "/secret").size(), 6u);
}

TEST_F(DiskRecovery, part_name_that_is_a_link_is_not_written_through) {
  const TemporaryDirectory elsewhere;
  std::ofstream(elsewhere.path() + "/victim") << "victim";
  DiskTier tier(host, directory.path());
  tier.put(DiskTier::id(9), pattern(1));  // Makes the directory.
  std::filesystem::create_symlink(elsewhere.path() + "/victim", bucket + "/" + name + ".part");
  EXPECT_EQ(tier.allocate(object, 100), PM_ALREADY_EXISTS);
  EXPECT_EQ(file_bytes(elsewhere.path() + "/victim").size(), 6u);
}

TEST_F(DiskRecovery, directories_that_are_links_are_not_entered) {
  const TemporaryDirectory elsewhere;
  DiskTier tier(host, directory.path());
  std::filesystem::create_symlink(elsewhere.path(), directory.path() + "/ab");
  EXPECT_EQ(tier.allocate(object, 100), PM_FAILED_PRECONDITION) << host.error();
  EXPECT_EQ(tier.adopt(object, 100), PM_DATA_LOSS);
  EXPECT_EQ(tier.remove(object, 100), PM_FAILED_PRECONDITION);
  EXPECT_TRUE(std::filesystem::is_empty(elsewhere.path()));
}

// Beyond the descriptors that stay open, objects work all the same.
TEST_F(DiskRecovery, more_unsealed_objects_than_descriptors) {
  DiskTier tier(host, directory.path());
  const unsigned number = 1100;
  for (unsigned i = 0; i < number; ++i)
    ASSERT_EQ(tier.allocate(DiskTier::id(i), 10), PM_OK) << i << ": " << host.error();
  const auto last = DiskTier::id(number - 1);
  ASSERT_EQ(tier.write(last, 0, pattern(10).data(), 10), PM_OK) << host.error();
  ASSERT_EQ(tier.seal(last, 10), PM_OK) << host.error();
  EXPECT_EQ(tier.get(last, 10), pattern(10));
  EXPECT_EQ(tier.usage().objects, number);
}

}  // namespace
}  // namespace pm::test
