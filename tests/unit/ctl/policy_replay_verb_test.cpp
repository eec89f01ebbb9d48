// payloadctl policy replay, which needs no host.

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

constexpr const char* recorded =
    R"({"at":1700000000000000000,"op":"begin","tiers":[{"name":"shm","rank":1,)"
    R"("capacity_bytes":4096,"spill_to":"disk"},{"name":"disk","rank":2}],"policies":[]})"
    "\n"
    R"({"at":1700000000000000001,"op":"read","id":"a","size_bytes":4096,"tier":"disk"})"
    "\n"
    R"({"at":1700000000000000002,"hook":"promote","rule":"up","facts":{"tiers":[{"name":"shm"},)"
    R"({"name":"disk"}],"payload":{"id":"a","size_bytes":4096},"tier":"disk","target":"shm"},)"
    R"("answer":"shm"})"
    "\n";

struct Ran {
  int status;
  std::string out;
  std::string err;
};

class PolicyReplay : public testing::Test {
 protected:
  PolicyReplay() {
    std::string name = fs::temp_directory_path() / "pm-ctl-replay-XXXXXX";
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    directory_ = name;
  }
  ~PolicyReplay() override { fs::remove_all(directory_); }

  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(directory_ / name) << text;
    return directory_ / name;
  }
  // Nobody listens there.
  static Ran run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--address", "unix:/nowhere", "policy", "replay"});
    std::ostringstream out;
    std::ostringstream err;
    const int status = ctl::run(arguments, out, err);
    return {status, out.str(), err.str()};
  }

  fs::path directory_;
};

TEST_F(PolicyReplay, counts_what_another_policy_would_do) {
  const std::string journal = write("j.jsonl", recorded);
  const Ran ran = run({journal, "--policy", "lru", "-o", "json"});
  EXPECT_EQ(ran.status, 0) << ran.err;
  const auto result = boost::json::parse(ran.out).as_object();
  EXPECT_EQ(result.at("lines").to_number<int>(), 3);
  EXPECT_TRUE(result.at("differences").as_array().empty());
  EXPECT_EQ(result.at("from").as_string(), "2023-11-14T22:13:20.000Z");
  EXPECT_EQ(result.at("simulatedAfter").at("promoted").to_number<int>(), 1);
  EXPECT_EQ(result.at("simulatedBefore").at("promoted").to_number<int>(), 0);
}

TEST_F(PolicyReplay, tells_people_what_it_has_computed_from_what) {
  const std::string journal = write("j.jsonl", recorded);
  const std::string other = write("never.lua",
                                  "policy.promote {name = 'never', rule = function() return false "
                                  "end}");
  const Ran ran = run({journal, "--policy", other});
  EXPECT_EQ(ran.status, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("j.jsonl: 3 lines, 2023-11-14T22:13:20.000Z to "));
  EXPECT_THAT(ran.out,
              HasSubstr("2023-11-14T22:13:20.000Z promote a, 4096 bytes: shm -> it stays"));
  EXPECT_THAT(ran.out, HasSubstr("The 1 reads, 0 writes and 0 deletions simulated,\nfrom empty"));
  EXPECT_THAT(ran.out, HasSubstr("Spills avoided: 0\n"));
}

TEST_F(PolicyReplay, fails_with_file_and_line) {
  const std::string journal = write("j.jsonl", std::string(recorded) + "nonsense\n");
  Ran ran = run({journal, "--policy", "lru"});
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.err, testing::StartsWith("payloadctl: " + journal + ":4: it is no JSON"));
  EXPECT_EQ(ran.out, "");
  const std::string wrong = write("wrong.lua", "\nnonsense");
  ran = run({journal, "--policy", wrong});
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.err, testing::StartsWith("payloadctl: " + wrong + ":2: "));
  EXPECT_EQ(run({journal, "--policy", "no-such-policy"}).status, 1);
  ran = run({journal});
  EXPECT_EQ(ran.status, 2);
  EXPECT_THAT(ran.err, HasSubstr("--policy is missing"));
}

}  // namespace
}  // namespace pm::ctl
