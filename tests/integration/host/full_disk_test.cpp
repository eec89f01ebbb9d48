#include <gtest/gtest.h>
#include <sys/mount.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "content.h"
#include "host_process.h"
#include "leftovers.h"

// A file system that is really full: a small tmpfs under the disk tier. Needs the right to mount.

namespace pm::integration {
namespace {

constexpr std::uint64_t payload_bytes = 300'000;
constexpr const char* size_option = "size=2m";

class FullDisk : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(host_.disk_root());
    const char* const path = root_.c_str();
    is_mounted_ = ::mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, size_option) == 0;
    if (!is_mounted_) GTEST_SKIP() << "cannot mount: " << std::strerror(errno);
    ASSERT_TRUE(host_.start_ready()) << host_.log();
  }
  void TearDown() override {
    if (HasFailure()) std::fprintf(stderr, "%s\n", host_.whole_log().c_str());
    host_.kill();
    if (is_mounted_) ::umount2(root_.c_str(), MNT_DETACH);
  }
  static std::string said(const Status& status) {
    return std::string(code_name(status.code())) + " " + status.reason();
  }

  HostProcess host_{[] {
    HostOptions options;
    options.allocate_wait_ms_max = 500;
    return options;
  }()};
  const std::string root_ = host_.disk_root().string();
  bool is_mounted_ = false;
};

TEST_F(FullDisk, refuses_keeps_what_it_has_and_takes_again_when_there_is_room) {
  client::Client client = host_.client();
  const auto up = put(client, payload_bytes, 1);
  ASSERT_TRUE(up.ok());
  std::vector<Stored> kept;
  Status refused;
  for (unsigned n = 2; n < 20 && refused.ok(); ++n) {
    const auto stored = put(client, payload_bytes, n, {.tier = client::Tier::disk});
    refused = stored.status();
    if (stored.ok()) kept.push_back(*stored);
  }
  EXPECT_EQ(said(refused), "RESOURCE_EXHAUSTED TIER_FULL") << refused.to_string();
  EXPECT_GE(kept.size(), 5u);
  const auto& id = up->descriptor.id;
  const auto spilled = client.spill(std::span(&id, 1), {.to = client::Tier::disk});
  ASSERT_TRUE(spilled.ok());
  EXPECT_EQ(said(spilled->front().status), "RESOURCE_EXHAUSTED TIER_FULL");
  EXPECT_EQ(client.resolve(id)->tier, client::Tier::ram);
  EXPECT_EQ(client.stats()->tiers.at(1).health, "ok") << "full is not sick";
  EXPECT_EQ(host_.files().size(), kept.size()) << "half a copy stays";
  for (const Stored& stored : kept) {
    EXPECT_EQ(*digest_of(client, stored.descriptor.id), stored.digest);
  }
  EXPECT_TRUE(client.erase(kept.back().descriptor.id).ok());
  kept.pop_back();
  EXPECT_TRUE(eventually([&] {
    const auto again = client.spill(std::span(&id, 1), {.to = client::Tier::disk});
    return again.ok() && again->front().status.ok();
  }));
  EXPECT_EQ(*digest_of(client, id), up->digest);
  kept.push_back(*up);
  for (const Stored& stored : kept) EXPECT_TRUE(client.erase(stored.descriptor.id).ok());
  EXPECT_EQ(leftovers(host_, client), "");
  EXPECT_EQ(host_.terminate()->code, 0);
}

}  // namespace
}  // namespace pm::integration
