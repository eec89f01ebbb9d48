#include <gtest/gtest.h>

#include <fstream>

#include "content.h"
#include "host_process.h"

// The operator's tool against the real host.

namespace pm::integration {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t file_bytes = (53 << 20) + 4321;  // Not a multiple of any block.

class Payloadctl : public testing::TestWithParam<const char*> {
 protected:
  Payloadctl() : host_(host_options()) {}

  static HostOptions host_options() {
    HostOptions options;
    options.repository = GetParam();
    options.shm_capacity_bytes = 128 << 20;
    return options;
  }

  Finished run(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {(build_directory() / "bin/payloadctl").string(),
                                         "--address", host_.address()});
    return run_program(arguments, host_.directory());
  }

  // Runs it with JSON output and evaluates a Python expression of what came out, `reply`.
  std::string run_json(std::vector<std::string> arguments, const std::string& expression) const {
    arguments.insert(arguments.begin(), {"-o", "json"});
    const Finished run = this->run(arguments);
    EXPECT_EQ(run.exit.code, 0) << run.output;
    const fs::path file = host_.directory() / "reply.json";
    std::ofstream(file) << run.output;
    const Finished python = run_program({"/usr/bin/env", "python3", "-c",
                                         "import json; reply = json.load(open('" + file.string() +
                                             "')); print(" + expression + ")"});
    EXPECT_EQ(python.exit.code, 0) << python.output << run.output;
    return python.output.substr(0, python.output.find('\n'));
  }

  fs::path write_file() const {
    std::vector<std::byte> bytes(file_bytes);
    fill(bytes, 42);
    fs::path path = host_.directory() / "input.bin";
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
    return path;
  }

  // As coreutils sees it.
  static std::string sha256_of(const fs::path& file) {
    return run_program({"/usr/bin/sha256sum", file.string()}).output.substr(0, 64);
  }

  HostProcess host_;
};

TEST_P(Payloadctl, a_large_file_comes_back_the_same_from_every_tier) {
  ASSERT_TRUE(host_.start_ready()) << host_.log();
  const fs::path input = write_file();
  const std::string expected = sha256_of(input);
  ASSERT_EQ(expected.size(), 64u);
  const std::string id = run_json({"put", input.string()}, "reply['id']");
  ASSERT_EQ(id.size(), 36u);

  const auto expect_same = [&](const std::string& tier) {
    SCOPED_TRACE("on " + tier);
    EXPECT_EQ(run_json({"resolve", id}, "reply['tier']"), tier);
    const fs::path output = host_.directory() / ("output-" + tier);
    fs::remove(output);
    const Finished get = run({"get", id, output.string()});
    EXPECT_EQ(get.exit.code, 0) << get.output;
    EXPECT_EQ(sha256_of(output), expected);
    const Finished hash = run({"sha256", id});
    EXPECT_NE(hash.output.find(expected), std::string::npos) << hash.output;
  };
  expect_same("ram");
  const Finished spill = run({"spill", id, "--to", "disk"});
  ASSERT_EQ(spill.exit.code, 0) << spill.output;
  expect_same("disk");
  EXPECT_TRUE(eventually([&] { return host_.segments().empty(); }));
  const Finished promote = run({"promote", id, "--to", "ram"});
  ASSERT_EQ(promote.exit.code, 0) << promote.output;
  expect_same("ram");
  EXPECT_EQ(host_.files().size(), 1u) << "promoting gave the durable copy up";

  EXPECT_EQ(run_json({"list"},
                     "[(p['id'], p['tier'], p['sizeBytes']) for p in "
                     "reply] == [('" +
                         id + "', 'ram', " + std::to_string(file_bytes) + ")]"),
            "True");
  EXPECT_EQ(run_json({"stats"}, "{t['name']: t['copies'] for t in reply['tiers']}"),
            "{'shm': 1, 'disk': 1, 'void': 0}");
  const Finished erased = run({"delete", id});
  EXPECT_EQ(erased.exit.code, 0) << erased.output;
  const Finished again = run({"delete", id});
  EXPECT_NE(again.exit.code, 0);
  EXPECT_NE(again.output.find(id), std::string::npos) << again.output;
  EXPECT_TRUE(eventually([&] { return host_.segments().empty() && host_.files().empty(); }));
}

// Labels, pins, leases by their holders, allocations that are given up: each verb does its call.
TEST_P(Payloadctl, verbs_that_are_one_call_do_it_and_print_its_answer) {
  ASSERT_TRUE(host_.start_ready()) << host_.log();
  const std::string id = run_json(
      {"put", write_file().string(), "--label", "env=test", "--label", "run=7"}, "reply['id']");
  EXPECT_EQ(run_json({"label", id, "run=8", "kept=yes", "--remove", "env"}, "reply['labels']"),
            "{'kept': 'yes', 'run': '8'}");
  EXPECT_EQ(run_json({"list", "--filter", "labels.run = \"8\""}, "reply[0]['id']"), id);
  EXPECT_EQ(run_json({"list", "--filter", "labels.run = \"7\""}, "len(reply)"), "0");
  EXPECT_EQ(run({"list", "--filter", "labels.run = "}).exit.code, 1);

  EXPECT_EQ(run({"pin", id}).exit.code, 0);
  EXPECT_EQ(run({"spill", id, "--to", "disk"}).exit.code, 4);
  EXPECT_EQ(run_json({"list"}, "reply[0]['pinned']"), "True");
  EXPECT_EQ(run({"unpin", id}).exit.code, 0);
  EXPECT_EQ(run({"spill", id, "--to", "disk"}).exit.code, 0);
  EXPECT_EQ(run({"prefetch", id, "--target-tier", "ram"}).exit.code, 0);

  const std::string lease =
      run_json({"lease", id, "--holder", "me", "--range-offset-bytes", "5"}, "reply['leaseId']");
  EXPECT_EQ(run_json({"lease", "list", "--holder", "me"}, "reply[0]['leaseId']"), lease);
  EXPECT_EQ(run_json({"lease", "renew", lease, "--min-lease-duration-ms", "90000"},
                     "reply['leaseDurationMs']"),
            "90000");
  EXPECT_EQ(run({"release", lease}).exit.code, 0);
  EXPECT_EQ(run({"lease", "renew", lease}).exit.code, 3);

  const std::string unwritten = run_json({"allocate", "4096"}, "reply['id']");
  EXPECT_EQ(run({"abort", unwritten}).exit.code, 0);
  EXPECT_EQ(run({"abort", id}).exit.code, 4);

  EXPECT_EQ(run({"stream"}).exit.code, 2);
  const Finished usage = run({"stream", "melt"});
  EXPECT_EQ(usage.exit.code, 2);
  EXPECT_NE(usage.output.find("create, delete, list, append"), std::string::npos) << usage.output;
}

// What a shell completes, asked of a real bash.
TEST_P(Payloadctl, completes_verbs_and_options_in_a_shell) {
  const auto complete = [&](const std::string& words, int at) {
    const std::string script = "source <('" + (build_directory() / "bin/payloadctl").string() +
                               "' completion bash); COMP_WORDS=(" + words +
                               "); COMP_CWORD=" + std::to_string(at) +
                               "; _payloadctl; echo ${COMPREPLY[*]}";
    return run_program({"/bin/bash", "-c", script}).output;
  };
  EXPECT_EQ(complete("payloadctl unp", 1), "unpin\n");
  EXPECT_EQ(complete("payloadctl stream app", 2), "append\n");
  EXPECT_EQ(complete("payloadctl stream append --event", 3), "--event-time\n");
  EXPECT_EQ(complete("payloadctl lease --hol", 2), "--holder\n");
  EXPECT_EQ(complete("payloadctl lease ren", 2), "renew\n");
}

INSTANTIATE_TEST_SUITE_P(repositories, Payloadctl, testing::Values("sqlite", "memory"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace pm::integration
