#include <gtest/gtest.h>

#include <chrono>

#include "bare_echo.h"

// How long a frontend takes to stop when it is all that uses gRPC in its process, as in the host.

namespace pm::perf {
namespace {

TEST(FrontendStop, large_replies_do_not_delay_the_stop) {
  for (int round = 0; round < 10; ++round) {
    auto server = EchoServer::start({PM_PERF_FRONTEND_SERVER, PM_FRONTEND_PLUGIN, "2"});
    ASSERT_TRUE(server.ok()) << server.status().to_string();
    // More than a client takes by default: it resets the call while the server is writing.
    EchoLoad load;
    load.threads = 3;
    load.seconds = 0.1;
    load.reply_bytes = 8'000'000;
    const auto figures = run_echo_load((*server)->address(), load);
    ASSERT_TRUE(figures.ok()) << figures.status().to_string();
    const auto begin = std::chrono::steady_clock::now();
    server->reset();
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(3));
  }
}

}  // namespace
}  // namespace pm::perf
