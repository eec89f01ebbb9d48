// perf_put: allocate, write and commit by a client that has the slab mapped, against memcpy into
// equal blocks of shared memory that have been touched before. The client puts one after the other
// and says so (CreateOptions::ahead), and stays awake for its answers (ConnectOptions::spin_us).

#include <unistd.h>

#include <cstring>
#include <deque>
#include <span>

#include "host_process.h"
#include "pm/client/client.h"
#include "report.h"
#include "touched_memory.h"

namespace pm::perf {
namespace {

// The payloads that are there: as many as the slab has blocks, less the one to come and the one
// granted ahead.
class Putter {
 public:
  Putter(client::Client& client, std::size_t blocks) : client_(client), blocks_(blocks) {}

  static constexpr std::uint32_t spin_us = 200;

  // Makes room, outside of the time, and gives the seconds of one put.
  double put(std::span<const std::byte> source) {
    if (payloads_.size() == blocks_ - 1) drop_oldest();
    client::CreateOptions options;
    options.layout = client::Layout::slab;
    options.ahead = true;
    const double start = now_seconds();
    auto payload = must(client_.create(source.size(), options), "create");
    std::memcpy(payload.bytes().data(), source.data(), source.size());
    must(payload.commit().status(), "commit");
    const double seconds = now_seconds() - start;
    payloads_.push_back(payload.id());
    return seconds;
  }
  void drop_all() {
    while (!payloads_.empty()) drop_oldest();
  }

 private:
  // The host removes it after it has answered.
  void drop_oldest() {
    must(client_.erase(payloads_.front()), "erase");
    payloads_.pop_front();
    for (int looks = 0; looks < 10'000; ++looks) {
      const auto stats = must(client_.stats(), "stats");
      for (const auto& tier : stats.tiers) {
        if (tier.name == "shm" && tier.copies <= payloads_.size() + 1) return;
      }
      usleep(100);
    }
    throw Failure("an erased payload keeps its room");
  }

  client::Client& client_;
  const std::size_t blocks_;
  std::deque<client::PayloadId> payloads_;
};

// What is measured, and beside what.
struct Case {
  std::string name;
  std::size_t bytes = 0;
  std::size_t blocks = 0;            // Of ours, one after the other.
  std::size_t reference_blocks = 0;  // Of memcpy's.
  int puts = 0;
  double aim = 0;
  bool local = true;  // By the local socket, else by gRPC.
};

void measure(const Case& what) {
  const std::size_t bytes = what.bytes;
  const std::size_t blocks = what.blocks;
  HostSetup setup;
  setup.slab_bytes = bytes * blocks;
  setup.shm_capacity_bytes = setup.slab_bytes;
  const HostProcess host(setup);
  auto client = must(client::Client::connect(what.local ? host.local_address() : host.address(),
                                             {.spin_us = Putter::spin_us}),
                     "connect");
  const std::vector<std::byte> source(bytes, std::byte{42});
  const TouchedMemory memory(bytes * what.reference_blocks);
  Putter putter(client, blocks);
  // The first ones map the slab.
  for (std::size_t block = 0; block < blocks; ++block) putter.put(source);
  std::size_t next = 0;
  Rounds taken;
  taken.run(
      rounds(),
      [&] {
        std::vector<double> seconds;
        for (int i = 0; i < what.puts; ++i) seconds.push_back(putter.put(source));
        return static_cast<double>(bytes) / median(seconds) / (1 << 20);
      },
      [&] {
        std::vector<double> seconds;
        for (int i = 0; i < what.puts; ++i) {
          const double start = now_seconds();
          std::memcpy(memory.at(next * bytes), source.data(), bytes);
          seconds.push_back(now_seconds() - start);
          next = (next + 1) % what.reference_blocks;
        }
        return static_cast<double>(bytes) / median(seconds) / (1 << 20);
      });
  putter.drop_all();
  const bool is_hot = what.reference_blocks == 1;
  print(taken.figure(what.name, "MiB/s",
                     is_hot ? "memcpy into one hot block" : "memcpy into touched shared memory",
                     {Aim::at_least, what.aim}));
}

}  // namespace
}  // namespace pm::perf

int main() {
  using namespace pm::perf;
  return main_of("perf_put", [] {
    // Both rotate over 256 MiB, more than a cache holds.
    constexpr std::size_t mib = 1 << 20;
    const int many = quick() ? 200 : 600;
    const int few = quick() ? 5 : 16;
    measure({"put_slab_64MiB", 64 * mib, 4, 4, few, 0.9, false});
    measure({"put_slab_1MiB", mib, 256, 256, many, 0.25, false});
    measure({"put_local_64KiB", mib / 16, 4'096, 4'096, many, 0, true});
    measure({"put_local_1MiB", mib, 256, 256, many, 0.9, true});
    // A slab gives the block again that was freed last.
    measure({"put_local_1MiB_hot", mib, 4, 1, many, 0.5, true});
    measure({"put_local_64MiB", 64 * mib, 4, 4, few, 0.9, true});
    measure({"put_local_1GiB", 1'024 * mib, 2, 2, 3, 0.9, true});
  });
}
