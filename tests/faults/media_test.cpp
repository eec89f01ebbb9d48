#include <gtest/gtest.h>

#include "campaign.h"
#include "content.h"
#include "leftovers.h"
#include "small_medium.h"

// Media that have no room, or say that they have written what they have not.

namespace pm::faults {
namespace {

using namespace pm::integration;
namespace fs = std::filesystem;

constexpr std::uint64_t mib = 1 << 20;

std::string said(const Status& status) {
  return std::string(code_name(status.code())) + " " + status.reason();
}

class Media : public testing::Test {
 protected:
  void SetUp() override {
    if (const std::string why = cannot_mount(); !why.empty()) GTEST_SKIP() << "SKIPPED: " << why;
  }
  void TearDown() override {
    if (HasFailure() && host_) std::fprintf(stderr, "%s\n", host_->whole_log().c_str());
    kept_.clear();
    if (host_) host_->kill();
    for (auto at = mounted_.rbegin(); at != mounted_.rend(); ++at) SmallMedium::unmount(*at);
  }

  void make_host() {
    HostOptions options;
    options.limits = "journal_records_max = 8\n";
    host_ = std::make_unique<HostProcess>(options);
  }
  // False: the machine cannot; the test is skipped.
  bool mount_disk(const fs::path& at, std::uint64_t bytes, std::uint64_t backing_bytes) {
    const fs::path backing = host_->directory() / ("backing" + std::to_string(mounted_.size()));
    mounted_.push_back(backing);
    mounted_.push_back(at);
    skipped_ = SmallMedium::mount_disk(at, bytes, backing, backing_bytes);
    return skipped_.empty();
  }

  void expect_kept(client::Client& client) {
    for (const Stored& stored : kept_) {
      const auto digest = digest_of(client, stored.descriptor.id);
      ASSERT_TRUE(digest.ok()) << digest.status().to_string();
      EXPECT_EQ(*digest, stored.digest);
    }
  }
  // Until `tier` refuses; the refusal.
  Status fill_tier(client::Client& client, client::Tier tier, std::uint64_t bytes_max,
                   Campaign& campaign) {
    for (int n = 0; n < 1000; ++n) {
      const auto stored = put(client, 1 + campaign.draw(bytes_max), campaign.draw(UINT64_MAX),
                              {.tier = tier, .no_evict = true});
      if (!stored.ok()) return stored.status();
      kept_.push_back(*stored);
    }
    return {};
  }
  void erase_some(client::Client& client, Campaign& campaign) {
    const std::size_t stay = campaign.draw(kept_.size() / 2 + 1);
    while (kept_.size() > stay) {
      EXPECT_TRUE(client.erase(kept_.back().descriptor.id).ok());
      kept_.pop_back();
    }
  }
  // A tier on a medium that is much smaller than its capacity.
  void fill_again_and_again(Campaign& campaign, client::Tier tier, std::uint64_t bytes_max) {
    ASSERT_TRUE(host_->start_ready()) << host_->log();
    client::Client client = host_->client();
    int refusals = 0;
    while (refusals < campaign.count() && !HasFailure()) {
      EXPECT_EQ(said(fill_tier(client, tier, bytes_max, campaign)), "RESOURCE_EXHAUSTED TIER_FULL");
      ++refusals;
      ASSERT_FALSE(kept_.empty());
      if (tier == client::Tier::disk) expect_no_spill(client, campaign);
      if (campaign.chance(20)) {
        host_->kill();
        ASSERT_TRUE(host_->start_ready()) << host_->log();
        client = host_->client();
      }
      expect_kept(client);
      erase_some(client, campaign);
      // What was deleted leaves its tier a little later.
      EXPECT_TRUE(eventually([&] {
        const auto stored = put(client, 100'000, campaign.seed(), {.tier = tier});
        if (stored.ok()) kept_.push_back(*stored);
        return stored.ok();
      })) << "deleted, and still no room";
    }
    erase_all(client);
    campaign.tell(refusals, "each refused, and taken again when there was room");
  }
  // What cannot be moved down stays where it is.
  void expect_no_spill(client::Client& client, Campaign& campaign) {
    const auto above = put(client, 4 * mib, campaign.seed());
    ASSERT_TRUE(above.ok()) << above.status().to_string();
    const auto spilled =
        client.spill(std::span(&above->descriptor.id, 1), {.to = client::Tier::disk});
    ASSERT_TRUE(spilled.ok());
    EXPECT_EQ(said(spilled->front().status), "RESOURCE_EXHAUSTED TIER_FULL");
    EXPECT_EQ(*digest_of(client, above->descriptor.id), above->digest);
    EXPECT_TRUE(client.erase(above->descriptor.id).ok());
  }
  void erase_all(client::Client& client) {
    for (const Stored& stored : kept_) EXPECT_TRUE(client.erase(stored.descriptor.id).ok());
    kept_.clear();
    EXPECT_EQ(leftovers(*host_, client), "");
  }

  std::unique_ptr<HostProcess> host_;
  std::vector<fs::path> mounted_;
  std::vector<Stored> kept_;
  std::string skipped_;
};

TEST_F(Media, full_shared_memory_refuses_and_nobody_dies_of_it) {
  Campaign campaign("full_shm", 27);
  ASSERT_EQ(SmallMedium::mount_memory("/dev/shm", mib), "");
  mounted_.push_back("/dev/shm");
  make_host();
  fill_again_and_again(campaign, client::Tier::ram, 200'000);
}

TEST_F(Media, full_disk_refuses_and_takes_again) {
  Campaign campaign("full_disk", 15);
  make_host();
  if (!mount_disk(host_->disk_root(), 16 * mib, 32 * mib)) GTEST_SKIP() << "SKIPPED: " << skipped_;
  fill_again_and_again(campaign, client::Tier::disk, 3 * mib);
}

TEST_F(Media, full_disk_of_the_repository_refuses_changes_until_there_is_room) {
  Campaign campaign("full_repository", 8);
  make_host();
  if (!mount_disk(host_->state_directory(), 16 * mib, 32 * mib)) {
    GTEST_SKIP() << "SKIPPED: " << skipped_;
  }
  int faults = 0;
  while (faults < campaign.count() && !HasFailure()) {
    ASSERT_TRUE(host_->start_ready()) << host_->log();
    client::Client client = host_->client();
    client::Client hurried = host_->client(300);
    const auto first = put(client, 1'000, campaign.draw(UINT64_MAX));
    ASSERT_TRUE(first.ok()) << first.status().to_string();
    kept_.push_back(*first);
    {
      const Ballast ballast(host_->state_directory());
      const Status refused = fill_tier(hurried, client::Tier::ram, 2'000, campaign);
      EXPECT_TRUE(refused.code() == Code::deadline_exceeded ||
                  said(refused) == "UNAVAILABLE JOURNAL_FULL")
          << refused.to_string();
      ++faults;
      expect_kept(hurried);
      if (campaign.chance(30)) host_->kill();
    }
    if (host_->running()) {
      EXPECT_TRUE(eventually([&] { return client.erase(first->descriptor.id).ok(); }));
    } else {
      ASSERT_TRUE(host_->start_ready()) << host_->log();
      client = host_->client();
      expect_kept(client);
      EXPECT_TRUE(client.erase(first->descriptor.id).ok());
    }
    std::erase_if(
        kept_, [&](const Stored& stored) { return stored.descriptor.id == first->descriptor.id; });
    expect_kept(client);
    // Those that nobody was told of may be there, too.
    const Status listed = client.list_each(
        {}, [&](const client::Summary& summary) { return client.erase(summary.id).ok(); });
    EXPECT_TRUE(listed.ok());
    kept_.clear();
    EXPECT_EQ(leftovers(*host_, client), "");
    ASSERT_EQ(host_->terminate()->code, 0);
  }
  campaign.tell(faults, "each refused in time, and taken again when there was room");
}

// The disk has room for more than stands behind it: writes succeed, and the sync does not.
TEST_F(Media, disk_that_loses_what_it_took_is_out_of_service_and_nothing_acknowledged_is_lost) {
  Campaign campaign("lying_sync", 20);
  int faults = 0;
  for (; faults < campaign.count() && !HasFailure(); ++faults) {
    SCOPED_TRACE("fault " + std::to_string(faults) + ", seed " + std::to_string(campaign.seed()));
    make_host();
    host_->options().shm_capacity_bytes = 96 * mib;
    host_->write_config();
    if (!mount_disk(host_->disk_root(), 64 * mib, 8 * mib)) GTEST_SKIP() << "SKIPPED: " << skipped_;
    ASSERT_TRUE(host_->start_ready()) << host_->log();
    client::Client client = host_->client();
    for (const client::Tier tier : {client::Tier::disk, client::Tier::ram}) {
      const auto stored =
          put(client, 1 + campaign.draw(300'000), campaign.draw(UINT64_MAX), {.tier = tier});
      ASSERT_TRUE(stored.ok()) << stored.status().to_string();
      kept_.push_back(*stored);
    }
    const bool by_commit = campaign.chance(60);
    const std::uint64_t large = (16 + campaign.draw(24)) * mib;
    if (by_commit) {
      const auto refused = put(client, large, 1, {.tier = client::Tier::disk});
      EXPECT_EQ(refused.status().code(), Code::data_loss) << refused.status().to_string();
    } else {
      const auto above = put(client, large, 2);
      ASSERT_TRUE(above.ok()) << above.status().to_string();
      kept_.push_back(*above);
      const auto spilled =
          client.spill(std::span(&above->descriptor.id, 1), {.to = client::Tier::disk});
      EXPECT_FALSE(spilled.ok() && spilled->front().status.ok())
          << "moved to where nothing is kept";
    }
    // A move goes past the page cache and hears of it by the write itself.
    const std::string in_service = by_commit ? "UNAVAILABLE TIER_FAILED" : "OK ";
    EXPECT_EQ(said(client.allocate(1'000, {.tier = client::Tier::disk}).status()), in_service);
    expect_kept(client);
    host_->kill();
    ASSERT_TRUE(host_->start_ready()) << host_->log();
    client = host_->client();
    EXPECT_EQ(said(client.allocate(1'000, {.tier = client::Tier::disk}).status()), in_service)
        << "a restart heals nothing";
    expect_kept(client);
    host_->kill();
    SmallMedium::unmount(mounted_.back());
    SmallMedium::unmount(mounted_[mounted_.size() - 2]);
    kept_.clear();
  }
  campaign.tell(faults, "each commit or move refused, nothing acknowledged lost");
}

}  // namespace
}  // namespace pm::faults
