// perf_rss: how much the host's memory grows for each committed payload. Shared memory, which is
// where the payloads themselves are, is not counted (VmRSS less RssShmem).

#include <atomic>
#include <thread>
#include <vector>

#include "grpc_load.h"
#include "host_process.h"
#include "report.h"

namespace pm::perf {
namespace {

constexpr std::uint64_t payload_bytes = 4096;

// One payload each, with a time to live.
void commit_payloads(const Stubs& stubs, std::int64_t count) {
  std::atomic<std::int64_t> left{count};
  std::atomic<bool> failed{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 64; ++i) {
    threads.emplace_back([&] {
      try {
        while (!failed && left.fetch_sub(1) > 0) {
          stubs.commit(stubs.allocate(payload_bytes, wire::MEMORY_LAYOUT_SLAB));
        }
      } catch (const Failure& failure) {
        std::fprintf(stderr, "%s\n", failure.what());
        failed = true;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  must(!failed, "a call failed");
}

void measure() {
  const std::int64_t count = quick() ? 100'000 : 1'000'000;
  // What a host takes for its first callers (threads, buffers, caches) is not for each payload.
  constexpr std::int64_t first = 2000;
  HostSetup setup;
  setup.slab_bytes = static_cast<std::uint64_t>(count + first) * payload_bytes;
  setup.shm_capacity_bytes = setup.slab_bytes;
  const HostProcess host(setup);
  const std::uint64_t before = host.resident_bytes();
  const Stubs stubs(host.address());
  commit_payloads(stubs, first);
  const std::uint64_t warm = host.resident_bytes();
  commit_payloads(stubs, count);
  const double after = static_cast<double>(host.resident_bytes());
  const auto payloads = static_cast<double>(count);
  const auto tell = [](const char* name, double bytes) {
    print({name, bytes, "bytes", "allowed", 256, bytes / 256, {Aim::at_most, 1}});
  };
  tell("rss_per_payload", (after - static_cast<double>(before)) / (payloads + first));
  tell("rss_per_payload_after_warm_up", (after - static_cast<double>(warm)) / payloads);
}

}  // namespace
}  // namespace pm::perf

int main() {
  return pm::perf::main_of("perf_rss", [] { pm::perf::measure(); });
}
