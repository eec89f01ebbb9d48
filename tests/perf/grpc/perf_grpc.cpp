// perf_grpc: calls through gRPC against a bare gRPC echo.

#include <atomic>
#include <functional>
#include <thread>

#include "bare_echo.h"
#include "grpc_load.h"
#include "host_process.h"
#include "report.h"

namespace pm::perf {
namespace {

constexpr std::uint64_t payload_bytes = 4096;
constexpr std::uint64_t slab_bytes = 1ULL << 30;

// Runs `job`, which makes `calls_each` calls, on many threads over and over; calls a second.
double calls_per_second(unsigned threads, unsigned calls_each, const std::function<void()>& job) {
  std::atomic<std::uint64_t> jobs{0};
  std::atomic<bool> failed{false};
  const double start = now_seconds();
  const double end = start + round_seconds();
  std::vector<std::thread> running;
  for (unsigned i = 0; i < threads; ++i) {
    running.emplace_back([&] {
      try {
        for (; now_seconds() < end; ++jobs) job();
      } catch (const Failure& failure) {
        std::fprintf(stderr, "%s\n", failure.what());
        failed = true;
      }
    });
  }
  for (std::thread& thread : running) thread.join();
  must(!failed, "a call failed");
  return static_cast<double>(jobs * calls_each) / (now_seconds() - start);
}

double echo_calls_per_second(const EchoServer& echo, const EchoLoad& load) {
  const EchoFigures figures = must(run_echo_load(echo.address(), load), "the bare echo");
  must(figures.errors == 0 && figures.calls > 0, "the bare echo failed");
  return figures.calls_per_second;
}

void measure_commits(const Stubs& stubs, const EchoServer& echo) {
  EchoLoad load;
  load.threads = 64;
  load.seconds = round_seconds();
  Rounds taken;
  taken.run(
      rounds(),
      [&] {
        return calls_per_second(
            64, 2, [&] { stubs.commit(stubs.allocate(payload_bytes, wire::MEMORY_LAYOUT_SLAB)); });
      },
      [&] { return echo_calls_per_second(echo, load); });
  print(taken.figure("grpc_commit_64", "calls/s", "bare echo, 64 threads", {Aim::at_least, 0.5}));
}

void measure_mixed(const Stubs& stubs, const EchoServer& echo) {
  EchoLoad load;
  load.threads = 8;
  load.seconds = round_seconds();
  Rounds taken;
  taken.run(
      rounds(),
      [&] {
        return calls_per_second(8, 5, [&] {
          const std::string id = stubs.allocate(payload_bytes, wire::MEMORY_LAYOUT_SEGMENT);
          stubs.commit(id);
          stubs.release(stubs.lease(id));
          stubs.erase(id);
        });
      },
      [&] { return echo_calls_per_second(echo, load); });
  print(taken.figure("grpc_mixed_8", "calls/s", "bare echo, 8 threads", {Aim::at_least, 0.4}));
}

// Microseconds of a lease and its release, against two echoes of messages as long.
void measure_lease_and_release(const Stubs& stubs, const EchoServer& echo) {
  const std::string id = stubs.allocate(payload_bytes, wire::MEMORY_LAYOUT_SLAB);
  stubs.commit(id);
  const auto request = Stubs::lease_request(id);
  const auto granted = stubs.lease(request);
  const auto release = Stubs::release_request(granted.lease_id().value());
  // An echo has a payload field with two bytes before it, and in the request a reply length.
  const auto echo_us = [&](std::size_t request_bytes, std::size_t reply_bytes) {
    EchoLoad load;
    load.seconds = round_seconds() / 2;
    load.request_bytes = static_cast<std::uint32_t>(request_bytes > 4 ? request_bytes - 4 : 1);
    load.reply_bytes = static_cast<std::uint32_t>(reply_bytes > 2 ? reply_bytes - 2 : 1);
    return 1e6 / echo_calls_per_second(echo, load);
  };
  Rounds taken;
  taken.run(
      rounds(),
      [&] {
        const double calls =
            calls_per_second(1, 1, [&] { stubs.release(stubs.lease(request).lease_id().value()); });
        return 1e6 / calls;
      },
      [&] {
        return echo_us(request.ByteSizeLong(), granted.ByteSizeLong()) +
               echo_us(release.ByteSizeLong(), 0);
      });
  print(taken.figure("grpc_lease_release", "us", "two bare echoes of messages as long",
                     {Aim::at_most, 1.3}));
}

}  // namespace
}  // namespace pm::perf

int main() {
  using namespace pm::perf;
  return main_of("perf_grpc", [] {
    HostSetup setup;
    setup.slab_bytes = slab_bytes;
    setup.shm_capacity_bytes = slab_bytes + (256ULL << 20);
    const HostProcess host(setup);
    const auto echo = must(EchoServer::start_bare(), "starting the bare echo");
    const Stubs stubs(host.address());
    measure_commits(stubs, *echo);
    measure_mixed(stubs, *echo);
    measure_lease_and_release(stubs, *echo);
  });
}
