// payloadctl policy show and policy reload, against a fake server.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <sstream>

#include "fake_server.h"
#include "run.h"

namespace pm::ctl {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

class PolicyHostVerbs : public testing::Test {
 protected:
  int run(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--address", server_.address()});
    std::ostringstream out;
    std::ostringstream err;
    const int status = ctl::run(arguments, out, err);
    out_ = out.str();
    err_ = err.str();
    return status;
  }

  test::FakeServer server_;
  std::string out_;
  std::string err_;
};

constexpr const char* shown =
    "HOOK   RULE  WHERE       STATE      ASKED  ANSWERED  FAILED\n"
    "place  mine  mine.lua:2  SUSPENDED  7      3         4\n"
    "spill  lru   lru.lua:20  IN_USE     0      0         0\n"
    "\n"
    "FILE\n"
    "lru.lua\n"
    "mine.lua\n"
    "\n"
    "LOADS  QUESTIONS  DEFAULTS  DROPPED\n"
    "2      10         5         1\n"
    "\n"
    "place.mine failed: mine.lua:3: too many steps\n"
    "not loaded anew: mine.lua:9: no Lua\n";

TEST_F(PolicyHostVerbs, show_prints_rules_files_counts_and_errors) {
  EXPECT_EQ(run({"policy", "show"}), 0) << err_;
  EXPECT_EQ(out_, shown);
  EXPECT_THAT(err_, IsEmpty());
}

TEST_F(PolicyHostVerbs, show_as_json_is_the_answer) {
  EXPECT_EQ(run({"-o", "json", "policy", "show"}), 0) << err_;
  const auto answer = boost::json::parse(out_);
  ASSERT_EQ(answer.at("rules").as_array().size(), 2u);
  EXPECT_EQ(answer.at("rules").at(0).at("lastError").as_string(), "mine.lua:3: too many steps");
  EXPECT_TRUE(answer.at("rules").at(0).at("suspended").as_bool());
  EXPECT_EQ(answer.at("questions").to_number<int>(), 10);
  EXPECT_EQ(answer.at("files").as_array().size(), 2u);
}

TEST_F(PolicyHostVerbs, reload_prints_what_is_in_use_from_then_on) {
  EXPECT_EQ(run({"policy", "reload"}), 0) << err_;
  EXPECT_EQ(out_, shown);
  EXPECT_EQ(server_.calls("ReloadPolicies"), 1);
}

TEST_F(PolicyHostVerbs, reload_fails_with_file_and_line) {
  server_.fail("ReloadPolicies", {grpc::StatusCode::INVALID_ARGUMENT, "mine.lua:3: no Lua"});
  EXPECT_EQ(run({"policy", "reload"}), 1);
  EXPECT_THAT(out_, IsEmpty());
  EXPECT_THAT(err_, HasSubstr("INVALID_ARGUMENT: mine.lua:3: no Lua"));
}

}  // namespace
}  // namespace pm::ctl
