// perf_moves: spill and promote of 1 GiB against bare O_DIRECT transfers of as many bytes.

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "big_payload.h"
#include "host_process.h"
#include "raw_file.h"

namespace pm::perf {
namespace {

constexpr std::uint64_t move_bytes = 1ULL << 30;
constexpr std::uint64_t chunk_bytes = 2 << 20;
constexpr unsigned depth_max = 8;

// Lets the file system finish what an earlier removal left behind (journal, discards), which would
// otherwise be paid by whoever comes next.
void settle(const std::string& directory) {
  const int fd = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  must(fd >= 0 && syncfs(fd) == 0, "syncfs of " + directory);
  close(fd);
}

// Each direction against the better depth of its own round.
void measure() {
  HostSetup setup;
  setup.shm_capacity_bytes = move_bytes * 2;
  const HostProcess host(setup);
  client::ConnectOptions options;
  options.deadline_ms = 120'000;
  auto client = must(client::Client::connect(host.address(), options), "connect");
  BigPayload payload(client, move_bytes);
  const std::unique_ptr<char, decltype(&std::free)> memory(
      static_cast<char*>(std::aligned_alloc(4096, chunk_bytes * depth_max)), &std::free);
  std::memset(memory.get(), 7, chunk_bytes * depth_max);
  const std::string raw = host.directory() + "/raw";
  Rounds spills;
  Rounds promotes;
  double spilled = 0;
  double promoted = 0;
  double written = 0;
  double read = 0;
  const auto ours = [&] {
    settle(host.directory());
    spilled = payload.spill();
    promoted = payload.promote();
  };
  const auto bare = [&](unsigned depth) {
    settle(host.directory());
    written = std::min(written, move_raw(raw, true, memory.get(), move_bytes, chunk_bytes, depth));
    read = std::min(read, move_raw(raw, false, memory.get(), move_bytes, chunk_bytes, depth));
    unlink(raw.c_str());
  };
  ours();
  for (int round = 0; round < rounds(); ++round) {
    written = read = 1e9;
    if (round % 2 == 0) ours();
    bare(1);
    bare(depth_max);
    if (round % 2 != 0) ours();
    constexpr double mib = static_cast<double>(move_bytes) / (1 << 20);
    spills.add(mib / spilled, mib / written);
    promotes.add(mib / promoted, mib / read);
  }
  print(spills.figure("spill_1GiB", "MiB/s", "O_DIRECT into a new file, with fsync",
                      {Aim::at_least, 0.8}));
  print(promotes.figure("promote_1GiB", "MiB/s", "O_DIRECT from a new file", {Aim::at_least, 0.8}));
}

}  // namespace
}  // namespace pm::perf

int main() {
  return pm::perf::main_of("perf_moves", [] { pm::perf::measure(); });
}
