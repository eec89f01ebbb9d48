#include <gtest/gtest.h>

#include "content.h"
#include "host_process.h"

// After a failed fsync the kernel may have dropped the pages and says OK the next time. So the tier
// is out of service until an operator says otherwise.

namespace pm::integration {
namespace {

std::string health_of(client::Client& client, const std::string& tier) {
  const auto stats = client.stats();
  if (!stats) return stats.status().to_string();
  for (const client::TierStats& row : stats->tiers) {
    if (row.name == tier) return row.health;
  }
  return "there is no such tier";
}

TEST(Fsync, a_tier_whose_fsync_failed_is_out_of_service_until_an_operator_trusts_it) {
  HostProcess host;
  client::PayloadId durable;
  client::PayloadId refused;
  Digest digest;
  {
    ASSERT_TRUE(host.start_ready()) << host.log();
    client::Client client = host.client();
    const auto stored = put(client, 10'000, 1, {.tier = client::Tier::disk});
    ASSERT_TRUE(stored.ok()) << stored.status().to_string();
    durable = stored->descriptor.id;
    digest = stored->digest;
    ASSERT_EQ(host.terminate()->code, 0);
  }
  {
    SCOPED_TRACE("the first fsync of this life fails");
    ASSERT_TRUE(host.start_ready({{"PM_TIER_DISK_FAIL_FSYNC", "1"}})) << host.log();
    client::Client client = host.client();
    const auto allocated = client.allocate(10'000, {.tier = client::Tier::disk});
    ASSERT_TRUE(allocated.ok()) << allocated.status().to_string();
    refused = allocated->id;
    EXPECT_EQ(client.commit(refused).status().code(), Code::data_loss);
    EXPECT_EQ(health_of(client, "disk"), "failed");
    EXPECT_FALSE(client.lease(refused).ok()) << "what was not synced can be read";

    const Status next = client.allocate(10'000, {.tier = client::Tier::disk}).status();
    EXPECT_EQ(next.code(), Code::unavailable) << next.to_string();
    EXPECT_EQ(next.reason(), "TIER_FAILED");
    EXPECT_EQ(client.commit(refused).status().reason(), "TIER_FAILED");
    const auto memory = put(client, 10'000, 2);
    ASSERT_TRUE(memory.ok()) << "another tier does not go on: " << memory.status().to_string();
    EXPECT_EQ(health_of(client, "shm"), "ok");
    const auto spilled =
        client.spill(std::span(&memory->descriptor.id, 1), {.to = client::Tier::disk});
    ASSERT_TRUE(spilled.ok());
    EXPECT_EQ(spilled->front().status.code(), Code::unavailable);
    EXPECT_EQ(*digest_of(client, durable), digest) << "what was synced before is not readable";
    host.kill();
  }
  {
    SCOPED_TRACE("a restart does not heal it");
    ASSERT_TRUE(host.start_ready()) << host.log();
    client::Client client = host.client();
    EXPECT_EQ(health_of(client, "disk"), "failed");
    EXPECT_EQ(client.allocate(10'000, {.tier = client::Tier::disk}).status().reason(),
              "TIER_FAILED");
    EXPECT_NE(host.log().find("--trust-tier disk"), std::string::npos)
        << "the log does not say what to do: " << host.log();
    EXPECT_EQ(client.resolve(refused).status().code(), Code::not_found);
    EXPECT_EQ(*digest_of(client, durable), digest);
    ASSERT_EQ(host.terminate()->code, 0);
  }
  {
    SCOPED_TRACE("an operator trusts it again");
    ASSERT_TRUE(host.start_ready({}, {"--trust-tier", "disk"})) << host.log();
    client::Client client = host.client();
    EXPECT_EQ(health_of(client, "disk"), "ok");
    const auto stored = put(client, 10'000, 3, {.tier = client::Tier::disk});
    ASSERT_TRUE(stored.ok()) << stored.status().to_string();
    ASSERT_EQ(host.terminate()->code, 0);
  }
  {
    SCOPED_TRACE("and that is remembered");
    ASSERT_TRUE(host.start_ready()) << host.log();
    client::Client client = host.client();
    EXPECT_EQ(health_of(client, "disk"), "ok");
    EXPECT_EQ(*digest_of(client, durable), digest);
    ASSERT_EQ(host.terminate()->code, 0);
  }
}

}  // namespace
}  // namespace pm::integration
