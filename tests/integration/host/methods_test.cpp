#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <thread>

#include "answers.h"
#include "content.h"
#include "leftovers.h"

// What methods promise when they work: repeats, pages, the end of a life.

namespace pm::integration {
namespace {

class Methods : public testing::TestWithParam<const char*> {
 protected:
  Methods() : host_(host_options()) {}

  void SetUp() override {
    ASSERT_TRUE(host_.start_ready()) << host_.log();
    wire_ = std::make_unique<Wire>(host_);
  }

  static HostOptions host_options() {
    HostOptions options;
    options.repository = GetParam();
    return options;
  }

  HostProcess host_;
  std::unique_ptr<Wire> wire_;
};

TEST_P(Methods, a_commit_brings_the_next_allocation_along) {
  const auto commit = [&](const wire_catalog::CommitPayloadRequest& request,
                          wire_catalog::CommitPayloadResponse* response) {
    grpc::ClientContext context;
    return answer_of(wire_->catalog->CommitPayload(&context, request, response));
  };
  wire_catalog::CommitPayloadRequest request;
  *request.mutable_id() = wire_->make(wire_core::TIER_RAM, false);
  request.mutable_next()->set_size_bytes(6'000);
  wire_catalog::CommitPayloadResponse response;
  EXPECT_EQ(commit(request, &response), "FAILED_PRECONDITION TIER_UNSPECIFIED");
  request.mutable_next()->set_preferred_tier(wire_core::TIER_RAM);
  request.set_request_id("once");
  ASSERT_EQ(commit(request, &response), "OK");
  EXPECT_EQ(response.payload_descriptor().state(), wire_core::PAYLOAD_STATE_ACTIVE);
  EXPECT_EQ(response.next_descriptor().state(), wire_core::PAYLOAD_STATE_ALLOCATED);
  EXPECT_EQ(response.next_descriptor().size_bytes(), 6'000u);
  EXPECT_EQ(host_.segments().size(), 2u);

  wire_catalog::CommitPayloadResponse again;
  ASSERT_EQ(commit(request, &again), "OK");
  EXPECT_EQ(again.SerializeAsString(), response.SerializeAsString());
  EXPECT_EQ(host_.segments().size(), 2u) << "the repeat allocated once more";

  *request.mutable_id() = response.next_descriptor().payload_id();
  request.clear_request_id();
  request.mutable_next()->set_size_bytes(0);
  ASSERT_EQ(commit(request, &response), "OK") << "only the commit decides";
  EXPECT_FALSE(response.has_next_descriptor());
}

TEST_P(Methods, a_commit_that_fails_gives_the_next_allocation_back) {
  wire_catalog::CommitPayloadRequest request;
  *request.mutable_id() = wire_->make(wire_core::TIER_RAM);
  request.mutable_next()->set_size_bytes(6'000);
  request.mutable_next()->set_preferred_tier(wire_core::TIER_RAM);
  wire_catalog::CommitPayloadResponse response;
  grpc::ClientContext context;
  EXPECT_EQ(answer_of(wire_->catalog->CommitPayload(&context, request, &response)),
            "FAILED_PRECONDITION PAYLOAD_ALREADY_COMMITTED");
  EXPECT_TRUE(eventually([&] { return host_.segments().size() == 1u; }));
}

// PAYLOAD-6
TEST_P(Methods, a_repeated_request_id_acts_once_and_gets_the_same_answer) {
  wire_catalog::AllocatePayloadRequest request;
  request.set_size_bytes(5'000);
  request.set_preferred_tier(wire_core::TIER_RAM);
  request.set_request_id("allocate once");
  wire_core::PayloadDescriptor first;
  wire_core::PayloadDescriptor again;
  ASSERT_EQ(answer_of(wire_->allocate(request, &first)), "OK");
  ASSERT_EQ(answer_of(wire_->allocate(request, &again)), "OK");
  EXPECT_EQ(first.SerializeAsString(), again.SerializeAsString());
  EXPECT_EQ(host_.segments().size(), 1u);
  request.set_size_bytes(5'001);
  EXPECT_EQ(answer_of(wire_->allocate(request)), "INVALID_ARGUMENT REQUEST_ID_REUSED");

  const auto id = first.payload_id();
  ASSERT_EQ(answer_of(wire_->commit(id, "commit once", &first)), "OK");
  ASSERT_EQ(answer_of(wire_->commit(id, "commit once", &again)), "OK");
  EXPECT_EQ(first.SerializeAsString(), again.SerializeAsString());
  EXPECT_EQ(answer_of(wire_->commit(id, "another")),
            "FAILED_PRECONDITION PAYLOAD_ALREADY_COMMITTED");
  const auto other = wire_->make(wire_core::TIER_RAM, false);
  EXPECT_EQ(answer_of(wire_->commit(other, "commit once")), "INVALID_ARGUMENT REQUEST_ID_REUSED");

  if (host_.options().repository != "sqlite") return;
  host_.kill();
  ASSERT_TRUE(host_.start_ready()) << host_.log();
  Wire later(host_);
  ASSERT_EQ(answer_of(later.commit(id, "commit once", &again)), "OK") << "after a restart";
  EXPECT_EQ(first.SerializeAsString(), again.SerializeAsString());
  EXPECT_EQ(answer_of(later.commit(other, "commit once")), "INVALID_ARGUMENT REQUEST_ID_REUSED");
}

// PAYLOAD-6. The answer names a block that is no longer the payload's.
TEST(repeats, a_commit_is_answered_alike_when_the_payload_has_left_its_block) {
  HostOptions options;
  options.slab_bytes = 1 << 20;
  HostProcess host(options);
  ASSERT_TRUE(host.start_ready()) << host.log();
  Wire wire(host);
  wire_catalog::AllocatePayloadRequest request;
  request.set_size_bytes(5'000);
  request.set_preferred_tier(wire_core::TIER_RAM);
  request.set_layout(wire_catalog::MEMORY_LAYOUT_SLAB);
  wire_core::PayloadDescriptor first;
  ASSERT_EQ(answer_of(wire.allocate(request, &first)), "OK");
  const auto id = first.payload_id();
  ASSERT_EQ(answer_of(wire.commit(id, "commit once", &first)), "OK");
  ASSERT_NE(first.ram().slab_id(), 0u) << "not in the slab";
  ASSERT_EQ(answer_of(wire.erase(id)), "OK");
  client::Client client = host.client();
  ASSERT_EQ(leftovers(host, client), "");
  wire_core::PayloadDescriptor again;
  ASSERT_EQ(answer_of(wire.commit(id, "commit once", &again)), "OK");
  EXPECT_EQ(first.SerializeAsString(), again.SerializeAsString());
}

TEST_P(Methods, the_pages_of_a_list_show_each_payload_once_while_others_come_and_go) {
  client::Client client = host_.client();
  std::map<client::PayloadId, int> seen;
  for (std::uint64_t n = 0; n < 120; ++n) {
    const auto stored =
        put(client, 1 + n, n, {.tier = n % 3 == 0 ? client::Tier::disk : client::Tier::ram});
    ASSERT_TRUE(stored.ok()) << stored.status().to_string();
    seen[stored->descriptor.id] = 0;
  }
  std::atomic<bool> stop{false};
  std::atomic<int> came{0};
  std::thread others([&] {
    client::Client other = host_.client();
    for (std::uint64_t n = 0; !stop; ++n) {
      const auto stored = put(other, 100, n);
      if (!stored.ok() || !other.erase(stored->descriptor.id).ok()) break;
      ++came;
    }
  });
  std::thread movers([&] {
    client::Client other = host_.client();
    for (const auto& [id, count] : seen) {
      if (stop) break;
      // A payload that moves keeps its place in the order.
      (void)other.promote(id, client::Tier::ram);
      (void)other.spill(std::span(&id, 1), {.to = client::Tier::disk});
    }
  });
  for (int round = 0; round < 10; ++round) {
    for (auto& [id, count] : seen) count = 0;
    std::optional<client::WallTime> before;
    const Status status = client.list_each({.page_size = 7}, [&](const client::Summary& summary) {
      const auto found = seen.find(summary.id);
      if (found != seen.end()) ++found->second;
      EXPECT_TRUE(!before || summary.created_at <= before) << "not the newest first";
      before = summary.created_at;
      return true;
    });
    ASSERT_TRUE(status.ok()) << status.to_string();
    for (const auto& [id, count] : seen) EXPECT_EQ(count, 1) << id.to_string();
    sleep_ms(20);
  }
  stop = true;
  others.join();
  movers.join();
  EXPECT_GT(came, 10) << "nothing came and went";
  const auto page = client.list({.page_size = 10'000});
  ASSERT_TRUE(page.ok());
  EXPECT_EQ(page->total_count, 120);
  EXPECT_EQ(page->payloads.size(), 120u);
}

// PAYLOAD-3
TEST_P(Methods, a_payload_is_gone_when_its_time_to_live_has_ended) {
  client::Client client = host_.client();
  const auto brief = put(client, 5'000, 1, {.ttl_ms = 400});
  const auto kept = put(client, 5'000, 2, {.ttl_ms = 400, .no_evict = true});
  ASSERT_TRUE(brief.ok() && kept.ok());
  ASSERT_TRUE(brief->descriptor.expires_at.has_value());
  EXPECT_FALSE(kept->descriptor.expires_at.has_value());
  EXPECT_TRUE(digest_of(client, brief->descriptor.id).ok());
  EXPECT_TRUE(eventually(
      [&] { return client.resolve(brief->descriptor.id).status().code() == Code::not_found; }));
  EXPECT_TRUE(eventually([&] { return host_.segments().size() == 1; }));
  EXPECT_EQ(*digest_of(client, kept->descriptor.id), kept->digest);
}

TEST_P(Methods, what_a_vanished_client_held_is_free_after_its_time) {
  client::Client client = host_.client();
  const auto stored = put(client, 5'000, 1);
  ASSERT_TRUE(stored.ok()) << stored.status().to_string();
  const client::PayloadId id = stored->descriptor.id;
  const auto lease = client.lease(id, {.duration_ms = 500});
  ASSERT_TRUE(lease.ok());
  EXPECT_EQ(lease->duration_ms, 500u);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(client.erase(id).code(), Code::aborted);
  // Waiting for the lease is ended by its end.
  const auto spilled =
      client.spill(std::span(&id, 1), {.to = client::Tier::disk, .wait_for_leases = true});
  ASSERT_TRUE(spilled.ok());
  EXPECT_TRUE(spilled->front().status.ok()) << spilled->front().status.to_string();
  EXPECT_GT(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(400));
  EXPECT_EQ(client.stats()->leases_active, 0u);

  // An allocation that nobody commits; it dies with its time to live and the orphan grace.
  const auto forgotten = client.allocate(5'000, {.ttl_ms = 300});
  ASSERT_TRUE(forgotten.ok());
  sleep_ms(400);
  EXPECT_EQ(client.commit(forgotten->id).status().code(), Code::not_found);
  EXPECT_TRUE(eventually([&] { return host_.segments().empty(); }));
}

TEST_P(Methods, stats_count_each_payload_once_and_each_copy) {
  client::Client client = host_.client();
  const auto both = put(client, 5'000, 1, {.tier = client::Tier::disk});
  const auto memory = put(client, 6'000, 2);
  ASSERT_TRUE(both.ok() && memory.ok());
  ASSERT_TRUE(client.promote(both->descriptor.id, client::Tier::ram).ok());
  const auto lease = client.lease(memory->descriptor.id);
  ASSERT_TRUE(lease.ok());
  const auto stats = client.stats();
  ASSERT_TRUE(stats.ok());
  EXPECT_EQ(stats->ram.payloads, 2u);
  EXPECT_EQ(stats->ram.bytes, 11'000u);
  EXPECT_EQ(stats->disk.payloads, 0u);
  EXPECT_EQ(stats->leases_active, 1u);
  ASSERT_EQ(stats->tiers.size(), 3u);
  EXPECT_EQ(stats->tiers[0].name, "shm");
  EXPECT_EQ(stats->tiers[0].copies, 2u);
  EXPECT_EQ(stats->tiers[0].bytes_charged, 4u * 4096);
  EXPECT_EQ(stats->tiers[1].copies, 1u);
  EXPECT_EQ(stats->tiers[1].bytes_charged, 2u * 4096);
  EXPECT_EQ(stats->tiers[1].health, "ok");
}

INSTANTIATE_TEST_SUITE_P(repositories, Methods, testing::Values("sqlite", "memory"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace pm::integration
