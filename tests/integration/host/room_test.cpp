#include <gtest/gtest.h>

#include <future>

#include "content.h"
#include "host_process.h"

// Room on a small tier: who leaves, who stays, who waits.

namespace pm::integration {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::uint64_t capacity_bytes = 4 << 20;
constexpr std::uint64_t payload_bytes = 256 << 10;

class Room : public testing::TestWithParam<const char*> {
 protected:
  Room() : host_(host_options()) {}
  void SetUp() override { ASSERT_TRUE(host_.start_ready()) << host_.log(); }

  static HostOptions host_options() {
    HostOptions options;
    options.repository = GetParam();
    options.shm_capacity_bytes = capacity_bytes;
    options.allocate_wait_ms_max = 20'000;
    return options;
  }

  // Fills the memory tier with payloads that may not leave.
  std::vector<client::PayloadId> fill_for_good(client::Client& client) {
    std::vector<client::PayloadId> ids;
    for (std::uint64_t n = 0; n < capacity_bytes / payload_bytes; ++n) {
      const auto stored = put(client, payload_bytes, n, {.no_evict = true});
      EXPECT_TRUE(stored.ok()) << stored.status().to_string();
      if (stored.ok()) ids.push_back(stored->descriptor.id);
    }
    return ids;
  }

  HostProcess host_;
};

// PAYLOAD-2, PLACE-1, LEASE-1
TEST_P(Room, four_times_the_capacity_fits_as_the_oldest_move_to_disk) {
  client::Client client = host_.client();
  const auto leased = put(client, payload_bytes, 1'000);
  ASSERT_TRUE(leased.ok());
  auto reading = client.open(leased->descriptor.id);
  ASSERT_TRUE(reading.ok());

  std::vector<Stored> stored;
  for (std::uint64_t n = 0; n < 4 * capacity_bytes / payload_bytes; ++n) {
    auto one = put(client, payload_bytes, n);
    ASSERT_TRUE(one.ok()) << n << ": " << one.status().to_string();
    stored.push_back(*std::move(one));
    const auto stats = client.stats();
    ASSERT_TRUE(stats.ok());
    ASSERT_LE(stats->tiers.at(0).bytes_charged, capacity_bytes) << "more than the capacity";
  }
  const auto still = client.resolve(leased->descriptor.id);
  ASSERT_TRUE(still.ok());
  EXPECT_EQ(still->tier, client::Tier::ram) << "a leased payload was moved";
  EXPECT_EQ(sha256(reading->bytes()), leased->digest);

  // The newest are still in memory, the oldest on disk, in one piece, and all have their bytes.
  bool seen_memory = false;
  for (const Stored& one : stored) {
    const auto place = client.resolve(one.descriptor.id);
    ASSERT_TRUE(place.ok()) << place.status().to_string();
    if (place->tier == client::Tier::ram) seen_memory = true;
    EXPECT_EQ(place->tier, seen_memory ? client::Tier::ram : client::Tier::disk);
    const auto digest = digest_of(client, one.descriptor.id);
    ASSERT_TRUE(digest.ok()) << digest.status().to_string();
    EXPECT_EQ(*digest, one.digest);
  }
  EXPECT_TRUE(seen_memory);
  EXPECT_EQ(client.resolve(stored.front().descriptor.id)->state, client::State::durable);
}

// PAYLOAD-2
TEST_P(Room, an_allocation_waits_until_a_payload_is_deleted) {
  client::Client client = host_.client();
  const auto ids = fill_for_good(client);
  // On its way out, but held: room is coming, so the next one waits for it.
  auto held = client.lease(ids.at(0));
  ASSERT_TRUE(held.ok());
  ASSERT_TRUE(client.erase(ids.at(0), true).ok());
  auto waiting = std::async(std::launch::async, [this] {
    client::Client other = host_.client();
    return other.allocate(payload_bytes);
  });
  EXPECT_EQ(waiting.wait_for(milliseconds(400)), std::future_status::timeout);
  ASSERT_TRUE(client.release(held->id).ok());
  const auto begin = steady_clock::now();
  const auto allocated = waiting.get();
  EXPECT_TRUE(allocated.ok()) << allocated.status().to_string();
  EXPECT_LT(steady_clock::now() - begin, milliseconds(5'000));
}

// PAYLOAD-2
TEST_P(Room, a_wait_ends_with_the_deadline_of_the_caller) {
  client::Client client = host_.client();
  const auto ids = fill_for_good(client);
  auto held = client.lease(ids.at(0));
  ASSERT_TRUE(held.ok());
  ASSERT_TRUE(client.erase(ids.at(0), true).ok());
  client::Client hurried = host_.client(600);
  const auto begin = steady_clock::now();
  const auto refused = hurried.allocate(payload_bytes);
  const auto took = steady_clock::now() - begin;
  EXPECT_EQ(refused.status().code(), Code::resource_exhausted) << refused.status().to_string();
  EXPECT_EQ(refused.status().reason(), "TIER_FULL");
  EXPECT_GT(took, milliseconds(400)) << "did not wait";
  EXPECT_LT(took, milliseconds(2'000));
  // The one that gave up holds no room.
  ASSERT_TRUE(client.release(held->id).ok());
  EXPECT_TRUE(eventually([&] { return client.allocate(payload_bytes).ok(); }));
}

TEST_P(Room, a_tier_full_of_payloads_that_may_not_leave_refuses_at_once) {
  client::Client client = host_.client();
  const auto ids = fill_for_good(client);
  const auto begin = steady_clock::now();
  const auto refused = client.allocate(payload_bytes);
  EXPECT_EQ(refused.status().code(), Code::resource_exhausted) << refused.status().to_string();
  EXPECT_EQ(refused.status().reason(), "TIER_FULL");
  EXPECT_LT(steady_clock::now() - begin, milliseconds(5'000));
  const auto too_large = client.allocate(capacity_bytes + 1);
  EXPECT_EQ(too_large.status().reason(), "TIER_FULL") << too_large.status().to_string();
  for (const client::PayloadId& id : ids) {
    EXPECT_EQ(client.resolve(id)->tier, client::Tier::ram);
  }
  // A promotion into the full tier is refused the same way, and the payload stays readable.
  const auto below = put(client, payload_bytes, 99, {.tier = client::Tier::disk});
  ASSERT_TRUE(below.ok());
  const auto promoted = client.promote(below->descriptor.id, client::Tier::ram);
  EXPECT_EQ(promoted.status().reason(), "TIER_FULL") << promoted.status().to_string();
  EXPECT_EQ(*digest_of(client, below->descriptor.id), below->digest);
}

// PLACE-2
TEST_P(Room, promotion_keeps_the_durable_copy_and_dropping_it_must_be_asked_for) {
  client::Client client = host_.client();
  const auto stored = put(client, payload_bytes, 5, {.tier = client::Tier::disk});
  ASSERT_TRUE(stored.ok());
  const auto promoted = client.promote(stored->descriptor.id, client::Tier::ram);
  ASSERT_TRUE(promoted.ok()) << promoted.status().to_string();
  EXPECT_EQ(promoted->tier, client::Tier::ram);
  EXPECT_GT(promoted->version, stored->descriptor.version);
  ASSERT_EQ(host_.files().size(), 1u);
  EXPECT_TRUE(std::filesystem::exists(stored->descriptor.location.name));
  // Spilling then moves no bytes: the same file is shown again.
  const auto spilled = client.spill(std::span(&stored->descriptor.id, 1), {});
  ASSERT_TRUE(spilled.ok() && spilled->front().descriptor.has_value());
  EXPECT_EQ(spilled->front().descriptor->location.name, stored->descriptor.location.name);
  EXPECT_EQ(*digest_of(client, stored->descriptor.id), stored->digest);

  const auto moved =
      client.promote(stored->descriptor.id, client::Tier::ram, {.drop_source = true});
  ASSERT_TRUE(moved.ok()) << moved.status().to_string();
  EXPECT_TRUE(eventually([&] { return host_.files().empty(); }));
  EXPECT_EQ(*digest_of(client, stored->descriptor.id), stored->digest);
}

// A catalog in memory ends with the host; a later host must not take its files for orphans.
TEST_P(Room, what_memory_holds_survives_a_kill_as_far_as_the_catalog_does) {
  client::Client client = host_.client();
  const auto stored = put(client, payload_bytes, 6);
  const auto on_disk = put(client, payload_bytes, 7, {.tier = client::Tier::disk});
  ASSERT_TRUE(stored.ok() && on_disk.ok());
  host_.kill();
  host_.start();
  if (host_.options().repository == "memory") {
    EXPECT_FALSE(host_.wait_ready());
    EXPECT_NE(host_.log().find(host_.disk_root().string()), std::string::npos) << host_.log();
    EXPECT_EQ(host_.files().size(), 1u);
    return;
  }
  ASSERT_TRUE(host_.wait_ready()) << host_.log();
  client::Client later = host_.client();
  for (const Stored* one : {&*stored, &*on_disk}) {
    EXPECT_EQ(*digest_of(later, one->descriptor.id), one->digest);
    EXPECT_GE(later.resolve(one->descriptor.id)->version, one->descriptor.version);
  }
}

TEST_P(Room, what_is_granted_ahead_makes_nothing_leave) {
  client::Client client = host_.client();
  std::vector<Stored> stored;
  for (std::uint64_t n = 0; n < capacity_bytes / payload_bytes; ++n) {
    auto one = put(client, payload_bytes, n, {.ahead = true});
    ASSERT_TRUE(one.ok()) << one.status().to_string();
    stored.push_back(*std::move(one));
  }
  // The last commit asked for one more, too.
  EXPECT_EQ(client.stats()->tiers.at(0).copies, stored.size());
  for (const Stored& one : stored) {
    EXPECT_EQ(client.resolve(one.descriptor.id)->tier, client::Tier::ram);
    EXPECT_EQ(*digest_of(client, one.descriptor.id), one.digest);
  }
}

TEST_P(Room, what_was_granted_ahead_is_given_back_with_the_client) {
  client::Client watcher = host_.client();
  {
    client::Client client = host_.client();
    for (std::uint64_t n = 0; n < 3; ++n) {
      const auto stored = put(client, payload_bytes, n, {.ahead = true});
      ASSERT_TRUE(stored.ok()) << stored.status().to_string();
      EXPECT_EQ(*digest_of(watcher, stored->descriptor.id), stored->digest);
    }
    EXPECT_EQ(watcher.stats()->tiers.at(0).copies, 4u);
  }
  EXPECT_TRUE(eventually([&] { return watcher.stats()->tiers.at(0).copies == 3u; }));
}

INSTANTIATE_TEST_SUITE_P(repositories, Room, testing::Values("sqlite", "memory"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace pm::integration
