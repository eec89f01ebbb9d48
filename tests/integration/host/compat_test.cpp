#include <gtest/gtest.h>

#include "host_process.h"

// A client of the system that this one replaces works against ours unchanged.

namespace pm::integration {
namespace {

class Compat : public testing::TestWithParam<const char*> {};

TEST_P(Compat, a_client_of_the_other_system_works_unchanged) {
  HostOptions options;
  options.repository = GetParam();
  HostProcess host(options);
  ASSERT_TRUE(host.start_ready()) << host.log();
  const Finished client =
      run_program({(build_directory() / "tests/compat_client").string(), host.address()});
  EXPECT_EQ(client.exit.code, 0) << client.output;
  EXPECT_NE(client.output.find("\ncompatible\n"), std::string::npos) << client.output;
  const auto exit = host.terminate();
  ASSERT_TRUE(exit.has_value());
  EXPECT_EQ(exit->code, 0) << host.log();
}

INSTANTIATE_TEST_SUITE_P(repositories, Compat, testing::Values("sqlite", "memory"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace pm::integration
