#include <gtest/gtest.h>

#include "answers.h"

// What the owner of a payload asked for holds on every path: eviction, spill, promotion, time.

namespace pm::integration {
namespace {

constexpr auto RAM = wire_core::TIER_RAM;
constexpr auto DISK = wire_core::TIER_DISK;
constexpr auto ARCHIVE = wire_core::TIER_OBJECT;
constexpr auto VOID = wire_core::TIER_VOID;

wire_core::EvictionPolicy priority(wire_core::EvictionPriority priority) {
  wire_core::EvictionPolicy policy;
  policy.set_priority(priority);
  return policy;
}

// Eight payloads of Wire::make() fit in memory, eight on disk, and all that do not in the archive.
class Retention : public testing::TestWithParam<const char*> {
 protected:
  static constexpr int room = 8;

  Retention() : host_(host_options()) {}
  void SetUp() override {
    ASSERT_TRUE(host_.start_ready()) << host_.log();
    wire_ = std::make_unique<Wire>(host_);
  }
  static HostOptions host_options() {
    HostOptions options;
    options.repository = GetParam();
    options.shm_capacity_bytes = room * 8'192;
    options.disk_capacity_bytes = room * 8'192;
    options.allocate_wait_ms_max = 2'000;
    options.disk_keys = "spill_to = \"archive\"\n";
    options.more =
        "[[tier]]\nname = \"archive\"\nplugin = \"org.payload-manager.tier-disk\"\nnumber = 4\n"
        "rank = 40\n[tier.config]\nroot = \"${state_directory}/archive\"\n";
    return options;
  }

  std::vector<wire_core::PayloadID> make_many(int count, wire_core::Tier tier,
                                              const wire_core::EvictionPolicy& policy = {}) {
    std::vector<wire_core::PayloadID> ids;
    for (int n = 0; n < count; ++n) ids.push_back(wire_->make(tier, true, policy));
    return ids;
  }
  std::string try_to_make(wire_core::Tier tier) {
    wire_catalog::AllocatePayloadRequest request;
    request.set_size_bytes(5'000);
    request.set_preferred_tier(tier);
    return answer_of(wire_->allocate(request));
  }
  wire_core::Tier tier_of(const wire_core::PayloadID& id) {
    wire_core::PayloadDescriptor descriptor;
    EXPECT_EQ(answer_of(wire_->resolve(id, &descriptor)), "OK");
    return descriptor.tier();
  }
  std::string spill(const wire_core::PayloadID& id, wire_core::Tier tier) {
    wire_catalog::SpillRequest request;
    *request.add_ids() = id;
    request.set_target_tier(tier);
    return answer_of(wire_->spill(request));
  }
  std::string promote(const wire_core::PayloadID& id, wire_core::Tier tier,
                      bool drop_source = false) {
    wire_catalog::PromoteRequest request;
    *request.mutable_id() = id;
    request.set_target_tier(tier);
    request.set_drop_source(drop_source);
    return answer_of(wire_->promote(request));
  }

  HostProcess host_;
  std::unique_ptr<Wire> wire_;
};

// PLACE-7
TEST_P(Retention, priority_orders_who_leaves) {
  const auto never = make_many(2, RAM, priority(wire_core::EVICTION_PRIORITY_NEVER));
  const auto high = make_many(2, RAM, priority(wire_core::EVICTION_PRIORITY_HIGH));
  const auto normal = make_many(2, RAM, priority(wire_core::EVICTION_PRIORITY_NORMAL));
  const auto low = make_many(2, RAM, priority(wire_core::EVICTION_PRIORITY_LOW));
  // The first low one is read, so that the other one is the first to go.
  wire_runtime::AcquireReadLeaseRequest read;
  *read.mutable_id() = low[0];
  wire_runtime::AcquireReadLeaseResponse lease;
  ASSERT_EQ(answer_of(wire_->lease(read, &lease)), "OK");
  ASSERT_EQ(answer_of(wire_->release(lease.lease_id())), "OK");
  for (const auto& id : {low[1], low[0], normal[0], normal[1], high[0], high[1]}) {
    ASSERT_EQ(tier_of(id), RAM);
    wire_->make(RAM, true, priority(wire_core::EVICTION_PRIORITY_NEVER));
    EXPECT_EQ(tier_of(id), DISK);
  }
  EXPECT_EQ(try_to_make(RAM), "RESOURCE_EXHAUSTED TIER_FULL");
  for (const auto& id : never) EXPECT_EQ(tier_of(id), RAM);
}

// PLACE-3
TEST_P(Retention, require_durable_holds_for_spill_eviction_and_promotion) {
  wire_core::EvictionPolicy policy;
  policy.set_require_durable(true);
  policy.set_spill_target(VOID);
  const auto ids = make_many(room, RAM, policy);
  EXPECT_EQ(spill(ids[0], VOID), "FAILED_PRECONDITION TARGET_NOT_DURABLE");
  EXPECT_EQ(spill(ids[0], wire_core::TIER_UNSPECIFIED), "FAILED_PRECONDITION TARGET_NOT_DURABLE");
  EXPECT_EQ(try_to_make(RAM), "RESOURCE_EXHAUSTED TIER_FULL") << "its target keeps nothing";
  ASSERT_EQ(spill(ids[0], DISK), "OK");
  EXPECT_EQ(promote(ids[0], RAM, true), "FAILED_PRECONDITION TARGET_NOT_DURABLE");
  ASSERT_EQ(promote(ids[0], RAM), "OK");
  EXPECT_EQ(try_to_make(RAM), "OK") << "what is above the durable copy may go";
  EXPECT_EQ(tier_of(ids[0]), DISK);
}

// PLACE-3
TEST_P(Retention, min_residency_tier_holds_for_spill_eviction_cascade_and_promotion_downwards) {
  wire_core::EvictionPolicy policy;
  policy.set_min_residency_tier(DISK);
  const auto ids = make_many(room, RAM, policy);
  EXPECT_EQ(spill(ids[0], ARCHIVE), "FAILED_PRECONDITION TARGET_BELOW_MIN_RESIDENCY");
  EXPECT_EQ(spill(ids[0], VOID), "FAILED_PRECONDITION TARGET_BELOW_MIN_RESIDENCY");
  EXPECT_EQ(promote(ids[0], ARCHIVE), "FAILED_PRECONDITION TARGET_BELOW_MIN_RESIDENCY");
  make_many(room, RAM, policy);
  for (const auto& id : ids) EXPECT_EQ(tier_of(id), DISK);
  // Now the disk is full of what may not leave it, and the memory of what may not skip it.
  EXPECT_EQ(try_to_make(DISK), "RESOURCE_EXHAUSTED TIER_FULL");
  EXPECT_EQ(try_to_make(RAM), "RESOURCE_EXHAUSTED TIER_FULL");
  for (const auto& id : ids) EXPECT_EQ(tier_of(id), DISK);
  EXPECT_EQ(answer_of(wire_->erase(ids[0])), "OK");
  EXPECT_EQ(try_to_make(RAM), "OK");
}

// PLACE-3
TEST_P(Retention, a_full_tier_below_sends_its_own_victims_further_down) {
  const auto kept = make_many(room / 2, DISK, priority(wire_core::EVICTION_PRIORITY_HIGH));
  const auto cold = make_many(room / 2, DISK, priority(wire_core::EVICTION_PRIORITY_LOW));
  const auto ids = make_many(room, RAM);
  make_many(room / 2, RAM);
  for (const auto& id : cold) EXPECT_EQ(tier_of(id), ARCHIVE);
  for (const auto& id : kept) EXPECT_EQ(tier_of(id), DISK);
  for (int n = 0; n < room / 2; ++n) EXPECT_EQ(tier_of(ids[static_cast<std::size_t>(n)]), DISK);
}

// PLACE-3, PLACE-8
TEST_P(Retention, spill_target_is_where_it_goes_also_when_that_keeps_nothing) {
  wire_core::EvictionPolicy far;
  far.set_spill_target(ARCHIVE);
  wire_core::EvictionPolicy ephemeral;
  ephemeral.set_spill_target(VOID);
  const auto archived = make_many(room / 2, RAM, far);
  const auto gone = make_many(room / 2, RAM, ephemeral);
  make_many(room, RAM);
  for (const auto& id : archived) EXPECT_EQ(tier_of(id), ARCHIVE);
  for (const auto& id : gone) {
    EXPECT_EQ(answer_of(wire_->resolve(id)), "NOT_FOUND PAYLOAD_NOT_FOUND");
  }
  const auto one = wire_->make(RAM, true, far);
  ASSERT_EQ(spill(one, wire_core::TIER_UNSPECIFIED), "OK");
  EXPECT_EQ(tier_of(one), ARCHIVE);
}

// PLACE-9
TEST_P(Retention, spill_targets_that_point_in_a_circle_do_no_harm) {
  wire_core::EvictionPolicy up;
  up.set_spill_target(RAM);
  wire_core::EvictionPolicy down;
  down.set_spill_target(DISK);
  const auto above = make_many(room, RAM, down);
  const auto below = make_many(room, DISK, up);
  make_many(room, RAM, down);
  for (const auto& id : above) EXPECT_EQ(tier_of(id), DISK);
  for (const auto& id : below) EXPECT_EQ(tier_of(id), ARCHIVE);
}

// PAYLOAD-3, PAYLOAD-7, LEASE-1
TEST_P(Retention, a_time_to_live_that_ends_during_a_lease_stalls_nobody) {
  wire_catalog::AllocatePayloadRequest request;
  request.set_size_bytes(5'000);
  request.set_preferred_tier(RAM);
  request.set_ttl_ms(1'000);
  wire_core::PayloadDescriptor leased;
  wire_core::PayloadDescriptor other;
  ASSERT_EQ(answer_of(wire_->allocate(request, &leased)), "OK");
  ASSERT_EQ(answer_of(wire_->allocate(request, &other)), "OK");
  ASSERT_EQ(answer_of(wire_->commit(leased.payload_id())), "OK");
  ASSERT_EQ(answer_of(wire_->commit(other.payload_id())), "OK");
  wire_runtime::AcquireReadLeaseRequest read;
  *read.mutable_id() = leased.payload_id();
  read.set_min_lease_duration_ms(60'000);
  wire_runtime::AcquireReadLeaseResponse lease;
  ASSERT_EQ(answer_of(wire_->lease(read, &lease)), "OK");
  for (const auto& descriptor : {leased, other}) {
    EXPECT_TRUE(eventually([&] {
      return answer_of(wire_->resolve(descriptor.payload_id())) == "NOT_FOUND PAYLOAD_NOT_FOUND";
    }));
  }
  EXPECT_EQ(answer_of(wire_->lease(read)), "NOT_FOUND PAYLOAD_NOT_FOUND");
  const std::string segment = lease.payload_descriptor().ram().shm_name().substr(1);
  EXPECT_TRUE(eventually([&] { return host_.segments().size() == 1; }));
  EXPECT_EQ(host_.segments().count(segment), 1u) << "the bytes of the lease";
  ASSERT_EQ(answer_of(wire_->release(lease.lease_id())), "OK");
  EXPECT_TRUE(eventually([&] { return host_.segments().empty(); }));
}

// PLACE-10
TEST_P(Retention, what_is_never_to_leave_has_no_time_to_live) {
  for (const bool by_flag : {true, false}) {
    wire_catalog::AllocatePayloadRequest request;
    request.set_size_bytes(5'000);
    request.set_preferred_tier(RAM);
    request.set_ttl_ms(100);
    request.set_no_evict(by_flag);
    if (!by_flag) {
      *request.mutable_eviction_policy() = priority(wire_core::EVICTION_PRIORITY_NEVER);
    }
    wire_core::PayloadDescriptor descriptor;
    ASSERT_EQ(answer_of(wire_->allocate(request, &descriptor)), "OK");
    EXPECT_FALSE(descriptor.has_expires_at());
    sleep_ms(300);
    EXPECT_EQ(answer_of(wire_->commit(descriptor.payload_id())), "OK");
  }
}

INSTANTIATE_TEST_SUITE_P(repositories, Retention, testing::Values("sqlite", "memory"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace pm::integration
