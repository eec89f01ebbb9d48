#include <fcntl.h>

#include "disk_tier.h"

namespace pm::test {
namespace {

struct DiskSeal : testing::Test {
  const TemporaryDirectory directory;
  const SmallHost host;
  DiskTier tier{host, directory.path()};
  const pm_object_id_t object = DiskTier::id(7);
};

TEST_F(DiskSeal, refuses_what_a_client_shortened) {
  ASSERT_EQ(tier.allocate(object, 100), PM_OK);
  ASSERT_EQ(::truncate(tier.locate(object).c_str(), 99), 0);
  EXPECT_EQ(tier.seal(object, 100), PM_FAILED_PRECONDITION);
  EXPECT_NE(host.error().find("has 99 bytes and not 100"), std::string::npos) << host.error();
  EXPECT_EQ(tier.usage().bytes_used, 4096u);
}

TEST_F(DiskSeal, refuses_what_a_client_lengthened) {
  ASSERT_EQ(tier.allocate(object, 100), PM_OK);
  ASSERT_EQ(::truncate(tier.locate(object).c_str(), 101), 0);
  EXPECT_EQ(tier.seal(object, 100), PM_FAILED_PRECONDITION);
  ASSERT_EQ(::truncate(tier.locate(object).c_str(), 100), 0);
  EXPECT_EQ(tier.seal(object, 100), PM_OK) << host.error();
}

TEST_F(DiskSeal, refuses_what_a_client_removed) {
  ASSERT_EQ(tier.allocate(object, 100), PM_OK);
  ASSERT_EQ(::unlink(tier.locate(object).c_str()), 0);
  EXPECT_EQ(tier.seal(object, 100), PM_FAILED_PRECONDITION);
  EXPECT_NE(host.error().find("was removed by somebody else"), std::string::npos);
}

TEST_F(DiskSeal, refuses_what_a_client_replaced) {
  ASSERT_EQ(tier.allocate(object, 3), PM_OK);
  const std::string path = tier.locate(object);
  std::ofstream(path + ".other") << "abc";
  ASSERT_EQ(::rename((path + ".other").c_str(), path.c_str()), 0);
  EXPECT_EQ(tier.seal(object, 3), PM_FAILED_PRECONDITION);
  EXPECT_NE(host.error().find("was replaced by somebody else"), std::string::npos);
}

TEST_F(DiskSeal, refuses_another_length_than_allocated) {
  ASSERT_EQ(tier.allocate(object, 100), PM_OK);
  EXPECT_EQ(tier.seal(object, 99), PM_INVALID_ARGUMENT);
}

TEST_F(DiskSeal, takes_the_length_that_a_client_uploaded) {
  ASSERT_EQ(tier.allocate(object, 10'000), PM_OK);
  EXPECT_EQ(tier.set_length(object, 10'000, 100), PM_FAILED_PRECONDITION);
  EXPECT_EQ(tier.usage().bytes_used, 12'288u);
  ASSERT_EQ(::truncate(tier.locate(object).c_str(), 100), 0);
  EXPECT_EQ(tier.set_length(object, 9'000, 100), PM_INVALID_ARGUMENT);
  EXPECT_EQ(tier.set_length(object, 10'000, 0), PM_INVALID_ARGUMENT);
  EXPECT_EQ(tier.set_length(object, 10'000, 10'001), PM_INVALID_ARGUMENT);
  EXPECT_EQ(tier.set_length(DiskTier::id(8), 10'000, 100), PM_NOT_FOUND);
  ASSERT_EQ(tier.set_length(object, 10'000, 100), PM_OK) << host.error();
  EXPECT_EQ(tier.usage().bytes_used, 4'096u);
  EXPECT_EQ(tier.usage().objects, 1u);
  // Who asks again may not have heard of it, nor of the seal.
  EXPECT_EQ(tier.set_length(object, 10'000, 100), PM_OK) << host.error();
  EXPECT_EQ(tier.usage().bytes_used, 4'096u) << "given back twice";
  EXPECT_EQ(tier.seal(object, 100), PM_OK) << host.error();
  EXPECT_EQ(tier.set_length(object, 10'000, 100), PM_OK) << host.error();
  EXPECT_EQ(tier.set_length(object, 100, 50), PM_NOT_FOUND) << "sealed";
  EXPECT_EQ(tier.remove(object, 100), PM_OK);
  EXPECT_EQ(tier.usage().bytes_used, 0u);
}

TEST_F(DiskSeal, seals_an_object_again_and_none_that_is_absent) {
  EXPECT_EQ(tier.seal(object, 100), PM_NOT_FOUND);
  ASSERT_EQ(tier.allocate(object, 100), PM_OK);
  ASSERT_EQ(tier.seal(object, 100), PM_OK);
  EXPECT_EQ(tier.seal(object, 100), PM_OK) << host.error();
  EXPECT_EQ(tier.seal(object, 99), PM_NOT_FOUND) << "of another length";
  EXPECT_EQ(tier.usage().bytes_used, 4'096u);
}

TEST_F(DiskSeal, does_not_replace_what_stands_at_the_final_name) {
  ASSERT_EQ(tier.allocate(object, 3), PM_OK);
  const std::string part = tier.locate(object);
  const std::string final_name = part.substr(0, part.size() - 5);
  std::ofstream(final_name) << "stranger";
  EXPECT_EQ(tier.seal(object, 3), PM_ALREADY_EXISTS);
  EXPECT_EQ(file_bytes(final_name).size(), 8u);
}

TEST_F(DiskSeal, ends_writing) {
  tier.put(object, pattern(100));
  EXPECT_EQ(tier.write(object, 0, "x", 1), PM_FAILED_PRECONDITION);
  EXPECT_EQ(tier.get(object, 100), pattern(100));
}

// What is unsealed in the middle of a crash goes on where it stood.
TEST_F(DiskSeal, takes_a_part_file_of_an_earlier_life) {
  ASSERT_EQ(tier.allocate(object, 100), PM_OK);
  ASSERT_EQ(tier.write(object, 0, pattern(100).data(), 100), PM_OK);
  tier.close();
  DiskTier later(host, directory.path());
  ASSERT_EQ(later.seal(object, 100), PM_OK) << host.error();
  EXPECT_EQ(later.get(object, 100), pattern(100));
  EXPECT_EQ(later.usage().bytes_used, 4096u);
}

#if PM_FAILPOINTS

// Sets the number of the fsync that fails, for the tiers that are opened after it.
class FailingFsync {
 public:
  explicit FailingFsync(int number) {
    ::setenv("PM_TIER_DISK_FAIL_FSYNC", std::to_string(number).c_str(), 1);
  }
  ~FailingFsync() { ::unsetenv("PM_TIER_DISK_FAIL_FSYNC"); }
};

// In order: the file, the root, `ab`, `ab/cd`.
class DiskSync : public testing::TestWithParam<int> {};

TEST_P(DiskSync, failure_is_data_loss_and_is_not_repeated) {
  const TemporaryDirectory directory;
  const SmallHost host;
  const FailingFsync failing(GetParam());
  DiskTier tier(host, directory.path());
  const auto object = DiskTier::id(7);
  ASSERT_EQ(tier.allocate(object, 100), PM_OK) << host.error();
  EXPECT_EQ(tier.seal(object, 100), PM_DATA_LOSS);
  EXPECT_NE(host.error().find("fsync of " + directory.path()), std::string::npos) << host.error();
  // The second fsync would succeed; the answer stays.
  EXPECT_EQ(tier.seal(object, 100), PM_DATA_LOSS);
  EXPECT_EQ(tier.remove(object, 100), PM_OK) << host.error();
  EXPECT_TRUE(tier.enumerate().empty());
  EXPECT_EQ(tier.usage().bytes_used, 0u);
}
INSTANTIATE_TEST_SUITE_P(each, DiskSync, testing::Values(1, 2, 3, 4));

TEST(DiskSyncOnce, directories_known_durable_are_not_synced_again) {
  const TemporaryDirectory directory;
  const SmallHost host;
  const FailingFsync failing(6);  // The second object's directory, after its file.
  DiskTier tier(host, directory.path());
  tier.put(DiskTier::id(7), pattern(100));
  ASSERT_EQ(tier.allocate(DiskTier::id(8), 100), PM_OK);
  EXPECT_EQ(tier.seal(DiskTier::id(8), 100), PM_DATA_LOSS);
  EXPECT_NE(host.error().find("fsync of " + directory.path() + "/ab/00:"), std::string::npos)
      << host.error();
}

TEST(DiskSyncOnce, failure_of_a_part_file_of_an_earlier_life_is_remembered) {
  const TemporaryDirectory directory;
  const SmallHost host;
  const auto object = DiskTier::id(7);
  {
    DiskTier tier(host, directory.path());
    ASSERT_EQ(tier.allocate(object, 100), PM_OK);
  }
  const FailingFsync failing(1);
  DiskTier tier(host, directory.path());
  EXPECT_EQ(tier.seal(object, 100), PM_DATA_LOSS);
  EXPECT_EQ(tier.seal(object, 100), PM_DATA_LOSS);
  EXPECT_EQ(tier.remove(object, 100), PM_OK);
  EXPECT_EQ(tier.usage().objects, 0u);
}

#endif

}  // namespace
}  // namespace pm::test
