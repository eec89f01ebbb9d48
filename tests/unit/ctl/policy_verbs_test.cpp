// payloadctl policy check and policy test, which need no host.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/json/parse.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "run.h"

namespace pm::ctl {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::IsEmpty;

struct Ran {
  int status;
  std::string out;
  std::string err;
};

class PolicyVerbs : public testing::Test {
 protected:
  PolicyVerbs() {
    std::string name = fs::temp_directory_path() / "pm-ctl-policy-XXXXXX";
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    directory_ = name;
  }
  ~PolicyVerbs() override { fs::remove_all(directory_); }

  std::string write(const std::string& name, const std::string& text) const {
    const fs::path path = directory_ / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
    return path;
  }
  // Nobody listens there.
  static Ran run(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--address", "unix:/nowhere"});
    std::ostringstream out;
    std::ostringstream err;
    const int status = ctl::run(arguments, out, err);
    return {status, out.str(), err.str()};
  }

  fs::path directory_;
};

constexpr const char* refuses =
    "policy.admit {name = 'full', rule = function() return 'full' end}\n";
constexpr const char* holds = "policy.example {hook = 'admit', facts = {}, expect = 'full'}\n";
constexpr const char* fails = "policy.example {hook = 'admit', facts = {}, expect = true}\n";

TEST_F(PolicyVerbs, check_prints_the_rules_of_each_file) {
  const std::string a = write("a.lua", std::string(refuses) + holds);
  const std::string b = write("b.lua", "policy.place {name = 'b', rule = function() end}");
  const Ran ran = run({"policy", "check", a, b});
  EXPECT_EQ(ran.status, 0) << ran.err;
  EXPECT_THAT(ran.err, IsEmpty());
  const Ran json = run({"-o", "json", "policy", "check", a, b});
  const auto rules = boost::json::parse(json.out).as_array();
  ASSERT_EQ(rules.size(), 2u);
  EXPECT_EQ(rules[0].at("rule").as_string(), "full");
  EXPECT_EQ(rules[0].at("hook").as_string(), "admit");
  EXPECT_EQ(rules[0].at("examples").to_number<int>(), 1);
  EXPECT_EQ(std::string(rules[1].at("where").as_string()), b + ":1");
  EXPECT_THAT(ran.out, HasSubstr(b + ":1"));
}

TEST_F(PolicyVerbs, check_fails_with_file_and_line) {
  const std::string good = write("good.lua", refuses);
  const std::string wrong = write("wrong.lua", "\n\nnonsense");
  const std::string fallen = write("fallen.lua", std::string(refuses) + fails);
  Ran ran = run({"policy", "check", wrong, good});
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.err, testing::StartsWith("payloadctl: " + wrong + ":3: "));
  EXPECT_THAT(ran.out, HasSubstr("good.lua")) << "the others are looked at, too";
  ran = run({"policy", "check", fallen});
  EXPECT_EQ(ran.status, 1);
  EXPECT_EQ(ran.err, "payloadctl: " + fallen +
                         ":2: expected admitted, and got refused: full from the rule 'full'\n");
  EXPECT_EQ(run({"policy", "check", directory_ / "gone.lua"}).status, 1);
  ran = run({"policy", "check"});
  EXPECT_EQ(ran.status, 2);
  EXPECT_THAT(ran.err, HasSubstr("an argument is missing: file\n"));
}

TEST_F(PolicyVerbs, check_loads_files_together_when_it_is_told_to) {
  const std::string first = write("first.lua", refuses);
  const std::string second =
      write("second.lua", "policy.admit {name = 'b', before = 'full', rule = function() end}");
  EXPECT_EQ(run({"policy", "check", first, second}).status, 1);
  const Ran ran = run({"policy", "check", "--together", first, second});
  EXPECT_EQ(ran.status, 0) << ran.err;
  EXPECT_LT(ran.out.find("second.lua"), ran.out.find("first.lua")) << "in the order of asking";
}

TEST_F(PolicyVerbs, test_counts_the_examples_of_a_directory) {
  write("up.lua", refuses);
  write("tests/up_test.lua", std::string(holds) + holds);
  write("tests/beside.lua", refuses);
  const std::string test = write("tests/beside_test.lua", std::string(holds) + fails);
  const Ran ran = run({"-o", "json", "policy", "test", directory_ / "tests"});
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.err, HasSubstr("payloadctl: " + test + ":2: expected admitted"));
  EXPECT_EQ(boost::json::parse(ran.out),
            boost::json::parse(R"([{"policy": "beside", "passed": 1, "failed": 1},
                                   {"policy": "up", "passed": 2, "failed": 0}])"));
  write("tests/beside_test.lua", holds);
  EXPECT_EQ(run({"policy", "test", directory_ / "tests"}).status, 0);
}

TEST_F(PolicyVerbs, test_fails_without_tests_or_what_they_test) {
  EXPECT_THAT(run({"policy", "test", directory_}).err, HasSubstr("it has no *_test.lua"));
  EXPECT_EQ(run({"policy", "test", directory_}).status, 1);
  EXPECT_EQ(run({"policy", "test", directory_ / "gone"}).status, 1);
  write("tests/a_test.lua", holds);
  const Ran ran = run({"policy", "test", directory_ / "tests"});
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.err, HasSubstr("/a.lua: No such file or directory"));
}

TEST_F(PolicyVerbs, test_passes_what_ships) {
  const Ran ran = run({"policy", "test", fs::path(PM_TEST_SCRIPTS) / "policies/tests"});
  EXPECT_EQ(ran.status, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("size-aware"));
}

}  // namespace
}  // namespace pm::ctl
