#include <sys/mount.h>

#include "disk_tier.h"

namespace pm::test {
namespace {

TEST(DiskRoot, is_made_with_its_parents_for_its_owner_only) {
  const TemporaryDirectory directory;
  const SmallHost host;
  const std::string root = directory.path() + "/a/b/root";
  const DiskTier tier(host, root);
  ASSERT_TRUE(tier.is_open()) << host.error();
  EXPECT_EQ(mode_of(root), 0700u);
  EXPECT_EQ(mode_of(directory.path() + "/a"), 0700u);
  EXPECT_EQ(mode_of(root + "/pm-tier-disk.json"), 0600u);
}

TEST(DiskRoot, relative_one_becomes_absolute) {
  const TemporaryDirectory directory;
  const SmallHost host;
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(directory.path());
  DiskTier tier(host, "./x/../rel/");
  std::filesystem::current_path(before);
  ASSERT_TRUE(tier.is_open()) << host.error();
  const auto object = DiskTier::id(1);
  ASSERT_EQ(tier.allocate(object, 10), PM_OK) << host.error();
  const std::string path = tier.locate(object);
  EXPECT_EQ(path.rfind(directory.path() + "/rel/ab/00/", 0), 0u) << path;
  EXPECT_TRUE(exists(path));
}

TEST(DiskRoot, of_another_instance_is_refused) {
  const TemporaryDirectory directory;
  const SmallHost ours("00000000000000aa");
  const SmallHost theirs("00000000000000bb");
  { const DiskTier tier(ours, directory.path()); }
  const DiskTier tier(theirs, directory.path());
  EXPECT_FALSE(tier.is_open());
  EXPECT_NE(theirs.error().find("belongs to host instance \"00000000000000aa\""), std::string::npos)
      << theirs.error();
}

TEST(DiskRoot, in_use_is_refused) {
  const TemporaryDirectory directory;
  const SmallHost host;
  const DiskTier first(host, directory.path());
  const DiskTier second(host, directory.path());
  EXPECT_TRUE(first.is_open());
  EXPECT_FALSE(second.is_open());
  EXPECT_NE(host.error().find("in use by another tier"), std::string::npos) << host.error();
}

TEST(DiskRoot, damaged_marker_is_refused) {
  const TemporaryDirectory directory;
  const SmallHost host;
  for (const char* text : {"", "{", "[]", "{\"format\":1}", "\"x\"",
                           "{\"format\":\"1\",\"instance_id\":3,\"medium_id\":null}"}) {
    std::ofstream(directory.path() + "/pm-tier-disk.json") << text;
    const DiskTier tier(host, directory.path());
    EXPECT_FALSE(tier.is_open()) << text;
    EXPECT_NE(host.error().find("is damaged"), std::string::npos) << host.error();
  }
}

TEST(DiskRoot, marker_that_differs_in_a_single_byte_is_refused) {
  const TemporaryDirectory directory;
  const SmallHost host;
  const std::string path = directory.path() + "/pm-tier-disk.json";
  { const DiskTier tier(host, directory.path()); }
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  for (const std::string& damaged :
       {text.str().substr(0, text.str().size() - 1), " " + text.str(), text.str() + "\n"}) {
    std::ofstream(path) << damaged;
    const DiskTier tier(host, directory.path());
    EXPECT_FALSE(tier.is_open()) << damaged;
    EXPECT_NE(host.error().find("not as this plugin wrote it"), std::string::npos) << host.error();
  }
}

TEST(DiskRoot, of_a_later_format_is_refused) {
  const TemporaryDirectory directory;
  const SmallHost host;
  std::ofstream(directory.path() + "/pm-tier-disk.json")
      << R"({"format":2,"instance_id":"00000000000000aa","medium_id":"0123456789abcdef"})";
  const DiskTier tier(host, directory.path());
  EXPECT_FALSE(tier.is_open());
  EXPECT_NE(host.error().find("has format 2"), std::string::npos) << host.error();
}

TEST(DiskRoot, marker_that_is_a_link_is_refused) {
  const TemporaryDirectory directory;
  const SmallHost host;
  std::filesystem::create_symlink("/etc/passwd", directory.path() + "/pm-tier-disk.json");
  const DiskTier tier(host, directory.path());
  EXPECT_FALSE(tier.is_open());
}

TEST(DiskRoot, that_is_a_file_is_refused) {
  const TemporaryDirectory directory;
  const SmallHost host;
  std::ofstream(directory.path() + "/file") << "x";
  const DiskTier tier(host, directory.path() + "/file");
  EXPECT_FALSE(tier.is_open());
  EXPECT_NE(host.error().find("Not a directory"), std::string::npos) << host.error();
}

TEST(DiskRoot, fingerprint_stays_with_the_root) {
  const TemporaryDirectory first;
  const TemporaryDirectory second;
  const SmallHost host;
  const auto fingerprint = [&](const std::string& root) {
    return std::string(DiskTier(host, root).info().fingerprint);
  };
  const std::string once = fingerprint(first.path());
  EXPECT_EQ(once.size(), 5u + 16u);
  EXPECT_EQ(fingerprint(first.path()), once);
  EXPECT_NE(fingerprint(second.path()), once);
}

TEST(DiskRoot, modes_follow_file_mode_whatever_the_umask) {
  const TemporaryDirectory directory;
  const SmallHost host;
  const std::string root = directory.path() + "/root";
  const mode_t before = ::umask(077);
  DiskTier tier(host, DiskTier::FromConfig{},
                "{\"root\":\"" + root +
                    "\",\"capacity_bytes\":0,\"file_mode\":\"0660\",\"direct\":false,"
                    "\"depth\":1}");
  const auto object = DiskTier::id(1);
  const pm_status_t allocated = tier.allocate(object, 5);
  ::umask(before);
  ASSERT_EQ(allocated, PM_OK) << host.error();
  EXPECT_EQ(mode_of(root), 0710u);
  EXPECT_EQ(mode_of(root + "/ab/00"), 0710u);
  EXPECT_EQ(mode_of(tier.locate(object)), 0660u);
  ASSERT_EQ(tier.seal(object, 5), PM_OK) << host.error();
  EXPECT_EQ(mode_of(tier.locate(object)), 0440u);
}

// A tmpfs of 1 MiB; unmounted at the end.
class SmallFileSystem {
 public:
  explicit SmallFileSystem(const std::string& at) : at_(at) {
    mounted_ = ::mount("pm-test", at.c_str(), "tmpfs", 0, "size=1m") == 0;
  }
  ~SmallFileSystem() {
    if (mounted_) ::umount2(at_.c_str(), MNT_DETACH);
  }
  bool mounted() const { return mounted_; }

 private:
  const std::string at_;
  bool mounted_;
};

TEST(DiskRoot, full_file_system_refuses_and_leaves_nothing) {
  const TemporaryDirectory directory;
  const SmallFileSystem small(directory.path());
  if (!small.mounted()) GTEST_SKIP() << "mounting a small tmpfs needs root";
  const SmallHost host;
  DiskTier tier(host, directory.path());
  ASSERT_TRUE(tier.is_open()) << host.error();
  EXPECT_EQ(tier.allocate(DiskTier::id(1), 8u << 20), PM_RESOURCE_EXHAUSTED);
  EXPECT_NE(host.error().find("No space left"), std::string::npos) << host.error();
  EXPECT_NE(host.error().find(directory.path()), std::string::npos) << host.error();
  EXPECT_EQ(tier.usage().bytes_used, 0u);
  EXPECT_EQ(tier.usage().objects, 0u);
  EXPECT_TRUE(tier.enumerate().empty());
  // What fits still fits, and is then good for all of its bytes.
  const auto bytes = pattern(512 * 1024);
  tier.put(DiskTier::id(2), bytes);
  EXPECT_EQ(tier.get(DiskTier::id(2), bytes.size()), bytes);
}

}  // namespace
}  // namespace pm::test
