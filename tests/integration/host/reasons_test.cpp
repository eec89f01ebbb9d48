#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

#include "answers.h"
#include "content.h"

// The refusals that need something to go wrong: a writer, a medium, a repository, an end.

namespace pm::integration {
namespace {

using std::chrono::milliseconds;

class Reasons : public testing::TestWithParam<const char*> {
 protected:
  void begin(HostOptions options) {
    options.repository = GetParam();
    host_ = std::make_unique<HostProcess>(options);
    ASSERT_TRUE(host_->start_ready()) << host_->log();
    wire_ = std::make_unique<Wire>(*host_);
  }
  bool keeps_records() const { return host_->options().repository == "sqlite"; }

  grpc::Status lease(const wire_core::PayloadID& id,
                     wire_runtime::AcquireReadLeaseResponse* response = nullptr) {
    wire_runtime::AcquireReadLeaseRequest request;
    *request.mutable_id() = id;
    return wire_->lease(request, response);
  }
  grpc::Status allocate(std::uint64_t size_bytes) {
    wire_catalog::AllocatePayloadRequest request;
    request.set_size_bytes(size_bytes);
    request.set_preferred_tier(wire_core::TIER_RAM);
    return wire_->allocate(request);
  }

  std::unique_ptr<HostProcess> host_;
  std::unique_ptr<Wire> wire_;
};

TEST_P(Reasons, bytes_that_are_no_message_are_malformed) {
  begin({});
  grpc::GenericStub stub(host_->channel());
  const std::string garbage = "\xff\xff\xff no protobuf";
  const grpc::Slice slice(garbage);
  const grpc::ByteBuffer request(&slice, 1);
  for (const char* method : {"/payload.manager.services.v1.PayloadCatalogService/CommitPayload",
                             "/payload.manager.services.v1.PayloadDataService/ResolveSnapshot",
                             "/payload.manager.services.v1.PayloadAdminService/Stats"}) {
    grpc::ClientContext context;
    grpc::ByteBuffer response;
    std::promise<grpc::Status> done;
    stub.UnaryCall(&context, method, {}, &request, &response,
                   [&](grpc::Status status) { done.set_value(std::move(status)); });
    EXPECT_EQ(answer_of(done.get_future().get()), "INVALID_ARGUMENT REQUEST_MALFORMED") << method;
  }
}

TEST_P(Reasons, a_payload_has_one_operation_at_a_time) {
  begin({});
  const auto id = wire_->make(wire_core::TIER_RAM);
  wire_runtime::AcquireReadLeaseResponse held;
  ASSERT_EQ(answer_of(lease(id, &held)), "OK");
  wire_catalog::SpillRequest spill;
  *spill.add_ids() = id;
  spill.set_wait_for_leases(true);
  spill.set_policy(wire_core::SPILL_POLICY_BEST_EFFORT);
  ASSERT_EQ(answer_of(wire_->spill(spill)), "OK");
  EXPECT_EQ(answer_of(wire_->spill(spill)), "ABORTED PAYLOAD_BUSY");
  EXPECT_EQ(answer_of(wire_->release(held.lease_id())), "OK");
  EXPECT_TRUE(eventually([&] { return host_->files().size() == 1; }));
}

TEST_P(Reasons, a_writer_must_leave_the_length_alone) {
  begin({});
  wire_catalog::AllocatePayloadRequest request;
  request.set_size_bytes(100'000);
  request.set_preferred_tier(wire_core::TIER_RAM);
  wire_core::PayloadDescriptor descriptor;
  ASSERT_EQ(answer_of(wire_->allocate(request, &descriptor)), "OK");
  ASSERT_EQ(::truncate(("/dev/shm" + descriptor.ram().shm_name()).c_str(), 10), 0);
  EXPECT_EQ(answer_of(wire_->commit(descriptor.payload_id())),
            "FAILED_PRECONDITION WRITER_CHANGED_LENGTH");
}

TEST_P(Reasons, a_copy_that_is_not_what_was_committed_is_never_moved) {
  begin({});
  const auto id = wire_->make(wire_core::TIER_RAM);
  wire_catalog::SpillRequest spill;
  *spill.add_ids() = id;
  ASSERT_EQ(answer_of(wire_->spill(spill)), "OK");
  const auto files = host_->files();
  ASSERT_EQ(files.size(), 1u);
  const std::filesystem::path file = host_->disk_root() / *files.begin();
  std::filesystem::permissions(file, std::filesystem::perms::owner_all);
  std::fstream(file, std::ios::in | std::ios::out | std::ios::binary).put('!');
  wire_catalog::PromoteRequest promote;
  *promote.mutable_id() = id;
  promote.set_target_tier(wire_core::TIER_RAM);
  EXPECT_EQ(answer_of(wire_->promote(promote)), "DATA_LOSS CHECKSUM_MISMATCH");
  EXPECT_EQ(answer_of(lease(id)), "DATA_LOSS PAYLOAD_LOST") << "it was the only copy";
  EXPECT_EQ(answer_of(wire_->erase(id)), "OK");
}

TEST_P(Reasons, what_did_not_survive_is_lost_and_says_so) {
  begin({});
  if (!keeps_records()) GTEST_SKIP() << "the repository forgets";
  const auto id = wire_->make(wire_core::TIER_RAM);
  host_->kill();
  for (const std::string& name : host_->segments()) std::filesystem::remove("/dev/shm/" + name);
  ASSERT_TRUE(host_->start_ready()) << host_->log();
  wire_ = std::make_unique<Wire>(*host_);
  EXPECT_EQ(answer_of(lease(id)), "DATA_LOSS PAYLOAD_LOST");
  EXPECT_EQ(answer_of(wire_->erase(id)), "OK");
}

TEST_P(Reasons, those_who_wait_for_room_are_bounded_and_told_when_the_host_stops) {
  HostOptions options;
  options.shm_capacity_bytes = 1 << 20;
  options.allocate_wait_ms_max = 20'000;
  options.limits = "waiters_max = 2\n";
  begin(options);
  // All room is leased, so whoever comes waits.
  wire_catalog::AllocatePayloadRequest whole;
  whole.set_size_bytes(1 << 20);
  whole.set_preferred_tier(wire_core::TIER_RAM);
  wire_core::PayloadDescriptor full;
  ASSERT_EQ(answer_of(wire_->allocate(whole, &full)), "OK");
  ASSERT_EQ(answer_of(wire_->commit(full.payload_id())), "OK");
  wire_runtime::AcquireReadLeaseResponse held;
  ASSERT_EQ(answer_of(lease(full.payload_id(), &held)), "OK");
  wire_catalog::SpillRequest spill;
  *spill.add_ids() = full.payload_id();
  spill.set_wait_for_leases(true);
  spill.set_policy(wire_core::SPILL_POLICY_BEST_EFFORT);
  ASSERT_EQ(answer_of(wire_->spill(spill)), "OK") << "the first who waits";
  auto second = std::async(std::launch::async, [&] { return answer_of(allocate(1 << 20)); });
  ASSERT_EQ(second.wait_for(milliseconds(300)), std::future_status::timeout);
  EXPECT_EQ(answer_of(allocate(1 << 20)), "RESOURCE_EXHAUSTED TOO_MANY_WAITERS");
  host_->send(SIGTERM);
  EXPECT_EQ(second.get(), "UNAVAILABLE SHUTTING_DOWN");
}

TEST_P(Reasons, changes_are_refused_while_the_repository_does_not_keep_up) {
  HostOptions options;
  options.limits = "journal_records_max = 1\n";
  begin(options);
  if (!keeps_records()) GTEST_SKIP() << "nobody can hold up the repository";
  const auto first = wire_->make(wire_core::TIER_RAM, false);
  const auto second = wire_->make(wire_core::TIER_RAM, false);
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open((host_->state_directory() / "catalog.sqlite").c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  auto waiting = std::async(std::launch::async, [&] { return answer_of(wire_->commit(first)); });
  // Changes nothing, whenever it comes; but whether it may is asked first.
  const auto nothing = id_of(std::string(16, '\x11'));
  EXPECT_TRUE(eventually([&] {
    return answer_of(wire_->erase(nothing)) == "UNAVAILABLE JOURNAL_FULL";
  })) << "more is taken than can be written";
  EXPECT_EQ(answer_of(wire_->resolve(second)), "OK") << "a settled read does not wait";
  ASSERT_EQ(sqlite3_exec(other, "ROLLBACK", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(other);
  EXPECT_EQ(waiting.get(), "OK");
  EXPECT_TRUE(eventually([&] { return answer_of(wire_->erase(second)) == "OK"; }));
}

TEST_P(Reasons, a_tier_that_cannot_sync_takes_nothing_more) {
  HostOptions options;
  options.repository = GetParam();
  host_ = std::make_unique<HostProcess>(options);
  ASSERT_TRUE(host_->start_ready({{"PM_TIER_DISK_FAIL_FSYNC", "1"}})) << host_->log();
  wire_ = std::make_unique<Wire>(*host_);
  const auto id = wire_->make(wire_core::TIER_DISK, false);
  EXPECT_EQ(answer_of(wire_->commit(id)), "DATA_LOSS STORAGE_ERROR");
  EXPECT_EQ(answer_of(wire_->commit(id)), "UNAVAILABLE TIER_FAILED");
}

INSTANTIATE_TEST_SUITE_P(repositories, Reasons, testing::Values("sqlite", "memory"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace pm::integration
