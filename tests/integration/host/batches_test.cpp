#include <gtest/gtest.h>

#include "answers.h"

// Many requests in one call.

namespace pm::integration {
namespace {

using Catalog = wire_services::PayloadCatalogService::Stub;
using Data = wire_services::PayloadDataService::Stub;

class Batches : public testing::TestWithParam<const char*> {
 protected:
  Batches() : host_(host_options()) {}

  void SetUp() override {
    ASSERT_TRUE(host_.start_ready()) << host_.log();
    wire_ = std::make_unique<Wire>(host_);
  }
  static HostOptions host_options() {
    HostOptions options;
    options.repository = GetParam();
    return options;
  }
  template <typename Method, typename Request, typename Response>
  std::string catalog(Method method, const Request& request, Response* response) {
    return answer_of(wire_->call(wire_->catalog, method, request, response));
  }
  template <typename Method, typename Request, typename Response>
  std::string data(Method method, const Request& request, Response* response) {
    return answer_of(wire_->call(wire_->data, method, request, response));
  }

  HostProcess host_;
  std::unique_ptr<Wire> wire_;
};

// PAYLOAD-5
TEST_P(Batches, every_item_has_an_outcome_of_its_own_in_its_place) {
  wire_catalog::BatchAllocateRequest allocate;
  wire_catalog::BatchAllocateResponse allocated;
  for (int n = 0; n < 50; ++n) {
    auto& item = *allocate.add_items();
    item.set_size_bytes(n % 10 == 3 ? 0 : 1'000 + static_cast<std::uint64_t>(n));
    item.set_preferred_tier(n % 10 == 4 ? wire_core::TIER_VOID : wire_core::TIER_RAM);
  }
  ASSERT_EQ(catalog(&Catalog::BatchAllocate, allocate, &allocated), "OK");
  ASSERT_EQ(allocated.outcomes_size(), 50);
  wire_catalog::BatchCommitRequest commit;
  wire_catalog::BatchCommitResponse committed;
  for (int n = 0; n < 50; ++n) {
    const auto& outcome = allocated.outcomes(n);
    const char* expected = n % 10 == 3   ? "INVALID_ARGUMENT SIZE_INVALID"
                           : n % 10 == 4 ? "INVALID_ARGUMENT TIER_KEEPS_NO_BYTES"
                                         : "OK";
    EXPECT_EQ(answer_of(outcome.status()), expected) << n;
    const auto& descriptor = outcome.response().payload_descriptor();
    if (outcome.status().code() == 0) {
      EXPECT_EQ(descriptor.size_bytes(), 1'000u + static_cast<unsigned>(n));
    }
    *commit.add_items()->mutable_id() = descriptor.payload_id();
  }
  ASSERT_EQ(catalog(&Catalog::BatchCommit, commit, &committed), "OK");
  wire_runtime::BatchAcquireReadLeaseRequest acquire;
  wire_runtime::BatchAcquireReadLeaseResponse acquired;
  for (int n = 0; n < 50; ++n) {
    const bool made = allocated.outcomes(n).status().code() == 0;
    EXPECT_EQ(answer_of(committed.outcomes(n).status()),
              made ? "OK" : "INVALID_ARGUMENT PAYLOAD_ID_MALFORMED");
    *acquire.add_items()->mutable_id() = commit.items(n).id();
  }
  ASSERT_EQ(data(&Data::BatchAcquireReadLease, acquire, &acquired), "OK");
  wire_runtime::BatchReleaseLeaseRequest release;
  wire_runtime::BatchReleaseLeaseResponse released;
  wire_catalog::BatchDeleteRequest erase;
  wire_catalog::BatchDeleteResponse erased;
  for (int n = 0; n < 50; ++n) {
    const auto& outcome = acquired.outcomes(n);
    if (outcome.status().code() == 0) {
      EXPECT_EQ(outcome.response().lease_id().value().size(), 16u);
    }
    *release.add_items()->mutable_lease_id() = outcome.response().lease_id();
    *erase.add_items()->mutable_id() = commit.items(n).id();
  }
  ASSERT_EQ(catalog(&Catalog::BatchDelete, erase, &erased), "OK");
  EXPECT_EQ(answer_of(erased.outcomes(0).status()), "ABORTED PAYLOAD_LEASED");
  ASSERT_EQ(data(&Data::BatchReleaseLease, release, &released), "OK");
  ASSERT_EQ(catalog(&Catalog::BatchDelete, erase, &erased), "OK");
  EXPECT_EQ(answer_of(erased.outcomes(0).status()), "OK");
  EXPECT_EQ(answer_of(erased.outcomes(3).status()), "INVALID_ARGUMENT PAYLOAD_ID_MALFORMED");
  EXPECT_TRUE(eventually([&] { return host_.segments().empty(); }));
}

// PAYLOAD-5
TEST_P(Batches, an_item_may_be_repeated_in_another_batch_or_alone) {
  wire_catalog::BatchAllocateRequest allocate;
  wire_catalog::BatchAllocateResponse first;
  wire_catalog::BatchAllocateResponse again;
  auto& item = *allocate.add_items();
  item.set_size_bytes(1'000);
  item.set_preferred_tier(wire_core::TIER_RAM);
  item.set_request_id("once");
  ASSERT_EQ(catalog(&Catalog::BatchAllocate, allocate, &first), "OK");
  *allocate.add_items() = item;
  ASSERT_EQ(catalog(&Catalog::BatchAllocate, allocate, &again), "OK");
  wire_core::PayloadDescriptor alone;
  ASSERT_EQ(answer_of(wire_->allocate(allocate.items(0), &alone)), "OK");
  const std::string id = first.outcomes(0).response().payload_descriptor().payload_id().value();
  EXPECT_EQ(again.outcomes(0).response().payload_descriptor().payload_id().value(), id);
  EXPECT_EQ(again.outcomes(1).response().payload_descriptor().payload_id().value(), id);
  EXPECT_EQ(alone.payload_id().value(), id);
}

// PAYLOAD-5
TEST_P(Batches, have_one_to_a_thousand_items) {
  wire_catalog::BatchCommitRequest commit;
  wire_catalog::BatchCommitResponse committed;
  EXPECT_EQ(catalog(&Catalog::BatchCommit, commit, &committed), "INVALID_ARGUMENT NO_ITEMS");
  for (int n = 0; n < 1'000; ++n) {
    commit.add_items()->mutable_id()->set_value(std::string(16, 'x'));
  }
  ASSERT_EQ(catalog(&Catalog::BatchCommit, commit, &committed), "OK");
  ASSERT_EQ(committed.outcomes_size(), 1'000);
  EXPECT_EQ(answer_of(committed.outcomes(999).status()), "NOT_FOUND PAYLOAD_NOT_FOUND");
  commit.add_items();
  EXPECT_EQ(catalog(&Catalog::BatchCommit, commit, &committed), "INVALID_ARGUMENT TOO_MANY_ITEMS");
}

INSTANTIATE_TEST_SUITE_P(repositories, Batches, testing::Values("sqlite", "memory"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace pm::integration
