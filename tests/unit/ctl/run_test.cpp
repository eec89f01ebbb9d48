// payloadctl's verbs, from argv to exit status, against a fake server.

#include "run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <sstream>

#include "fake_server.h"
#include "pm/client/client.h"

namespace pm::ctl {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* unknown_id = "00112233-4455-6677-8899-aabbccddeeff";

struct Ran {
  int status;
  std::string out;
  std::string err;

  boost::json::value json() const { return boost::json::parse(out); }
  // The cells of a line of the output; line 0 is the header.
  std::vector<std::string> cells(std::size_t line) const {
    std::istringstream lines(out);
    std::string text;
    for (std::size_t i = 0; i <= line; ++i) {
      if (!std::getline(lines, text)) return {};
    }
    std::istringstream words(text);
    return {std::istream_iterator<std::string>(words), {}};
  }
};

class RunTest : public testing::Test {
 protected:
  Ran run(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--address", server_.address()});
    std::ostringstream out;
    std::ostringstream err;
    const int status = ctl::run(arguments, out, err);
    return {status, out.str(), err.str()};
  }
  // A committed payload of 16 bytes; its id.
  std::string committed() {
    const std::string id = run({"allocate", "16"}).cells(1)[0];
    EXPECT_EQ(run({"commit", id}).status, 0);
    return id;
  }
  test::FakeServer server_;
};

TEST_F(RunTest, allocate_prints_the_id_and_where_to_write) {
  const Ran ran = run({"allocate", "4KiB"});
  ASSERT_EQ(ran.status, 0) << ran.err;
  const auto cells = ran.cells(1);
  ASSERT_EQ(cells.size(), ran.cells(0).size());
  EXPECT_TRUE(client::PayloadId::parse(cells[0]).ok());
  EXPECT_EQ(cells[1], "ram");
  EXPECT_EQ(cells[2], "allocated");
  EXPECT_EQ(cells[3], "4096");
  EXPECT_THAT(cells[5], testing::StartsWith("shm:/pm-fake-"));
  EXPECT_THAT(ran.err, IsEmpty());
}

TEST_F(RunTest, a_payload_lives_from_allocate_to_delete) {
  const std::string id = run({"allocate", "16"}).cells(1)[0];
  EXPECT_EQ(run({"commit", id}).cells(1)[2], "active");
  EXPECT_EQ(run({"resolve", id}).cells(1)[0], id);
  const Ran leased = run({"-o", "json", "lease", id, "--duration-ms", "5000"});
  const std::string lease(leased.json().at("leaseId").as_string());
  EXPECT_EQ(leased.json().at("durationMs").to_number<int>(), 5000);
  EXPECT_EQ(leased.json().at("payload").at("id").as_string(), id);
  EXPECT_EQ(server_.leases(), 1U);
  EXPECT_EQ(run({"delete", id}).status, 4);
  EXPECT_EQ(run({"release", lease}).status, 0);
  EXPECT_EQ(server_.leases(), 0U);
  const Ran spilled = run({"spill", id, "--to", "disk"});
  EXPECT_EQ(spilled.cells(1), (std::vector<std::string>{id, "OK", "disk", "durable"}));
  EXPECT_EQ(run({"promote", id, "--to", "ram"}).cells(1)[1], "ram");
  EXPECT_EQ(run({"delete", id}).cells(1)[1], "OK");
  EXPECT_EQ(run({"resolve", id}).status, 3);
}

TEST_F(RunTest, several_ids_have_a_row_each_and_the_first_failures_status) {
  const std::string id = committed();
  const Ran ran = run({"delete", unknown_id, id});
  EXPECT_EQ(ran.status, 3);
  EXPECT_EQ(ran.cells(1), (std::vector<std::string>{unknown_id, "NOT_FOUND", "-", "-"}));
  EXPECT_EQ(ran.cells(2), (std::vector<std::string>{id, "OK", "-", "-"}));
  EXPECT_THAT(ran.err, HasSubstr(unknown_id));
  EXPECT_EQ(server_.payloads(), 0U);
}

TEST_F(RunTest, outcomes_as_json_are_one_object) {
  const std::string id = committed();
  const Ran ran = run({"spill", id, unknown_id, "-o", "json"});
  EXPECT_EQ(ran.status, 3);
  const auto results = ran.json().at("results").as_array();
  ASSERT_EQ(results.size(), 2U);
  EXPECT_TRUE(results[0].at("ok").as_bool());
  EXPECT_EQ(results[0].at("payload").at("tier").as_string(), "disk");
  EXPECT_FALSE(results[1].at("ok").as_bool());
  EXPECT_EQ(results[1].at("code").as_string(), "NOT_FOUND");
  EXPECT_TRUE(results[1].at("payload").is_null());
}

TEST_F(RunTest, list_shows_a_row_each_up_to_the_limit) {
  for (int i = 0; i < 5; ++i) committed();
  EXPECT_EQ(run({"list"}).cells(5).size(), run({"list"}).cells(0).size());
  EXPECT_TRUE(run({"list", "--limit", "3"}).cells(4).empty());
  EXPECT_FALSE(run({"list", "--limit", "3"}).cells(3).empty());
  EXPECT_EQ(run({"list", "--all", "--page-size", "2", "-o", "json"}).json().as_array().size(), 5U);
}

TEST_F(RunTest, an_empty_list_is_a_header_or_an_empty_array) {
  EXPECT_EQ(run({"list"}).cells(0)[0], "ID");
  EXPECT_TRUE(run({"list"}).cells(1).empty());
  EXPECT_EQ(run({"list", "-o", "json"}).out, "[]\n");
}

TEST_F(RunTest, a_list_that_breaks_off_is_no_json) {
  committed();
  server_.fail("ListPayloads", {grpc::StatusCode::UNAVAILABLE, "away"});
  const Ran ran = run({"list", "-o", "json"});
  EXPECT_EQ(ran.status, 5);
  EXPECT_THAT(ran.out, IsEmpty());
}

TEST_F(RunTest, stats_has_a_row_a_tier_and_no_cell_with_a_space) {
  const Ran ran = run({"stats"});
  EXPECT_EQ(ran.cells(0).size(), ran.cells(1).size());
  EXPECT_EQ(ran.cells(1)[0], "fast\\040memory");
  EXPECT_EQ(ran.cells(1).back(), "unbounded");
  EXPECT_EQ(run({"stats", "-o", "json"}).json().at("tiers").at(0).at("name").as_string(),
            "fast memory");
}

TEST_F(RunTest, stats_name_the_rules_that_are_suspended) {
  const Ran ran = run({"stats"});
  EXPECT_THAT(ran.out, HasSubstr("RULES  SUSPENDED  FAILURES\n3      1          4\n"));
  EXPECT_THAT(ran.out, HasSubstr("spill           lru   lru.lua:12\n"));
  const auto policies = run({"stats", "-o", "json"}).json().at("policies");
  EXPECT_EQ(policies.at("rules").to_number<int>(), 3);
  EXPECT_EQ(policies.at("failures").to_number<int>(), 4);
  EXPECT_EQ(policies.at("suspended").at(0).as_string(), "spill lru (lru.lua:12)");
}

TEST_F(RunTest, the_exit_status_follows_the_servers_code) {
  server_.fail("Stats", {grpc::StatusCode::RESOURCE_EXHAUSTED, "busy"});
  EXPECT_EQ(run({"stats"}).status, 5);
  server_.fail("Stats", {grpc::StatusCode::DATA_LOSS, "gone"});
  const Ran ran = run({"stats"});
  EXPECT_EQ(ran.status, 6);
  EXPECT_EQ(ran.err, "payloadctl: DATA_LOSS: gone\n");
  EXPECT_THAT(ran.out, IsEmpty());
  server_.die();
  EXPECT_EQ(run({"stats"}).status, 5);
}

class Usage : public RunTest, public testing::WithParamInterface<std::vector<std::string>> {};
INSTANTIATE_TEST_SUITE_P(
    command_lines, Usage,
    testing::Values(
        std::vector<std::string>{}, std::vector<std::string>{"fly"},
        std::vector<std::string>{"allocate"}, std::vector<std::string>{"allocate", "1", "2"},
        std::vector<std::string>{"allocate", "-1"}, std::vector<std::string>{"allocate", "1MB"},
        std::vector<std::string>{"allocate", "1", "--tier", "tape"},
        std::vector<std::string>{"allocate", "1", "--ttl-ms", "-1"},
        std::vector<std::string>{"allocate", "1", "--layout", "heap"},
        std::vector<std::string>{"allocate", "1", "--force"},
        std::vector<std::string>{"commit", "not-an-id"}, std::vector<std::string>{"delete"},
        std::vector<std::string>{"delete", "x"}, std::vector<std::string>{"promote", unknown_id},
        std::vector<std::string>{"list", "--limit", "many"},
        std::vector<std::string>{"list", "--page-size", "99999999999"},
        std::vector<std::string>{"stats", "--output", "xml"},
        std::vector<std::string>{"stats", "--deadline-ms", "soon"},
        std::vector<std::string>{"stats", "--out", "json"},
        std::vector<std::string>{"get", unknown_id}));

TEST_P(Usage, is_refused_before_any_call) {
  const Ran ran = run(GetParam());
  EXPECT_EQ(ran.status, 2) << ran.err;
  EXPECT_THAT(ran.out, IsEmpty());
  EXPECT_THAT(ran.err, HasSubstr("--help"));
  EXPECT_EQ(server_.calls("AllocatePayload") + server_.calls("Stats"), 0);
}

TEST_F(RunTest, help_lists_verbs_and_exit_statuses_without_a_server) {
  server_.die();
  for (const auto& arguments : {std::vector<std::string>{"--help"}, {"put", "-h"}}) {
    const Ran ran = run(arguments);
    EXPECT_EQ(ran.status, 0);
    EXPECT_THAT(ran.out, HasSubstr("Exit status:"));
    EXPECT_THAT(ran.err, IsEmpty());
  }
}

}  // namespace
}  // namespace pm::ctl
