#include <gtest/gtest.h>

#include "answers.h"

// What each method says to what it cannot do: the code and the reason.

namespace pm::integration {
namespace {

class Errors : public testing::TestWithParam<const char*> {
 protected:
  Errors() : host_(host_options()) {}

  void SetUp() override {
    ASSERT_TRUE(host_.start_ready()) << host_.log();
    wire_ = std::make_unique<Wire>(host_);
  }
  void TearDown() override {
    ASSERT_TRUE(host_.running() && !host_.wait_exit(std::chrono::milliseconds(0)))
        << "the host ended\n"
        << host_.log();
  }

  static HostOptions host_options() {
    HostOptions options;
    options.repository = GetParam();
    options.shm_capacity_bytes = 1 << 20;
    options.allocate_wait_ms_max = 300;
    return options;
  }

  static wire_core::PayloadID unknown() { return id_of(std::string(16, '\x22')); }

  HostProcess host_;
  std::unique_ptr<Wire> wire_;
};

TEST_P(Errors, every_method_that_takes_an_id_refuses_unknown_and_malformed_ones) {
  using Call = std::function<grpc::Status(const wire_core::PayloadID&)>;
  const std::pair<const char*, Call> methods[] = {
      {"CommitPayload", [&](const auto& id) { return wire_->commit(id); }},
      {"Delete", [&](const auto& id) { return wire_->erase(id); }},
      {"Delete by force", [&](const auto& id) { return wire_->erase(id, true); }},
      {"ResolveSnapshot", [&](const auto& id) { return wire_->resolve(id); }},
      {"AcquireReadLease",
       [&](const auto& id) {
         wire_runtime::AcquireReadLeaseRequest request;
         *request.mutable_id() = id;
         return wire_->lease(request);
       }},
      {"Promote",
       [&](const auto& id) {
         wire_catalog::PromoteRequest request;
         *request.mutable_id() = id;
         request.set_target_tier(wire_core::TIER_RAM);
         return wire_->promote(request);
       }},
  };
  for (const auto& [name, call] : methods) {
    EXPECT_EQ(answer_of(call(unknown())), "NOT_FOUND PAYLOAD_NOT_FOUND") << name;
    for (const std::size_t length : {0, 1, 15, 17, 4096}) {
      EXPECT_EQ(answer_of(call(id_of(std::string(length, 'x')))),
                "INVALID_ARGUMENT PAYLOAD_ID_MALFORMED")
          << name << " with " << length << " bytes";
    }
  }
  wire_catalog::SpillRequest spill;
  *spill.add_ids() = unknown();
  EXPECT_EQ(answer_of(wire_->spill(spill)), "NOT_FOUND PAYLOAD_NOT_FOUND");
  *spill.mutable_ids(0) = id_of("short");
  EXPECT_EQ(answer_of(wire_->spill(spill)), "INVALID_ARGUMENT PAYLOAD_ID_MALFORMED");
  for (int n = 0; n < 256; ++n) *spill.add_ids() = unknown();
  EXPECT_EQ(answer_of(wire_->spill(spill)), "INVALID_ARGUMENT TOO_MANY_ITEMS");
}

TEST_P(Errors, allocate_checks_its_request) {
  struct Case {
    const char* what;
    std::function<void(wire_catalog::AllocatePayloadRequest&)> change;
    const char* answer;
  };
  const auto tier = [](int number) { return static_cast<wire_core::Tier>(number); };
  const Case cases[] = {
      {"a good request", [](auto&) {}, "OK"},
      {"no bytes", [](auto& r) { r.set_size_bytes(0); }, "INVALID_ARGUMENT SIZE_INVALID"},
      {"too many", [](auto& r) { r.set_size_bytes((128ULL << 30) + 1); },
       "INVALID_ARGUMENT SIZE_INVALID"},
      {"2^64-1 bytes", [](auto& r) { r.set_size_bytes(UINT64_MAX); },
       "INVALID_ARGUMENT SIZE_INVALID"},
      {"more than the tier has", [](auto& r) { r.set_size_bytes((1 << 20) + 1); },
       "RESOURCE_EXHAUSTED TIER_FULL"},
      {"no tier", [&](auto& r) { r.set_preferred_tier(tier(0)); },
       "FAILED_PRECONDITION TIER_UNSPECIFIED"},
      {"a tier that is not configured", [&](auto& r) { r.set_preferred_tier(tier(1)); },
       "FAILED_PRECONDITION TIER_UNKNOWN"},
      {"a number that nobody has", [&](auto& r) { r.set_preferred_tier(tier(4711)); },
       "FAILED_PRECONDITION TIER_UNKNOWN"},
      {"a negative number", [&](auto& r) { r.set_preferred_tier(tier(-1)); },
       "FAILED_PRECONDITION TIER_UNKNOWN"},
      {"the void", [&](auto& r) { r.set_preferred_tier(tier(5)); },
       "INVALID_ARGUMENT TIER_KEEPS_NO_BYTES"},
      {"a priority that does not exist",
       [](auto& r) {
         r.mutable_eviction_policy()->set_priority(static_cast<wire_core::EvictionPriority>(9));
       },
       "INVALID_ARGUMENT EVICTION_PRIORITY_UNKNOWN"},
      {"a spill target that does not exist",
       [&](auto& r) { r.mutable_eviction_policy()->set_spill_target(tier(77)); },
       "FAILED_PRECONDITION TIER_UNKNOWN"},
      {"a life of ages", [](auto& r) { r.set_ttl_ms(UINT64_MAX); },
       "INVALID_ARGUMENT TTL_TOO_LONG"},
  };
  for (const Case& item : cases) {
    wire_catalog::AllocatePayloadRequest request;
    request.set_size_bytes(5'000);
    request.set_preferred_tier(wire_core::TIER_RAM);
    item.change(request);
    EXPECT_EQ(answer_of(wire_->allocate(request)), item.answer) << item.what;
  }
  EXPECT_TRUE(eventually([&] { return host_.segments().size() == 1; }))
      << "a refused allocation left something";
}

// PAYLOAD-1
TEST_P(Errors, what_is_not_committed_can_only_be_written_and_deleted) {
  const auto id = wire_->make(wire_core::TIER_RAM, false);
  wire_runtime::AcquireReadLeaseRequest lease;
  *lease.mutable_id() = id;
  EXPECT_EQ(answer_of(wire_->lease(lease)), "FAILED_PRECONDITION PAYLOAD_NOT_COMMITTED");
  wire_catalog::PromoteRequest promote;
  *promote.mutable_id() = id;
  promote.set_target_tier(wire_core::TIER_RAM);
  EXPECT_EQ(answer_of(wire_->promote(promote)), "FAILED_PRECONDITION PAYLOAD_NOT_COMMITTED");
  wire_catalog::SpillRequest spill;
  *spill.add_ids() = id;
  EXPECT_EQ(answer_of(wire_->spill(spill)), "FAILED_PRECONDITION PAYLOAD_NOT_COMMITTED");
  wire_core::PayloadDescriptor descriptor;
  EXPECT_EQ(answer_of(wire_->resolve(id, &descriptor)), "OK");
  EXPECT_EQ(descriptor.state(), wire_core::PAYLOAD_STATE_ALLOCATED);
  EXPECT_EQ(answer_of(wire_->commit(id)), "OK");
  EXPECT_EQ(answer_of(wire_->commit(id)), "FAILED_PRECONDITION PAYLOAD_ALREADY_COMMITTED");
  EXPECT_EQ(answer_of(wire_->erase(id)), "OK");
  EXPECT_EQ(answer_of(wire_->commit(id)), "NOT_FOUND PAYLOAD_NOT_FOUND");
}

// LEASE-2, LEASE-6
TEST_P(Errors, a_leased_payload_is_not_moved_or_deleted_unless_forced) {
  const auto id = wire_->make(wire_core::TIER_RAM);
  wire_runtime::AcquireReadLeaseRequest lease;
  *lease.mutable_id() = id;
  wire_runtime::AcquireReadLeaseResponse held;
  ASSERT_EQ(answer_of(wire_->lease(lease, &held)), "OK");
  EXPECT_EQ(answer_of(wire_->erase(id)), "ABORTED PAYLOAD_LEASED");
  wire_catalog::SpillRequest spill;
  *spill.add_ids() = id;
  EXPECT_EQ(answer_of(wire_->spill(spill)), "ABORTED PAYLOAD_LEASED");
  EXPECT_EQ(answer_of(wire_->release(held.lease_id())), "OK");
  EXPECT_EQ(answer_of(wire_->release(held.lease_id())), "OK") << "a second release is fine";
  EXPECT_EQ(answer_of(wire_->spill(spill)), "OK");

  ASSERT_EQ(answer_of(wire_->lease(lease, &held)), "OK");
  EXPECT_EQ(answer_of(wire_->erase(id, true)), "OK");
  EXPECT_EQ(answer_of(wire_->lease(lease)), "NOT_FOUND PAYLOAD_NOT_FOUND");
  EXPECT_FALSE(host_.files().empty()) << "a forced delete took the bytes from a reader";
  EXPECT_EQ(answer_of(wire_->release(held.lease_id())), "OK");
  EXPECT_TRUE(eventually([&] { return host_.files().empty(); }));
  wire_core::LeaseID garbage;
  garbage.set_value("no lease");
  EXPECT_EQ(answer_of(wire_->release(garbage)), "OK");
}

TEST_P(Errors, leases_keep_to_min_tier_and_mode) {
  const auto id = wire_->make(wire_core::TIER_DISK);
  wire_runtime::AcquireReadLeaseRequest lease;
  *lease.mutable_id() = id;
  lease.set_mode(static_cast<wire_core::LeaseMode>(2));
  EXPECT_EQ(answer_of(wire_->lease(lease)), "FAILED_PRECONDITION LEASE_MODE_UNSUPPORTED");
  lease.set_mode(wire_core::LEASE_MODE_READ);
  lease.set_min_tier(static_cast<wire_core::Tier>(77));
  EXPECT_EQ(answer_of(wire_->lease(lease)), "FAILED_PRECONDITION TIER_UNKNOWN");
  lease.set_min_tier(wire_core::TIER_RAM);
  lease.set_promotion_policy(wire_core::PROMOTION_POLICY_BEST_EFFORT);
  EXPECT_EQ(answer_of(wire_->lease(lease)), "FAILED_PRECONDITION MIN_TIER_NOT_MET");
  lease.set_promotion_policy(wire_core::PROMOTION_POLICY_BLOCKING);
  wire_runtime::AcquireReadLeaseResponse held;
  EXPECT_EQ(answer_of(wire_->lease(lease, &held)), "OK");
  EXPECT_EQ(held.payload_descriptor().tier(), wire_core::TIER_RAM);
  lease.set_min_tier(wire_core::TIER_DISK);
  lease.set_min_lease_duration_ms(UINT64_MAX);
  EXPECT_EQ(answer_of(wire_->lease(lease, &held)), "OK");
  EXPECT_EQ(held.lease_duration_ms(), 120'000u) << "longer than leases.max_ms";
}

// PLACE-3
TEST_P(Errors, moves_check_their_target) {
  const auto on_disk = wire_->make(wire_core::TIER_DISK);
  const auto in_memory = wire_->make(wire_core::TIER_RAM);
  wire_core::EvictionPolicy policy;
  policy.set_min_residency_tier(wire_core::TIER_RAM);
  const auto stays = wire_->make(wire_core::TIER_RAM, true, policy);
  policy.Clear();
  policy.set_require_durable(true);
  const auto durable = wire_->make(wire_core::TIER_DISK, true, policy);
  struct Spill {
    const char* what;
    wire_core::PayloadID id;
    int to;
    const char* answer;
  };
  const Spill spills[] = {
      {"to a faster tier", on_disk, 2, "FAILED_PRECONDITION TARGET_NOT_SLOWER"},
      {"to where it is", on_disk, 3, "OK"},
      {"below its residency", stays, 3, "FAILED_PRECONDITION TARGET_BELOW_MIN_RESIDENCY"},
      {"to the void, although durable", durable, 5, "FAILED_PRECONDITION TARGET_NOT_DURABLE"}};
  for (const Spill& item : spills) {
    wire_catalog::SpillRequest spill;
    *spill.add_ids() = item.id;
    spill.set_target_tier(static_cast<wire_core::Tier>(item.to));
    EXPECT_EQ(answer_of(wire_->spill(spill)), item.answer) << item.what;
  }
  wire_catalog::SpillRequest away;
  *away.add_ids() = in_memory;
  away.set_target_tier(static_cast<wire_core::Tier>(77));
  EXPECT_EQ(answer_of(wire_->spill(away)), "FAILED_PRECONDITION TIER_UNKNOWN");
  away.set_target_tier(wire_core::TIER_VOID);
  EXPECT_EQ(answer_of(wire_->spill(away)), "OK");
  EXPECT_EQ(answer_of(wire_->resolve(in_memory)), "NOT_FOUND PAYLOAD_NOT_FOUND");

  struct Promotion {
    const char* what;
    wire_core::PayloadID id;
    int to;
    bool drop_source;
    const char* answer;
  };
  const Promotion promotions[] = {
      {"no target", on_disk, 0, false, "FAILED_PRECONDITION TIER_UNSPECIFIED"},
      {"an unknown one", on_disk, 77, false, "FAILED_PRECONDITION TIER_UNKNOWN"},
      {"the void", on_disk, 5, false, "INVALID_ARGUMENT TIER_KEEPS_NO_BYTES"},
      {"a durable payload gives its disk up", durable, 2, true,
       "FAILED_PRECONDITION TARGET_NOT_DURABLE"},
      {"and keeps it", durable, 2, false, "OK"},
      {"to where it is", on_disk, 3, false, "OK"}};
  for (const Promotion& item : promotions) {
    wire_catalog::PromoteRequest promote;
    *promote.mutable_id() = item.id;
    promote.set_target_tier(static_cast<wire_core::Tier>(item.to));
    promote.set_drop_source(item.drop_source);
    EXPECT_EQ(answer_of(wire_->promote(promote)), item.answer) << item.what;
  }
}

TEST_P(Errors, lists_refuse_pages_that_are_none) {
  wire_->make(wire_core::TIER_RAM);
  wire_->make(wire_core::TIER_RAM);
  wire_catalog::ListPayloadsRequest list;
  list.set_page_size(-1);
  EXPECT_EQ(answer_of(wire_->list(list)), "INVALID_ARGUMENT PAGE_SIZE_INVALID");
  list.set_page_size(1);
  wire_catalog::ListPayloadsResponse page;
  ASSERT_EQ(answer_of(wire_->list(list, &page)), "OK");
  ASSERT_FALSE(page.next_page_token().empty());
  const std::string token = page.next_page_token();
  for (const std::string& garbage :
       {std::string("garbage"), token + "x", " " + token, std::string("1.0."),
        std::string("1.0.-1"), std::string("2.0.1"), std::string("1.0.99999999999999999999999"),
        std::string(100'000, '1')}) {
    list.set_page_token(garbage);
    EXPECT_EQ(answer_of(wire_->list(list)), "INVALID_ARGUMENT PAGE_TOKEN_INVALID")
        << garbage.substr(0, 40);
  }
  list.set_page_token(token);
  list.set_tier_filter(wire_core::TIER_DISK);
  EXPECT_EQ(answer_of(wire_->list(list)), "INVALID_ARGUMENT PAGE_TOKEN_INVALID")
      << "a token of another filter";
}

INSTANTIATE_TEST_SUITE_P(repositories, Errors, testing::Values("sqlite", "memory"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace pm::integration
