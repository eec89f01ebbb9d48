// payloadctl policy simulate, which needs no host.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/json/parse.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "core/simulate/generators.h"
#include "core/simulate/references.h"
#include "run.h"

namespace pm::ctl {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::IsEmpty;

class SimulateVerb : public testing::Test {
 protected:
  SimulateVerb() {
    std::string name = fs::temp_directory_path() / "pm-ctl-simulate-XXXXXX";
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    directory_ = name;
  }
  ~SimulateVerb() override { fs::remove_all(directory_); }

  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(directory_ / name) << text;
    return directory_ / name;
  }
  // Nobody listens there.
  int run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"policy", "simulate"});
    arguments.insert(arguments.end(), {"--address", "unix:/nowhere"});
    std::ostringstream out;
    std::ostringstream err;
    const int status = ctl::run(arguments, out, err);
    out_ = out.str();
    err_ = err.str();
    return status;
  }
  static std::string shipped(const std::string& name) {
    return fs::path(PM_TEST_SCRIPTS) / "policies" / (name + ".lua");
  }
  double rate(std::size_t policy) const {
    return boost::json::parse(out_).at("policies").at(policy).at("hitRate").as_double();
  }

  fs::path directory_;
  std::string out_;
  std::string err_;
};

TEST_F(SimulateVerb, plays_a_file_and_prints_the_policy_beside_the_references) {
  const std::string trace =
      write("t.csv", "1,a,100\n2,b,100\n3,a,100\n4,b,100\n5,c,100\n6,a,100\n");
  EXPECT_EQ(run({trace, "--capacity", "200"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("6         6      600         300              200\n"));
  EXPECT_THAT(out_, HasSubstr("default  33.33         33.33              66.67\n"));
  EXPECT_THAT(out_, HasSubstr("Belady   50.00         50.00              100.00\n"));
  EXPECT_THAT(err_, IsEmpty());
}

// The one that is shown is the one that the library has, so a figure can be made again.
TEST_F(SimulateVerb, makes_the_same_trace_of_the_same_seed) {
  const std::vector<std::string> small = {"--generate", "zipf",         "--objects", "2000",
                                          "--accesses", "20000",        "--seed",    "7",
                                          "--policy",   shipped("lru"), "-o",        "json"};
  ASSERT_EQ(run(small), 0) << err_;
  const auto trace = simulate::make_zipf({.seed = 7, .objects = 2'000, .accesses = 20'000});
  EXPECT_DOUBLE_EQ(rate(0), simulate::run_lru(trace, 200 * 4096).rate());
  EXPECT_DOUBLE_EQ(rate(0), rate(1));
  EXPECT_DOUBLE_EQ(rate(3), simulate::run_belady(trace, 200 * 4096).rate());
  const std::string first = out_;
  ASSERT_EQ(run(small), 0) << err_;
  EXPECT_EQ(out_, first);
}

TEST_F(SimulateVerb, makes_scans_loops_and_objects_of_many_sizes) {
  for (const char* kind : {"scan", "loop", "sized"}) {
    EXPECT_EQ(run({"--generate", kind, "--objects", "1000", "--accesses", "10000", "--policy",
                   shipped("hot-cold"), "-o", "json"}),
              0)
        << err_;
    EXPECT_GT(rate(0), rate(1)) << kind << ": LRU is no match for it";
  }
}

TEST_F(SimulateVerb, says_which_rule_failed_and_that_the_figures_are_not_its_own) {
  const std::string wrong = write(
      "wrong.lua", "policy.promote {name = 'bad', rule = function(facts) return 'no tier' end}");
  EXPECT_EQ(
      run({"--generate", "loop", "--objects", "100", "--accesses", "1000", "--policy", wrong}), 1);
  EXPECT_THAT(err_, HasSubstr("promote.bad failed: "));
  EXPECT_THAT(out_, HasSubstr("HITS_PERCENT"));
}

TEST_F(SimulateVerb, refuses_what_it_cannot_play) {
  const std::string trace = write("t.csv", "1,a,100\n");
  EXPECT_EQ(run({}), 2);
  EXPECT_EQ(run({trace}), 2);
  EXPECT_THAT(err_, HasSubstr("give --capacity SIZE"));
  EXPECT_EQ(run({trace, "--capacity", "1MiB", "--generate", "zipf"}), 2);
  EXPECT_EQ(run({trace, "--capacity", "1MiB", "--seed", "1"}), 2);
  EXPECT_EQ(run({trace, "--capacity", "large"}), 2);
  EXPECT_EQ(run({"--generate", "noise"}), 2);
  EXPECT_THAT(err_, HasSubstr("give zipf, scan, loop or sized"));
  EXPECT_EQ(run({"--generate", "zipf", "--objects", "1"}), 2);
  EXPECT_EQ(run({directory_ / "gone.csv", "--capacity", "1MiB"}), 1);
  EXPECT_EQ(run({trace, "--capacity", "1MiB", "--policy", "unheard-of"}), 1);
  EXPECT_THAT(err_, HasSubstr("unheard-of.lua"));
  const std::string broken = write("broken.csv", "1,a,100\n2,b,many\n");
  EXPECT_EQ(run({broken, "--capacity", "1MiB"}), 1);
  EXPECT_THAT(err_, HasSubstr("broken.csv:2:"));
}

}  // namespace
}  // namespace pm::ctl
