#include <gtest/gtest.h>

#include <set>

#include "answers.h"
#include "content.h"

// Leases: how long, on what part, and who has them.

namespace pm::integration {
namespace {

using Data = wire_services::PayloadDataService::Stub;

class Leases : public testing::TestWithParam<const char*> {
 protected:
  Leases() : host_(host_options()) {}

  void SetUp() override {
    ASSERT_TRUE(host_.start_ready()) << host_.log();
    wire_ = std::make_unique<Wire>(host_);
  }
  static HostOptions host_options() {
    HostOptions options;
    options.repository = GetParam();
    return options;
  }

  static wire_runtime::AcquireReadLeaseRequest on(const wire_core::PayloadID& id) {
    wire_runtime::AcquireReadLeaseRequest request;
    *request.mutable_id() = id;
    return request;
  }
  grpc::Status renew(const wire_core::LeaseID& id, std::uint64_t duration_ms,
                     wire_runtime::RenewLeaseResponse* response = nullptr) {
    wire_runtime::RenewLeaseRequest request;
    *request.mutable_lease_id() = id;
    request.set_min_lease_duration_ms(duration_ms);
    wire_runtime::RenewLeaseResponse unused;
    return wire_->call(wire_->data, &Data::RenewLease, request,
                       response != nullptr ? response : &unused);
  }
  grpc::Status list(const wire_runtime::ListLeasesRequest& request,
                    wire_runtime::ListLeasesResponse* response) {
    return wire_->call(wire_->data, &Data::ListLeases, request, response);
  }

  HostProcess host_;
  std::unique_ptr<Wire> wire_;
};

// LEASE-3
TEST_P(Leases, a_renewed_lease_outlives_its_first_end) {
  const auto id = wire_->make(wire_core::TIER_RAM);
  auto request = on(id);
  request.set_min_lease_duration_ms(400);
  wire_runtime::AcquireReadLeaseResponse held;
  ASSERT_EQ(answer_of(wire_->lease(request, &held)), "OK");
  wire_runtime::RenewLeaseResponse renewed;
  ASSERT_EQ(answer_of(renew(held.lease_id(), 60'000, &renewed)), "OK");
  EXPECT_GE(renewed.lease_duration_ms(), 59'000u);
  sleep_ms(600);
  EXPECT_EQ(answer_of(wire_->erase(id)), "ABORTED PAYLOAD_LEASED");
  EXPECT_EQ(answer_of(wire_->release(held.lease_id())), "OK");
  EXPECT_EQ(answer_of(renew(held.lease_id(), 1)), "NOT_FOUND LEASE_NOT_FOUND");
  wire_core::LeaseID garbage;
  garbage.set_value("no lease");
  EXPECT_EQ(answer_of(renew(garbage, 1)), "INVALID_ARGUMENT LEASE_ID_MALFORMED");
}

// LEASE-4
TEST_P(Leases, a_lease_on_a_range_shows_where_that_range_is) {
  client::Client client = host_.client();
  for (const auto tier : {client::Tier::ram, client::Tier::disk}) {
    const auto stored = put(client, 100'000, 7, {.tier = tier});
    ASSERT_TRUE(stored.ok());
    const auto& bytes = stored->descriptor.id.bytes;
    const auto id = id_of({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    wire_runtime::AcquireReadLeaseResponse whole;
    wire_runtime::AcquireReadLeaseResponse part;
    auto request = on(id);
    ASSERT_EQ(answer_of(wire_->lease(request, &whole)), "OK");
    request.set_range_offset_bytes(10'000);
    request.set_range_length_bytes(5'000);
    ASSERT_EQ(answer_of(wire_->lease(request, &part)), "OK");
    EXPECT_EQ(part.payload_descriptor().size_bytes(), 100'000u);
    if (tier == client::Tier::ram) {
      const auto& ram = part.payload_descriptor().ram();
      EXPECT_EQ(ram.offset_bytes(), whole.payload_descriptor().ram().offset_bytes() + 10'000);
      EXPECT_EQ(ram.length_bytes(), 5'000u);
    } else {
      EXPECT_EQ(part.payload_descriptor().disk().offset_bytes(), 10'000u);
      EXPECT_EQ(part.payload_descriptor().disk().length_bytes(), 5'000u);
    }
    request.set_range_length_bytes(0);
    ASSERT_EQ(answer_of(wire_->lease(request, &part)), "OK");
    request.set_range_length_bytes(90'001);
    EXPECT_EQ(answer_of(wire_->lease(request)), "OUT_OF_RANGE RANGE_OUTSIDE_PAYLOAD");
    request.set_range_offset_bytes(UINT64_MAX);
    EXPECT_EQ(answer_of(wire_->lease(request)), "OUT_OF_RANGE RANGE_OUTSIDE_PAYLOAD");
  }
}

// LEASE-5
TEST_P(Leases, lists_have_each_lease_of_a_payload_and_of_a_holder_once) {
  const auto id = wire_->make(wire_core::TIER_RAM);
  const auto other = wire_->make(wire_core::TIER_DISK);
  std::set<std::string> mine;
  for (int n = 0; n < 25; ++n) {
    wire_runtime::AcquireReadLeaseResponse held;
    auto request = on(n % 5 == 0 ? other : id);
    request.set_holder(n % 2 == 0 ? "reader" : "");
    ASSERT_EQ(answer_of(wire_->lease(request, &held)), "OK");
    if (n % 2 == 0) mine.insert(held.lease_id().value());
  }
  wire_runtime::ListLeasesRequest request;
  request.set_holder("reader");
  request.set_page_size(4);
  std::set<std::string> seen;
  std::string other_token;
  while (true) {
    wire_runtime::ListLeasesResponse page;
    ASSERT_EQ(answer_of(list(request, &page)), "OK");
    for (const auto& lease : page.leases()) {
      EXPECT_TRUE(seen.insert(lease.lease_id().value()).second) << "twice";
      EXPECT_EQ(lease.holder(), "reader");
      EXPECT_GT(lease.expires_at().seconds(), 0);
    }
    if (page.next_page_token().empty()) break;
    other_token = page.next_page_token();
    request.set_page_token(page.next_page_token());
  }
  EXPECT_EQ(seen, mine);

  wire_runtime::ListLeasesResponse page;
  request.Clear();
  *request.mutable_id() = id;
  ASSERT_EQ(answer_of(list(request, &page)), "OK");
  EXPECT_EQ(page.leases_size(), 20);
  request.set_page_token(other_token);
  EXPECT_EQ(answer_of(list(request, &page)), "INVALID_ARGUMENT PAGE_TOKEN_INVALID");
  request.clear_page_token();
  request.set_holder("reader");
  EXPECT_EQ(answer_of(list(request, &page)), "INVALID_ARGUMENT SUBJECT_MISSING") << "both";
  request.Clear();
  EXPECT_EQ(answer_of(list(request, &page)), "INVALID_ARGUMENT SUBJECT_MISSING") << "none";
  request.set_holder("reader");
  request.set_page_size(-1);
  EXPECT_EQ(answer_of(list(request, &page)), "INVALID_ARGUMENT PAGE_SIZE_INVALID");
  auto lease = on(id);
  lease.set_holder(std::string(129, 'x'));
  EXPECT_EQ(answer_of(wire_->lease(lease)), "INVALID_ARGUMENT TEXT_TOO_LONG");
}

INSTANTIATE_TEST_SUITE_P(repositories, Leases, testing::Values("sqlite", "memory"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace pm::integration
