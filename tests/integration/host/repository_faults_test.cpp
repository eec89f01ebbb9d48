#include <gtest/gtest.h>

#include <filesystem>

#include "content.h"
#include "documents.h"
#include "host_process.h"
#include "leftovers.h"

// What clients see of a repository that is away, full, slow, wrong or refuses, and that all is well
// afterwards, or that the host ends honestly. The repository stands behind repository-fault.

namespace pm::integration {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::uint64_t payload_bytes = 50'000;
constexpr int exit_failure = 1;  // pm-host: an error.
constexpr int exit_hung = 6;     // pm-host: stopped, but a plugin's call did not come back.
constexpr milliseconds stop_margin{4'000};
constexpr int exit_repository = 3;  // pm-host: the repository cannot be opened.
constexpr int exit_damaged = 5;     // pm-host: its records are damaged.

std::string fault(const std::string& kind, const std::string& operation,
                  const std::string& more = {}) {
  return "[[fault]]\nkind = '" + kind + "'\noperation = '" + operation + "'\n" + more + "\n";
}
std::string error(const std::string& operation, const std::string& status,
                  const std::string& more = {}) {
  return fault("error", operation, "status = '" + status + "'\n" + more);
}

std::string said(const Status& status) {
  return std::string(code_name(status.code())) + " " + status.reason();
}

HostOptions host_options() {
  HostOptions options;
  options.repository_faults = true;
  options.drain_ms_max = 1'500;
  options.limits = "journal_records_max = 4\n";
  return options;
}

class RepositoryFaults : public testing::Test {
 protected:
  RepositoryFaults() : host_(host_options()) {}
  void SetUp() override { ASSERT_TRUE(host_.start_ready()) << host_.log(); }
  void TearDown() override {
    if (HasFailure()) std::fprintf(stderr, "%s\n", host_.whole_log().c_str());
  }

  // What was stored is there with its bytes, everything can be deleted, and nothing stays.
  void expect_all_well(const std::vector<Stored>& kept) {
    client::Client client = host_.client();
    for (const Stored& stored : kept) {
      EXPECT_EQ(*digest_of(client, stored.descriptor.id), stored.digest);
    }
    std::vector<client::PayloadId> ids;
    EXPECT_TRUE(client
                    .list_each({},
                               [&](const client::Summary& payload) {
                                 ids.push_back(payload.id);
                                 return true;
                               })
                    .ok());
    for (const client::PayloadId& id : ids) EXPECT_TRUE(client.erase(id).ok());
    EXPECT_EQ(leftovers(host_, client), "");
  }

  // Puts, and changes, and asks while the repository takes nothing; then it takes all again.
  void live_through(const std::string& schedule) {
    client::Client client = host_.client();
    std::vector<Stored> kept;
    for (const client::Tier tier : {client::Tier::ram, client::Tier::disk}) {
      auto stored = put(client, payload_bytes, 1, {.tier = tier});
      ASSERT_TRUE(stored.ok()) << stored.status().to_string();
      kept.push_back(*std::move(stored));
    }
    const auto allocated = client.allocate(payload_bytes);
    ASSERT_TRUE(allocated.ok());
    host_.set_repository_faults(schedule);
    client::Client hurried = host_.client(300);
    EXPECT_EQ(hurried.commit(allocated->id).status().code(), Code::deadline_exceeded)
        << "acknowledged, and not recorded";
    // As many records wait as may, and then no more.
    for (int n = 0; n < 4; ++n) {
      const Status refused = put(hurried, payload_bytes, 7).status();
      EXPECT_TRUE(refused.code() == Code::deadline_exceeded ||
                  said(refused) == "UNAVAILABLE JOURNAL_FULL")
          << refused.to_string();
    }
    EXPECT_EQ(said(hurried.allocate(payload_bytes).status()), "UNAVAILABLE JOURNAL_FULL");
    EXPECT_EQ(said(hurried.erase(kept[0].descriptor.id)), "UNAVAILABLE JOURNAL_FULL");
    EXPECT_EQ(said(hurried.promote(kept[1].descriptor.id, client::Tier::ram).status()),
              "UNAVAILABLE JOURNAL_FULL");
    for (const Stored& stored : kept) {
      EXPECT_EQ(*digest_of(hurried, stored.descriptor.id), stored.digest) << "settled, not read";
      EXPECT_TRUE(hurried.resolve(stored.descriptor.id).ok());
    }
    host_.set_repository_faults("");
    EXPECT_TRUE(eventually([&] { return put(client, payload_bytes, 9).ok(); }));
    EXPECT_EQ(client.resolve(allocated->id)->state, client::State::active)
        << "a commit whose outcome was not told got lost";
    expect_all_well(kept);
    ASSERT_EQ(host_.terminate()->code, 0);
  }

  HostProcess host_;
};

TEST_F(RepositoryFaults, while_it_is_away_changes_wait_or_are_refused_and_settled_reads_go_on) {
  live_through(error("apply", "UNAVAILABLE"));
  EXPECT_NE(host_.log().find("takes no records"), std::string::npos);
  EXPECT_NE(host_.log().find("answers again"), std::string::npos);
}

TEST_F(RepositoryFaults, while_it_is_full_changes_wait_or_are_refused_and_settled_reads_go_on) {
  live_through(fault("full", "apply"));
}

TEST_F(RepositoryFaults, while_it_hangs_changes_wait_or_are_refused_and_settled_reads_go_on) {
  live_through(fault("hang", "apply"));
}

TEST_F(RepositoryFaults, that_is_slow_makes_commits_late_and_no_more) {
  client::Client client = host_.client();
  host_.set_repository_faults(fault("latency", "apply", "latency_ms = 150"));
  const auto begin = steady_clock::now();
  const auto stored = put(client, payload_bytes, 1);
  ASSERT_TRUE(stored.ok()) << stored.status().to_string();
  EXPECT_GE(steady_clock::now() - begin, milliseconds(150));
  expect_all_well({*stored});
}

TEST_F(RepositoryFaults, batches_of_unknown_outcome_are_sent_again_and_counted_once) {
  client::Client client = host_.client();
  host_.set_repository_faults(error("apply", "UNAVAILABLE", "after = true\nprobability = 0.5"));
  std::vector<Stored> kept;
  for (unsigned n = 0; n < 40; ++n) {
    auto stored = put(client, payload_bytes, n);
    ASSERT_TRUE(stored.ok()) << stored.status().to_string();
    kept.push_back(*std::move(stored));
  }
  host_.kill();
  host_.set_repository_faults("");
  ASSERT_TRUE(host_.start_ready()) << host_.log();
  EXPECT_EQ(host_.client().list({.page_size = 100})->payloads.size(), 40u);
  expect_all_well(kept);
}

TEST_F(RepositoryFaults, a_batch_that_it_refuses_ends_the_host_and_nothing_is_acknowledged) {
  const std::pair<const char*, const char*> statuses[] = {
      {"ABORTED", "another host has taken the epoch"},
      {"INVALID_ARGUMENT", "a record does not fit"},
      {"DATA_LOSS", "a sync failed"}};
  for (const auto& [status, cause] : statuses) {
    for (const bool applied : {false, true}) {
      SCOPED_TRACE(std::string(status) + (applied ? ", applied" : ""));
      client::Client client = host_.client();
      const auto before = put(client, payload_bytes, 1);
      const auto allocated = client.allocate(payload_bytes);
      ASSERT_TRUE(before.ok() && allocated.ok());
      host_.set_repository_faults(error("apply", status, applied ? "after = true" : ""));
      EXPECT_EQ(client.commit(allocated->id).status().code(), Code::unavailable);
      const auto exit = host_.wait_exit(milliseconds(20'000));
      ASSERT_TRUE(exit.has_value()) << "the host goes on";
      EXPECT_EQ(exit->code, exit_failure);
      EXPECT_NE(host_.log().find("refused a batch of records"), std::string::npos);
      EXPECT_NE(host_.log().find(cause), std::string::npos) << host_.log();
      host_.set_repository_faults("");
      ASSERT_TRUE(host_.start_ready()) << host_.log();
      client::Client later = host_.client();
      EXPECT_EQ(later.resolve(allocated->id).ok(), applied) << "half a commit";
      expect_all_well({*before});
    }
  }
}

TEST_F(RepositoryFaults, a_host_whose_repository_is_away_stops_in_time) {
  client::Client client = host_.client();
  const auto before = put(client, payload_bytes, 1);
  const auto allocated = client.allocate(payload_bytes);
  ASSERT_TRUE(before.ok() && allocated.ok());
  host_.set_repository_faults(error("apply", "UNAVAILABLE"));
  EXPECT_EQ(host_.client(200).commit(allocated->id).status().code(), Code::deadline_exceeded);
  const auto begin = steady_clock::now();
  const auto exit = host_.terminate(milliseconds(20'000));
  ASSERT_TRUE(exit.has_value()) << "the host did not end";
  EXPECT_EQ(exit->code, 0);
  EXPECT_LT(steady_clock::now() - begin, milliseconds(10'000));
  host_.set_repository_faults("");
  ASSERT_TRUE(host_.start_ready()) << host_.log();
  expect_all_well({*before});
}

TEST_F(RepositoryFaults, a_host_whose_repository_hangs_ends_in_time_and_says_so) {
  client::Client client = host_.client();
  const auto before = put(client, payload_bytes, 1);
  const auto allocated = client.allocate(payload_bytes);
  ASSERT_TRUE(before.ok() && allocated.ok());
  host_.set_repository_faults(fault("hang", "apply"));
  EXPECT_EQ(host_.client(200).commit(allocated->id).status().code(), Code::deadline_exceeded);
  const auto exit = host_.terminate(milliseconds(host_.options().drain_ms_max) + stop_margin);
  ASSERT_TRUE(exit.has_value()) << "the host did not end";
  EXPECT_EQ(exit->code, exit_hung);
  EXPECT_NE(host_.log().find("left behind: repository"), std::string::npos);
  host_.set_repository_faults("");
  ASSERT_TRUE(host_.start_ready()) << host_.log();
  expect_all_well({*before});
}

// The bound on records is far off.
TEST_F(RepositoryFaults, what_waits_for_too_long_is_enough_to_refuse_more) {
  ASSERT_EQ(host_.terminate()->code, 0);
  host_.options().limits = "journal_age_ms_max = 400\n";
  host_.write_config();
  ASSERT_TRUE(host_.start_ready()) << host_.log();
  client::Client client = host_.client();
  const auto before = put(client, payload_bytes, 1);
  const auto allocated = client.allocate(payload_bytes);
  ASSERT_TRUE(before.ok() && allocated.ok());
  for (const std::string& schedule : {error("apply", "UNAVAILABLE"), fault("hang", "apply")}) {
    const auto late = client.allocate(payload_bytes);
    ASSERT_TRUE(late.ok());
    host_.set_repository_faults(schedule);
    EXPECT_EQ(host_.client(600).commit(late->id).status().code(), Code::deadline_exceeded);
    const auto begin = steady_clock::now();
    EXPECT_EQ(said(client.commit(allocated->id).status()), "UNAVAILABLE JOURNAL_FULL");
    EXPECT_EQ(said(client.erase(before->descriptor.id)), "UNAVAILABLE JOURNAL_FULL");
    EXPECT_LT(steady_clock::now() - begin, milliseconds(500)) << "they wait";
    EXPECT_EQ(*digest_of(client, before->descriptor.id), before->digest);
    host_.set_repository_faults("");
    EXPECT_TRUE(eventually([&] { return put(client, payload_bytes, 9).ok(); }));
  }
  EXPECT_TRUE(client.commit(allocated->id).ok());
  expect_all_well({*before});
}

TEST_F(RepositoryFaults, a_host_that_cannot_open_or_read_it_does_not_start) {
  client::Client client = host_.client();
  const auto before = put(client, payload_bytes, 1, {.tier = client::Tier::disk});
  ASSERT_TRUE(before.ok());
  ASSERT_EQ(host_.terminate()->code, 0);
  for (const char* status : {"UNAVAILABLE", "DATA_LOSS"}) {
    for (const char* operation : {"open", "scan"}) {
      host_.set_repository_faults(error(operation, status));
      host_.start();
      const auto exit = host_.wait_exit(milliseconds(20'000));
      ASSERT_TRUE(exit.has_value()) << host_.log();
      const int expected = operation == std::string("open") ? exit_repository : exit_failure;
      EXPECT_EQ(exit->code, status == std::string("DATA_LOSS") ? exit_damaged : expected);
      EXPECT_NE(host_.log().find("cannot start: " + std::string(status)), std::string::npos);
      EXPECT_EQ(host_.files().size(), 1u) << "bytes were removed";
    }
  }
  host_.set_repository_faults("");
  ASSERT_TRUE(host_.start_ready()) << host_.log();
  expect_all_well({*before});
}

TEST_F(RepositoryFaults, reads_of_documents_that_fail_are_refused_and_work_again) {
  Wire wire(host_);
  Documents documents(wire);
  const auto id = wire.make(wire_core::TIER_RAM);
  EXPECT_EQ(answer_of(documents.update(update_of(id, "data", "schema"))), "OK");
  for (int n = 0; n < 3; ++n) EXPECT_EQ(answer_of(documents.append(event_of(id, "event"))), "OK");
  wire_catalog::ListPayloadMetadataEventsRequest events;
  *events.mutable_id() = id;
  for (const std::string status : {"UNAVAILABLE", "DATA_LOSS", "INTERNAL"}) {
    host_.set_repository_faults(error("get", status) + error("scan", status));
    // Also a read that fails as UNAVAILABLE has the reason of a repository that does not answer.
    const std::string wanted =
        status + (status == "UNAVAILABLE" ? std::string(" JOURNAL_FULL") : " STORAGE_ERROR");
    EXPECT_EQ(answer_of(documents.get(id)), wanted);
    EXPECT_EQ(answer_of(documents.events(events)), wanted);
    EXPECT_EQ(answer_of(wire.resolve(id)), "OK");
    host_.set_repository_faults("");
    EXPECT_EQ(answer_of(documents.get(id)), "OK");
    EXPECT_EQ(answer_of(documents.events(events)), "OK");
  }
  expect_all_well({});
}

// Values that are not what was written cannot all be noticed, but none may end the host in another
// way than by its own words.
TEST_F(RepositoryFaults, other_values_than_were_written_never_crash_a_start) {
  {
    client::Client client = host_.client();
    for (unsigned n = 0; n < 8; ++n) {
      const client::Tier tier = n % 2 == 0 ? client::Tier::ram : client::Tier::disk;
      const auto stored = put(client, payload_bytes, n,
                              {.tier = tier,
                               .request_id = "request " + std::to_string(n),
                               .labels = {{"key", "value"}}});
      ASSERT_TRUE(stored.ok());
      ASSERT_TRUE(client.promote(stored->descriptor.id, client::Tier::ram).ok());
    }
  }
  ASSERT_EQ(host_.terminate()->code, 0);
  const fs::path saved = host_.directory() / "saved";
  fs::copy(host_.state_directory(), saved, fs::copy_options::recursive);
  int started = 0;
  constexpr int seeds = 20;
  for (int seed = 1; seed <= seeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    fs::remove_all(host_.state_directory());
    fs::copy(saved, host_.state_directory(), fs::copy_options::recursive);
    host_.set_repository_faults(
        fault("corrupt", "scan", "probability = 0.5\nseed = " + std::to_string(seed)));
    host_.start();
    if (host_.wait_ready()) {
      ++started;
      EXPECT_TRUE(host_.client().stats().ok());
      host_.set_repository_faults("");
      const auto exit = host_.terminate();
      EXPECT_TRUE(exit.has_value() && exit->signal == 0) << host_.log();
    } else {
      EXPECT_NE(host_.log().find("cannot start"), std::string::npos) << host_.log();
    }
  }
  std::printf("%d of %d starts were refused\n", seeds - started, seeds);
}

}  // namespace
}  // namespace pm::integration
