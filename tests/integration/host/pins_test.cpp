#include <gtest/gtest.h>

#include "answers.h"

// Pins, prefetches and allocations that are given up.

namespace pm::integration {
namespace {

using Catalog = wire_services::PayloadCatalogService::Stub;

class Pins : public testing::TestWithParam<const char*> {
 protected:
  Pins() : host_(host_options()) {}

  void SetUp() override { connect(); }
  void connect() {
    ASSERT_TRUE(host_.start_ready()) << host_.log();
    wire_ = std::make_unique<Wire>(host_);
  }
  static HostOptions host_options() {
    HostOptions options;
    options.repository = GetParam();
    options.shm_capacity_bytes = 64 << 10;
    options.allocate_wait_ms_max = 300;
    return options;
  }

  grpc::Status pin(const wire_core::PayloadID& id, std::uint64_t duration_ms = 0) {
    wire_catalog::PinRequest request;
    *request.mutable_id() = id;
    request.set_duration_ms(duration_ms);
    return wire_->call(wire_->catalog, &Catalog::Pin, request, &empty_);
  }
  grpc::Status unpin(const wire_core::PayloadID& id) {
    wire_catalog::UnpinRequest request;
    *request.mutable_id() = id;
    return wire_->call(wire_->catalog, &Catalog::Unpin, request, &empty_);
  }
  grpc::Status prefetch(const wire_core::PayloadID& id, wire_core::Tier tier) {
    wire_catalog::PrefetchRequest request;
    *request.mutable_id() = id;
    request.set_target_tier(tier);
    return wire_->call(wire_->catalog, &Catalog::Prefetch, request, &empty_);
  }
  grpc::Status abort(const wire_core::PayloadID& id) {
    wire_catalog::AbortAllocationRequest request;
    *request.mutable_id() = id;
    return wire_->call(wire_->catalog, &Catalog::AbortAllocation, request, &empty_);
  }
  grpc::Status spill(const wire_core::PayloadID& id) {
    wire_catalog::SpillRequest request;
    *request.add_ids() = id;
    return wire_->spill(request);
  }
  wire_core::Tier tier_of(const wire_core::PayloadID& id) {
    wire_core::PayloadDescriptor descriptor;
    EXPECT_EQ(answer_of(wire_->resolve(id, &descriptor)), "OK");
    return descriptor.tier();
  }

  HostProcess host_;
  std::unique_ptr<Wire> wire_;
  google::protobuf::Empty empty_;
};

// PLACE-4
TEST_P(Pins, a_pinned_payload_stays_on_its_tier) {
  const auto id = wire_->make(wire_core::TIER_RAM);
  ASSERT_EQ(answer_of(pin(id)), "OK");
  EXPECT_EQ(answer_of(spill(id)), "ABORTED PAYLOAD_PINNED");
  // More than the tier holds: the others make room, the oldest does not.
  for (int n = 0; n < 20; ++n) wire_->make(wire_core::TIER_RAM);
  EXPECT_EQ(tier_of(id), wire_core::TIER_RAM);
  EXPECT_EQ(answer_of(unpin(id)), "OK");
  EXPECT_EQ(answer_of(unpin(id)), "OK") << "a second time";
  EXPECT_EQ(answer_of(spill(id)), "OK");
  ASSERT_EQ(answer_of(pin(id, 60'000)), "OK");
  EXPECT_EQ(answer_of(wire_->erase(id)), "OK") << "a pin holds up no delete";

  EXPECT_EQ(answer_of(pin(id)), "NOT_FOUND PAYLOAD_NOT_FOUND");
  EXPECT_EQ(answer_of(unpin(id)), "OK");
  EXPECT_EQ(answer_of(pin(id_of("short"))), "INVALID_ARGUMENT PAYLOAD_ID_MALFORMED");
  EXPECT_EQ(answer_of(unpin(id_of("short"))), "INVALID_ARGUMENT PAYLOAD_ID_MALFORMED");
  EXPECT_EQ(answer_of(pin(id, UINT64_MAX)), "INVALID_ARGUMENT DURATION_TOO_LONG");
}

// PLACE-5
TEST_P(Pins, a_pin_ends_by_its_time) {
  const auto id = wire_->make(wire_core::TIER_RAM);
  ASSERT_EQ(answer_of(pin(id, 300)), "OK");
  EXPECT_EQ(answer_of(spill(id)), "ABORTED PAYLOAD_PINNED");
  EXPECT_TRUE(eventually([&] { return spill(id).ok(); }));
}

// PLACE-5
TEST_P(Pins, a_pin_survives_a_restart) {
  if (host_.options().repository != "sqlite") GTEST_SKIP() << "the repository forgets";
  const auto id = wire_->make(wire_core::TIER_DISK);
  ASSERT_EQ(answer_of(pin(id)), "OK");
  host_.kill();
  connect();
  wire_catalog::SpillRequest request;
  *request.add_ids() = id;
  request.set_target_tier(wire_core::TIER_VOID);
  EXPECT_EQ(answer_of(wire_->spill(request)), "ABORTED PAYLOAD_PINNED");
}

// PLACE-6
TEST_P(Pins, a_prefetch_answers_at_once_and_moves_behind_the_answer) {
  const auto id = wire_->make(wire_core::TIER_DISK);
  EXPECT_EQ(answer_of(prefetch(id, wire_core::TIER_RAM)), "OK");
  EXPECT_TRUE(eventually([&] { return tier_of(id) == wire_core::TIER_RAM; }));
  EXPECT_EQ(answer_of(prefetch(id, wire_core::TIER_RAM)), "OK") << "already there";
  EXPECT_EQ(answer_of(prefetch(id, wire_core::TIER_DISK)), "OK") << "nothing goes down by a hint";
  EXPECT_EQ(tier_of(id), wire_core::TIER_RAM);
  EXPECT_EQ(answer_of(prefetch(id, wire_core::TIER_UNSPECIFIED)),
            "FAILED_PRECONDITION TIER_UNSPECIFIED");
  EXPECT_EQ(answer_of(prefetch(id, static_cast<wire_core::Tier>(77))),
            "FAILED_PRECONDITION TIER_UNKNOWN");
  EXPECT_EQ(answer_of(prefetch(id_of(std::string(16, 'x')), wire_core::TIER_RAM)),
            "NOT_FOUND PAYLOAD_NOT_FOUND");
}

// PAYLOAD-4
TEST_P(Pins, an_allocation_may_be_given_up_and_a_payload_may_not) {
  const auto id = wire_->make(wire_core::TIER_RAM, false);
  EXPECT_EQ(answer_of(abort(id)), "OK");
  EXPECT_EQ(answer_of(wire_->commit(id)), "NOT_FOUND PAYLOAD_NOT_FOUND");
  EXPECT_TRUE(eventually([&] { return host_.segments().empty(); }));
  EXPECT_EQ(answer_of(abort(id)), "NOT_FOUND PAYLOAD_NOT_FOUND");
  const auto committed = wire_->make(wire_core::TIER_RAM);
  EXPECT_EQ(answer_of(abort(committed)), "FAILED_PRECONDITION PAYLOAD_ALREADY_COMMITTED");
  EXPECT_EQ(answer_of(abort(id_of("short"))), "INVALID_ARGUMENT PAYLOAD_ID_MALFORMED");
}

INSTANTIATE_TEST_SUITE_P(repositories, Pins, testing::Values("sqlite", "memory"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace pm::integration
