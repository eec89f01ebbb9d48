#include <gtest/gtest.h>

#include <filesystem>
#include <thread>
#include <vector>

#include "answers.h"
#include "content.h"
#include "host_process.h"
#include "leftovers.h"
#include "payload/manager/admin/v1/scrub.pb.h"

// A disk that hangs, or fails again and again, is put out of service, and is used again when it
// works, without a restart. Meanwhile clients hear so at once, and all else goes on.

namespace pm::integration {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::uint64_t payload_bytes = 300'000;
constexpr std::uint64_t long_payload_bytes = (9 << 20) + 1;  // Several chunks, in the background.
constexpr std::uint64_t shm_capacity_bytes = 20 << 20;
constexpr int exit_hung = 6;  // pm-host: stopped, but a plugin's call did not come back.
// A call may take 300 ms; this is until a client has heard of one that took longer.
constexpr milliseconds given_up_within{5'000};
constexpr milliseconds at_once{1'000};

std::string fault(const std::string& kind, const std::string& operation,
                  const std::string& more = {}) {
  const std::string key = operation.empty() ? "" : "operation = " + operation + "\n";
  return "[[fault]]\nkind = '" + kind + "'\n" + key + more + "\n";
}
std::string error(const std::string& operation, const std::string& more = {}) {
  return fault("error", operation, "status = 'UNAVAILABLE'\n" + more);
}
// The tier does not look at the call's deadline.
std::string hang(const std::string& operation, bool is_deaf = true) {
  return fault("hang", operation, is_deaf ? "ignores_deadline = true" : "");
}
constexpr const char* all_calls = "['allocate', 'read', 'write', 'seal', 'remove', 'submit']";

std::string said(const Status& status) {
  return std::string(code_name(status.code())) + " " + status.reason();
}

class SickTier : public testing::Test {
 protected:
  SickTier() : host_(host_options()), client_(connected()) {}

  static HostOptions host_options() {
    HostOptions options;
    options.disk_faults = true;
    options.shm_capacity_bytes = shm_capacity_bytes;
    options.drain_ms_max = 1'000;
    options.allocate_wait_ms_max = 3'000;
    options.disk_keys =
        "call_ms_max = 300\nfailures_max = 4\nprobe_ms_min = 50\nprobe_ms_max = 200\n";
    return options;
  }
  client::Client connected() {
    if (!host_.start_ready()) throw std::runtime_error(host_.log());
    return host_.client();
  }
  void restart() {
    ASSERT_EQ(host_.terminate()->code, 0);
    host_.write_config();
    ASSERT_TRUE(host_.start_ready()) << host_.log();
    client_ = host_.client();
  }
  void TearDown() override {
    if (HasFailure()) std::fprintf(stderr, "%s\n", host_.whole_log().c_str());
  }

  client::PayloadId stored_on(client::Tier tier, std::uint64_t seed,
                              std::uint64_t bytes = payload_bytes) {
    const auto stored = put(client_, bytes, seed, {.tier = tier});
    EXPECT_TRUE(stored.ok()) << stored.status().to_string();
    if (!stored.ok()) return {};
    kept_.push_back(*stored);
    return stored->descriptor.id;
  }
  Status spill(const client::PayloadId& id) {
    const auto spilled = client_.spill(std::span(&id, 1), {.to = client::Tier::disk});
    return spilled.ok() ? spilled->front().status : spilled.status();
  }
  Status promote(const client::PayloadId& id) {
    return client_.promote(id, client::Tier::ram).status();
  }
  Status allocate() {
    return client_.allocate(payload_bytes, {.tier = client::Tier::disk}).status();
  }
  std::string health() {
    const auto stats = client_.stats();
    if (!stats.ok()) return stats.status().to_string();
    return stats->tiers.at(1).health;
  }
  bool comes_to_be(const std::string& wanted) {
    return eventually([&] { return health() == wanted; });
  }
  // Everything that is kept can be read where it is, and what is new goes elsewhere.
  void expect_refused_at_once() {
    EXPECT_TRUE(comes_to_be("degraded"));
    const auto begin = steady_clock::now();
    EXPECT_EQ(said(allocate()), "UNAVAILABLE TIER_DEGRADED");
    for (const Stored& stored : kept_) {
      EXPECT_EQ(*digest_of(client_, stored.descriptor.id), stored.digest);
    }
    EXPECT_TRUE(put(client_, payload_bytes, 77).ok()) << "memory does not go on";
    EXPECT_LT(steady_clock::now() - begin, at_once);
  }
  void expect_all_well() {
    host_.set_disk_faults("");
    EXPECT_TRUE(comes_to_be("ok")) << "not used again";
    for (const Stored& stored : kept_) {
      const client::PayloadId& id = stored.descriptor.id;
      EXPECT_EQ(*digest_of(client_, id), stored.digest);
      EXPECT_EQ(said(promote(id)), "OK ");
      EXPECT_EQ(said(spill(id)), "OK ");
      EXPECT_EQ(client_.resolve(id)->tier, client::Tier::disk);
      EXPECT_EQ(*digest_of(client_, id), stored.digest);
    }
    erase_all();
    // The file of a probe stands there for a moment.
    eventually([&] { return leftovers(host_, client_).empty(); });
    EXPECT_EQ(leftovers(host_, client_), "");
    const auto exit = host_.terminate();
    ASSERT_TRUE(exit.has_value());
    EXPECT_EQ(exit->code, 0);
  }
  void erase_all() {
    std::vector<client::PayloadId> ids;
    const auto remember = [&](const client::Summary& payload) {
      ids.push_back(payload.id);
      return true;
    };
    EXPECT_TRUE(client_.list_each({}, remember).ok());
    for (const client::PayloadId& id : ids) EXPECT_TRUE(client_.erase(id).ok());
  }
  std::size_t threads() const {
    const auto tasks = "/proc/" + std::to_string(host_.pid()) + "/task";
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& task : std::filesystem::directory_iterator(tasks)) ++count;
    return count;
  }

  HostProcess host_;
  client::Client client_;
  std::vector<Stored> kept_;
};

// PLACE-11
TEST_F(SickTier, an_allocation_that_hangs_is_given_up_and_what_it_makes_later_is_removed) {
  stored_on(client::Tier::disk, 1);
  host_.set_disk_faults(hang("'allocate'"));
  const auto begin = steady_clock::now();
  const Status refused = allocate();
  EXPECT_EQ(said(refused), "UNAVAILABLE STORAGE_ERROR") << refused.to_string();
  EXPECT_LT(steady_clock::now() - begin, given_up_within);
  expect_refused_at_once();
  EXPECT_EQ(client_.stats()->tiers.at(1).copies, 2u) << "the room of what hangs is given away";
  expect_all_well();
  EXPECT_NE(host_.log().find("the tier disk is out of service"), std::string::npos);
  EXPECT_NE(host_.log().find("the tier disk works again"), std::string::npos);
}

TEST_F(SickTier, a_tier_that_looks_at_the_deadline_itself_is_put_out_of_service_too) {
  host_.set_disk_faults(hang("'allocate'", false));
  EXPECT_EQ(said(allocate()), "UNAVAILABLE STORAGE_ERROR");
  expect_refused_at_once();
  expect_all_well();
}

// PLACE-11
TEST_F(SickTier, a_spill_that_hangs_is_given_up_and_the_payload_stays) {
  for (const std::uint64_t bytes : {payload_bytes, long_payload_bytes}) {
    for (const char* operation : {"'allocate'", "'write'", "'seal'"}) {
      SCOPED_TRACE(operation);
      const auto id = stored_on(client::Tier::ram, 1, bytes);
      host_.set_disk_faults(hang(operation));
      EXPECT_EQ(said(spill(id)), "UNAVAILABLE STORAGE_ERROR");
      expect_refused_at_once();
      EXPECT_EQ(client_.resolve(id)->tier, client::Tier::ram);
      host_.set_disk_faults("");
      EXPECT_TRUE(comes_to_be("ok"));
      EXPECT_TRUE(eventually([&] { return host_.files().empty(); })) << "half a copy stays";
      EXPECT_EQ(*digest_of(client_, id), kept_.back().digest);
      kept_.clear();
      erase_all();
      EXPECT_EQ(leftovers(host_, client_), "");
    }
  }
  expect_all_well();
}

// PLACE-11
TEST_F(SickTier, a_promote_that_hangs_is_given_up_and_the_payload_stays) {
  for (const std::uint64_t bytes : {payload_bytes, long_payload_bytes}) {
    const auto id = stored_on(client::Tier::disk, bytes, bytes);
    host_.set_disk_faults(hang("'read'"));
    EXPECT_EQ(said(promote(id)), "UNAVAILABLE STORAGE_ERROR");
    expect_refused_at_once();
    // Deleted while it is being read: its file goes when the call has come back.
    const auto other = kept_.back();
    kept_.pop_back();
    EXPECT_TRUE(client_.erase(other.descriptor.id).ok());
    EXPECT_FALSE(host_.files().empty());
    host_.set_disk_faults("");
    EXPECT_TRUE(comes_to_be("ok"));
  }
  expect_all_well();
}

// PLACE-11
TEST_F(SickTier, a_commit_that_hangs_is_given_up_and_can_be_repeated) {
  const auto allocated = client_.allocate(payload_bytes, {.tier = client::Tier::disk});
  ASSERT_TRUE(allocated.ok());
  host_.set_disk_faults(hang("'seal'"));
  EXPECT_EQ(said(client_.commit(allocated->id).status()), "UNAVAILABLE STORAGE_ERROR");
  expect_refused_at_once();
  EXPECT_EQ(said(client_.commit(allocated->id).status()), "UNAVAILABLE TIER_DEGRADED");
  EXPECT_EQ(client_.resolve(allocated->id)->state, client::State::allocated);
  host_.set_disk_faults("");
  EXPECT_TRUE(comes_to_be("ok"));
  // Also when the first one was done after all.
  EXPECT_TRUE(eventually([&] { return client_.commit(allocated->id).ok(); }));
  EXPECT_EQ(client_.resolve(allocated->id)->state, client::State::durable);
  expect_all_well();
}

// SCRUB-5
TEST_F(SickTier, a_scrub_that_hangs_is_given_up_and_others_go_on) {
  using Admin = wire_services::PayloadAdminService::Stub;
  Wire wire(host_);
  const auto scrub = [&](const client::PayloadId& id) {
    payload::manager::admin::v1::ScrubRequest request;
    request.add_ids()->set_value(id.bytes.data(), id.bytes.size());
    payload::manager::admin::v1::ScrubResponse response;
    EXPECT_EQ(answer_of(wire.call(wire.admin, &Admin::Scrub, request, &response)), "OK");
    return answer_of(response.results(0).error());
  };
  const auto below = stored_on(client::Tier::disk, 1);
  const auto above = stored_on(client::Tier::ram, 2);
  host_.set_disk_faults(hang("'read'"));
  const auto begin = steady_clock::now();
  EXPECT_EQ(scrub(below), "UNAVAILABLE TIER_DEGRADED");
  EXPECT_EQ(scrub(above), "OK");
  EXPECT_LT(steady_clock::now() - begin, given_up_within);
  expect_refused_at_once();
  EXPECT_EQ(scrub(below), "UNAVAILABLE TIER_DEGRADED");
  host_.set_disk_faults("");
  EXPECT_TRUE(comes_to_be("ok"));
  // Also when the device says that the bytes are gone: it may be the device that has gone.
  for (const char* status : {"INTERNAL", "DATA_LOSS"}) {
    host_.set_disk_faults(fault("error", "'read'", std::string("status = '") + status + "'\n"));
    EXPECT_EQ(scrub(below), "INTERNAL STORAGE_ERROR");
  }
  host_.set_disk_faults("");
  EXPECT_TRUE(comes_to_be("ok"));
  EXPECT_EQ(scrub(below), "OK") << "a copy that could not be read was taken for a bad one";
  expect_all_well();
}

TEST_F(SickTier, a_delete_is_answered_although_the_removal_hangs) {
  const auto id = stored_on(client::Tier::disk, 1);
  kept_.clear();
  host_.set_disk_faults(hang("'remove'"));
  EXPECT_TRUE(client_.erase(id).ok());
  EXPECT_EQ(client_.resolve(id).status().code(), Code::not_found);
  expect_refused_at_once();
  EXPECT_EQ(client_.stats()->tiers.at(1).copies, 1u) << "its room is free while its bytes stay";
  expect_all_well();
}

TEST_F(SickTier, however_many_calls_hang_the_host_keeps_few_threads_for_them) {
  const std::size_t before = threads();
  host_.set_disk_faults(hang(all_calls));
  std::vector<std::thread> callers;
  for (int n = 0; n < 24; ++n) {
    callers.emplace_back([this] {
      client::Client client = host_.client();
      EXPECT_EQ(client.allocate(payload_bytes, {.tier = client::Tier::disk}).status().code(),
                Code::unavailable);
    });
  }
  for (std::thread& caller : callers) caller.join();
  sleep_ms(1'500);  // It is tried out meanwhile, which hangs too.
  expect_refused_at_once();
  EXPECT_LT(threads(), before + 30) << "of " << before;
  expect_all_well();
}

TEST_F(SickTier, an_error_now_and_then_is_seen_by_nobody) {
  const auto id = stored_on(client::Tier::ram, 1, long_payload_bytes);
  for (const char* operation : {"'allocate'", "'write'", "'seal'", "'remove'", "'read'"}) {
    for (const char* after : {"", "after = true"}) {
      const std::string name = operation;
      if (*after != '\0' && name != "'seal'" && name != "'remove'") continue;
      SCOPED_TRACE(name + after);
      host_.set_disk_faults(error(operation, std::string("repeat = 'once'\n") + after));
      EXPECT_EQ(said(spill(id)), "OK ");
      EXPECT_EQ(said(client_.promote(id, client::Tier::ram, {.drop_source = true}).status()),
                "OK ");
      EXPECT_TRUE(host_.wait_log("takes effect", milliseconds(5'000)));
      EXPECT_TRUE(eventually([&] { return host_.files().empty(); }));
      const auto stored = put(client_, payload_bytes, 3, {.tier = client::Tier::disk});
      ASSERT_TRUE(stored.ok()) << stored.status().to_string();
      ASSERT_TRUE(client_.erase(stored->descriptor.id).ok());
    }
  }
  EXPECT_EQ(host_.log().find("out of service"), std::string::npos);
  expect_all_well();
}

// PLACE-11
TEST_F(SickTier, a_storm_of_errors_puts_it_out_of_service_and_its_calls_are_hardly_repeated) {
  const auto up = stored_on(client::Tier::ram, 1);
  stored_on(client::Tier::disk, 2);
  host_.set_disk_faults(error("['allocate', 'seal', 'remove']"));
  const auto begin = steady_clock::now();
  int refused = 0;
  for (int n = 0; n < 200; ++n) {
    const Status status = n % 2 == 0 ? allocate() : spill(up);
    EXPECT_EQ(status.code(), Code::unavailable) << status.to_string();
    refused += status.reason() == std::string("TIER_DEGRADED") ? 1 : 0;
  }
  EXPECT_GT(refused, 190) << "the tier was asked again and again";
  EXPECT_LT(steady_clock::now() - begin, milliseconds(10'000));
  expect_refused_at_once();
  expect_all_well();
}

TEST_F(SickTier, a_slow_tier_is_late_and_no_more) {
  const auto up = stored_on(client::Tier::ram, 1);
  host_.set_disk_faults(fault("latency", all_calls, "latency_ms = 100"));
  EXPECT_EQ(said(spill(up)), "OK ");
  EXPECT_EQ(said(promote(up)), "OK ");
  EXPECT_EQ(health(), "ok");
  expect_all_well();
}

TEST_F(SickTier, victims_go_to_the_next_tier_while_theirs_is_out_of_service) {
  host_.options().more =
      "[[tier]]\nname = \"cold\"\nplugin = \"org.payload-manager.tier-disk\"\n"
      "number = 100\nrank = 40\n[tier.config]\nroot = \"" +
      (host_.state_directory() / "cold").string() + "\"\n";
  restart();
  host_.set_disk_faults(hang("'allocate'"));
  EXPECT_EQ(said(allocate()), "UNAVAILABLE STORAGE_ERROR");
  EXPECT_TRUE(comes_to_be("degraded"));
  constexpr std::uint64_t count = shm_capacity_bytes / payload_bytes + 10;
  for (std::uint64_t n = 0; n < count; ++n) stored_on(client::Tier::ram, n);
  const auto stats = client_.stats();
  ASSERT_TRUE(stats.ok());
  EXPECT_GT(stats->tiers.at(3).copies, 0u) << stats->tiers.at(3).name;
  for (const Stored& stored : kept_) {
    EXPECT_EQ(*digest_of(client_, stored.descriptor.id), stored.digest);
  }
  kept_.clear();
  host_.set_disk_faults("");
  EXPECT_TRUE(comes_to_be("ok"));
  erase_all();
  expect_all_well();
}

TEST_F(SickTier, a_host_whose_tier_hangs_stops_in_time_and_says_so) {
  for (const bool is_deaf : {true, false}) {
    host_.options().disk_keys = "call_ms_max = 60000\n";
    restart();
    const auto up = stored_on(client::Tier::ram, 1);
    const auto down = stored_on(client::Tier::disk, 2);
    host_.set_disk_faults(hang("['allocate', 'seal', 'remove']", is_deaf));
    client::Client hurried = host_.client(300);
    EXPECT_EQ(hurried.allocate(payload_bytes, {.tier = client::Tier::disk}).status().code(),
              Code::deadline_exceeded);
    const auto written = put(client_, payload_bytes, 3);
    ASSERT_TRUE(written.ok());
    kept_.push_back(*written);
    const auto exit = host_.terminate(milliseconds(6'000));
    ASSERT_TRUE(exit.has_value()) << "it waits for what hangs";
    EXPECT_EQ(exit->code, is_deaf ? exit_hung : 0);
    const bool is_named = host_.log().find("left behind: tier disk") != std::string::npos;
    EXPECT_EQ(is_named, is_deaf) << host_.log();
    host_.set_disk_faults("");
    ASSERT_TRUE(host_.start_ready()) << host_.log();
    client_ = host_.client();
    EXPECT_EQ(client_.resolve(up)->tier, client::Tier::ram);
    EXPECT_EQ(client_.resolve(down)->tier, client::Tier::disk);
  }
  expect_all_well();
}

}  // namespace
}  // namespace pm::integration
