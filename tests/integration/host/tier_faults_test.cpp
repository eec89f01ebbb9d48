#include <gtest/gtest.h>

#include <future>

#include "content.h"
#include "host_process.h"
#include "leftovers.h"

// What clients see of a disk that is full, hangs, fails or gives other bytes than it was given, and
// that all is well afterwards. The disk tier stands behind tier-fault.

namespace pm::integration {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::uint64_t payload_bytes = 300'000;
constexpr std::uint64_t long_payload_bytes = (9 << 20) + 1;  // Several chunks, in the background.
constexpr std::uint64_t shm_capacity_bytes = 20 << 20;

std::string fault(const std::string& kind, const std::string& operation,
                  const std::string& more = {}) {
  return "[[fault]]\nkind = '" + kind + "'\noperation = '" + operation + "'\n" + more + "\n";
}
std::string error(const std::string& operation, const std::string& status,
                  const std::string& more = {}) {
  return fault("error", operation, "status = '" + status + "'\n" + more);
}

class DiskFaults : public testing::Test {
 protected:
  DiskFaults() : host_(host_options()), client_(connected()) {}

  static HostOptions host_options() {
    HostOptions options;
    options.disk_faults = true;
    options.shm_capacity_bytes = shm_capacity_bytes;
    options.allocate_wait_ms_max = 3'000;
    // Here each fault is looked at by itself; sick_tier_test.cpp has those that last.
    options.disk_keys = "failures_max = 1000000\n";
    return options;
  }
  client::Client connected() {
    if (!host_.start_ready()) throw std::runtime_error(host_.log());
    return host_.client();
  }
  void TearDown() override {
    if (HasFailure()) std::fprintf(stderr, "%s\n", host_.log().c_str());
  }

  client::PayloadId stored_on(client::Tier tier, std::uint64_t seed,
                              std::uint64_t bytes = payload_bytes) {
    const auto stored = put(client_, bytes, seed, {.tier = tier});
    EXPECT_TRUE(stored.ok()) << stored.status().to_string();
    if (!stored.ok()) return {};
    kept_.push_back(*stored);
    return stored->descriptor.id;
  }
  Status spill(const client::PayloadId& id) { return spill(client_, id); }
  static Status spill(client::Client& client, const client::PayloadId& id) {
    const auto spilled = client.spill(std::span(&id, 1), {.to = client::Tier::disk});
    return spilled.ok() ? spilled->front().status : spilled.status();
  }
  Status promote(const client::PayloadId& id) {
    return client_.promote(id, client::Tier::ram).status();
  }
  static std::string said(const Status& status) {
    return std::string(code_name(status.code())) + " " + status.reason();
  }
  // Everything that was stored can be read where it is, moves, and goes, and nothing stays.
  void expect_all_well() {
    host_.set_disk_faults("");
    for (const Stored& stored : kept_) {
      const client::PayloadId& id = stored.descriptor.id;
      EXPECT_EQ(*digest_of(client_, id), stored.digest);
      EXPECT_EQ(said(promote(id)), "OK ");
      EXPECT_EQ(said(spill(id)), "OK ");
      EXPECT_EQ(client_.resolve(id)->tier, client::Tier::disk);
      EXPECT_EQ(*digest_of(client_, id), stored.digest);
      EXPECT_TRUE(client_.erase(id).ok());
    }
    EXPECT_EQ(leftovers(host_, client_), "");
    const auto exit = host_.terminate();
    ASSERT_TRUE(exit.has_value());
    EXPECT_EQ(exit->code, 0);
  }

  HostProcess host_;
  client::Client client_;
  std::vector<Stored> kept_;
};

TEST_F(DiskFaults, a_full_disk_refuses_and_takes_again_when_it_has_room) {
  stored_on(client::Tier::disk, 1);
  const auto up = stored_on(client::Tier::ram, 2);
  host_.set_disk_faults(fault("full", "allocate"));
  EXPECT_EQ(said(client_.allocate(payload_bytes, {.tier = client::Tier::disk}).status()),
            "RESOURCE_EXHAUSTED TIER_FULL");
  EXPECT_EQ(said(spill(up)), "RESOURCE_EXHAUSTED TIER_FULL");
  // Room for moves is taken as they write.
  host_.set_disk_faults(fault("full", "write"));
  EXPECT_EQ(said(spill(up)), "RESOURCE_EXHAUSTED TIER_FULL");
  EXPECT_EQ(client_.resolve(up)->tier, client::Tier::ram);
  EXPECT_EQ(host_.files().size(), 1u) << "half a copy stayed on disk";
  expect_all_well();
}

TEST_F(DiskFaults, memory_that_cannot_be_spilled_to_a_full_disk_refuses_in_time) {
  host_.set_disk_faults(fault("full", "allocate"));
  Status refused;
  const auto begin = steady_clock::now();
  for (unsigned n = 0; n < 100 && refused.ok(); ++n) {
    const auto stored = put(client_, payload_bytes, n);
    refused = stored.status();
    if (stored.ok()) kept_.push_back(*stored);
  }
  EXPECT_EQ(said(refused), "RESOURCE_EXHAUSTED TIER_FULL");
  EXPECT_LT(steady_clock::now() - begin, milliseconds(15'000));
  EXPECT_EQ(kept_.size(), shm_capacity_bytes / payload_bytes);
  host_.set_disk_faults("");
  stored_on(client::Tier::ram, 100);
  expect_all_well();
}

TEST_F(DiskFaults, who_allocates_on_a_hanging_disk_hears_by_its_deadline_and_others_go_on) {
  const auto down = stored_on(client::Tier::disk, 1);
  host_.set_disk_faults(fault("hang", "allocate"));
  client::Client hurried = host_.client(300);
  for (int n = 0; n < 4; ++n) {
    const auto begin = steady_clock::now();
    const auto refused = hurried.allocate(payload_bytes, {.tier = client::Tier::disk});
    EXPECT_EQ(refused.status().code(), Code::deadline_exceeded) << refused.status().to_string();
    EXPECT_LT(steady_clock::now() - begin, milliseconds(2'000));
  }
  const auto up = stored_on(client::Tier::ram, 2);
  EXPECT_EQ(client_.resolve(up)->tier, client::Tier::ram);
  EXPECT_EQ(*digest_of(client_, down), kept_.front().digest);
  // What was allocated for those who gave up is given back.
  expect_all_well();
}

TEST_F(DiskFaults, a_commit_on_a_hanging_disk_is_unknown_until_the_disk_goes_on) {
  const auto allocated = client_.allocate(payload_bytes, {.tier = client::Tier::disk});
  ASSERT_TRUE(allocated.ok());
  const client::PayloadId& id = allocated->id;
  host_.set_disk_faults(fault("hang", "seal"));
  client::Client hurried = host_.client(300);
  EXPECT_EQ(hurried.commit(id).status().code(), Code::deadline_exceeded);
  EXPECT_EQ(said(hurried.commit(id).status()), "ABORTED PAYLOAD_BUSY");
  EXPECT_EQ(said(hurried.erase(id, true)), "ABORTED PAYLOAD_BUSY");
  EXPECT_EQ(said(hurried.lease(id).status()), "FAILED_PRECONDITION PAYLOAD_NOT_COMMITTED");
  stored_on(client::Tier::ram, 2);
  host_.set_disk_faults("");
  EXPECT_TRUE(eventually([&] { return client_.resolve(id)->state == client::State::durable; }));
  EXPECT_TRUE(client_.erase(id).ok());
  expect_all_well();
}

TEST_F(DiskFaults, a_payload_can_be_read_while_its_spill_hangs) {
  const auto up = stored_on(client::Tier::ram, 1);
  for (const char* operation : {"allocate", "write", "seal"}) {
    host_.set_disk_faults(fault("hang", operation));
    client::Client hurried = host_.client(300);
    EXPECT_EQ(spill(hurried, up).code(), Code::deadline_exceeded) << operation;
    EXPECT_EQ(client_.resolve(up)->tier, client::Tier::ram);
    EXPECT_EQ(*digest_of(client_, up), kept_.front().digest);
    host_.set_disk_faults("");
    EXPECT_TRUE(eventually([&] { return client_.resolve(up)->tier == client::Tier::disk; }))
        << "the spill did not go on";
    EXPECT_TRUE(client_.promote(up, client::Tier::ram, {.drop_source = true}).ok());
    EXPECT_TRUE(eventually([&] { return host_.files().empty(); }));
  }
  expect_all_well();
}

// PAYLOAD-2
TEST_F(DiskFaults, who_needs_room_while_spills_hang_is_refused_by_its_deadline) {
  constexpr std::uint64_t count = shm_capacity_bytes / payload_bytes;
  for (std::uint64_t n = 0; n < count; ++n) stored_on(client::Tier::ram, n);
  host_.set_disk_faults(fault("hang", "write"));
  client::Client hurried = host_.client(600);
  for (int n = 0; n < 3; ++n) {
    EXPECT_EQ(said(hurried.allocate(payload_bytes).status()), "RESOURCE_EXHAUSTED TIER_FULL");
  }
  EXPECT_EQ(*digest_of(client_, kept_.front().descriptor.id), kept_.front().digest);
  host_.set_disk_faults("");
  stored_on(client::Tier::ram, count);
  expect_all_well();
}

TEST_F(DiskFaults, a_host_that_is_killed_while_moves_hang_has_all_payloads_afterwards) {
  const auto up = stored_on(client::Tier::ram, 1, long_payload_bytes);
  const auto down = stored_on(client::Tier::disk, 2);
  client::Client hurried = host_.client(300);
  host_.set_disk_faults(fault("hang", "seal") + fault("hang", "read"));
  EXPECT_EQ(spill(hurried, up).code(), Code::deadline_exceeded);
  EXPECT_EQ(hurried.promote(down, client::Tier::ram).status().code(), Code::deadline_exceeded);
  EXPECT_EQ(host_.files().size(), 2u);
  host_.kill();
  host_.set_disk_faults("");
  ASSERT_TRUE(host_.start_ready()) << host_.log();
  client_ = host_.client();
  EXPECT_TRUE(eventually([&] { return host_.files().size() == 1; })) << "half a copy stays";
  expect_all_well();
}

TEST_F(DiskFaults, an_error_of_the_disk_refuses_the_move_and_changes_nothing) {
  const auto up = stored_on(client::Tier::ram, 1);
  const auto down = stored_on(client::Tier::disk, 2);
  for (const char* status : {"INTERNAL", "UNAVAILABLE", "PERMISSION_DENIED"}) {
    for (const char* operation : {"allocate", "write", "seal"}) {
      host_.set_disk_faults(error(operation, status));
      EXPECT_EQ(said(spill(up)), std::string(status) + " STORAGE_ERROR") << operation;
      EXPECT_EQ(client_.resolve(up)->tier, client::Tier::ram);
      EXPECT_EQ(*digest_of(client_, up), kept_.front().digest);
      EXPECT_EQ(host_.files().size(), 1u) << operation;
    }
    host_.set_disk_faults(error("read", status));
    EXPECT_EQ(said(promote(down)), std::string(status) + " STORAGE_ERROR");
    EXPECT_EQ(client_.resolve(down)->tier, client::Tier::disk);
    EXPECT_EQ(client_.stats()->tiers.at(0).copies, 1u) << "half a copy stays in memory";
  }
  expect_all_well();
}

TEST_F(DiskFaults, a_commit_that_the_disk_refused_can_be_repeated) {
  for (const char* status : {"INTERNAL", "UNAVAILABLE", "RESOURCE_EXHAUSTED", "CANCELLED"}) {
    const auto allocated = client_.allocate(payload_bytes, {.tier = client::Tier::disk});
    ASSERT_TRUE(allocated.ok());
    host_.set_disk_faults(error("seal", status));
    EXPECT_EQ(said(client_.commit(allocated->id).status()), std::string(status) + " STORAGE_ERROR");
    EXPECT_EQ(client_.resolve(allocated->id)->state, client::State::allocated);
    host_.set_disk_faults("");
    EXPECT_TRUE(client_.commit(allocated->id).ok());
    EXPECT_TRUE(client_.erase(allocated->id).ok());
  }
  expect_all_well();
}

TEST_F(DiskFaults, a_remove_that_fails_is_tried_again) {
  const auto down = stored_on(client::Tier::disk, 2);
  kept_.clear();
  host_.set_disk_faults(error("remove", "UNAVAILABLE"));
  EXPECT_TRUE(client_.erase(down).ok());
  EXPECT_EQ(client_.resolve(down).status().code(), Code::not_found);
  EXPECT_TRUE(host_.wait_log("takes effect", std::chrono::seconds(10)));
  EXPECT_EQ(client_.stats()->tiers.at(1).copies, 1u) << "its room is free while its bytes stay";
  expect_all_well();
}

// CHECKSUM-3
TEST_F(DiskFaults, bytes_that_were_spoilt_on_their_way_down_are_never_promoted) {
  const auto spoilt = stored_on(client::Tier::ram, 1);
  stored_on(client::Tier::ram, 2);
  host_.set_disk_faults(fault("corrupt", "write"));
  EXPECT_EQ(said(spill(spoilt)), "OK ");
  host_.set_disk_faults("");
  EXPECT_EQ(said(promote(spoilt)), "DATA_LOSS CHECKSUM_MISMATCH");
  EXPECT_EQ(said(promote(spoilt)), "DATA_LOSS PAYLOAD_LOST");
  EXPECT_EQ(said(client_.lease(spoilt).status()), "DATA_LOSS PAYLOAD_LOST");
  EXPECT_TRUE(client_.erase(spoilt).ok());
  kept_.erase(kept_.begin());
  expect_all_well();
}

// CHECKSUM-3
TEST_F(DiskFaults, bytes_that_are_spoilt_on_their_way_up_are_never_served) {
  const auto allocated = client_.allocate(payload_bytes, {.tier = client::Tier::disk});
  ASSERT_TRUE(allocated.ok());
  const client::PayloadId& id = allocated->id;
  ASSERT_TRUE(client_.commit(id, {}, {client::ChecksumAlgorithm::sha256}).ok());
  host_.set_disk_faults(fault("corrupt", "read"));
  EXPECT_EQ(said(promote(id)), "DATA_LOSS CHECKSUM_MISMATCH");
  EXPECT_EQ(client_.stats()->tiers.at(0).copies, 0u);
  EXPECT_TRUE(client_.erase(id).ok());
  expect_all_well();
}

TEST_F(DiskFaults, one_bad_read_costs_no_payload) {
  const auto id = stored_on(client::Tier::ram, 1);
  EXPECT_EQ(said(spill(id)), "OK ");
  host_.set_disk_faults(fault("corrupt", "read", "repeat = 'once'"));
  EXPECT_EQ(said(promote(id)), "OK ");
  EXPECT_TRUE(host_.wait_log("takes effect", std::chrono::seconds(10)));
  EXPECT_TRUE(host_.wait_log("is read again", std::chrono::seconds(10)));
  expect_all_well();
}

// The first call fails, the second, ... until all of it runs without a fault.
TEST_F(DiskFaults, whichever_call_fails_nothing_is_lost_or_left) {
  const std::string calls = "['allocate', 'read', 'write', 'seal', 'remove', 'submit']";
  int faults = 0;
  const std::pair<const char*, std::uint64_t> runs[] = {{"INTERNAL", long_payload_bytes},
                                                        {"UNAVAILABLE", payload_bytes}};
  for (const auto& [status, bytes] : runs) {
    for (int nth = 1, is_clean = 0; is_clean == 0; ++nth) {
      ASSERT_LT(nth, 100) << "faults without an end";
      const auto id = stored_on(client::Tier::ram, static_cast<std::uint64_t>(nth), bytes);
      const Digest digest = kept_.back().digest;
      kept_.clear();
      const std::size_t log_begin = host_.log().size();
      host_.set_disk_faults("[[fault]]\nkind = 'error'\nstatus = '" + std::string(status) +
                            "'\noperation = " + calls + "\nnth = " + std::to_string(nth) + "\n");
      const Status down = spill(id);
      EXPECT_EQ(*digest_of(client_, id), digest) << "after the spill, " << nth;
      const Status up = client_.promote(id, client::Tier::ram, {.drop_source = true}).status();
      EXPECT_EQ(*digest_of(client_, id), digest) << "after the promote, " << nth;
      for (const Status& each : {down, up}) {
        EXPECT_TRUE(each.ok() || code_name(each.code()) == std::string(status)) << each.to_string();
      }
      EXPECT_TRUE(client_.erase(id).ok());
      EXPECT_EQ(leftovers(host_, client_), "") << "after call " << nth;
      is_clean = host_.log().find("takes effect", log_begin) == std::string::npos ? 1 : 0;
      faults += 1 - is_clean;
    }
  }
  std::printf("%d faults, one in each run\n", faults);
  EXPECT_GT(faults, 10);
  expect_all_well();
}

}  // namespace
}  // namespace pm::integration
