// perf_put: allocate, write and commit by a client that has the slab mapped, against memcpy into
// equal blocks of shared memory that have been touched before. The client puts one after the other
// and says so (CreateOptions::ahead), and stays awake for its answers (ConnectOptions::spin_us).

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <deque>
#include <span>

#include "host_process.h"
#include "pm/client/client.h"
#include "report.h"

namespace pm::perf {
namespace {

// Shared memory of this process, mapped and faulted in.
class SharedMemory {
 public:
  explicit SharedMemory(std::size_t bytes) : bytes_(bytes) {
    const int fd = memfd_create("pm-perf-put", MFD_CLOEXEC);
    must(fd >= 0 && ftruncate(fd, static_cast<off_t>(bytes)) == 0, "no shared memory");
    base_ = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
    close(fd);
    must(base_ != MAP_FAILED, "cannot map shared memory");
    std::memset(base_, 1, bytes);
  }
  ~SharedMemory() { munmap(base_, bytes_); }
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  std::byte* at(std::size_t offset) const { return static_cast<std::byte*>(base_) + offset; }

 private:
  const std::size_t bytes_;
  void* base_;
};

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

void measure(const std::string& name, std::size_t bytes, std::size_t blocks, int puts, double aim) {
  HostSetup setup;
  setup.slab_bytes = bytes * blocks;
  setup.shm_capacity_bytes = setup.slab_bytes;
  const HostProcess host(setup);
  auto client =
      must(client::Client::connect(host.address(), {.spin_us = Putter::spin_us}), "connect");
  const std::vector<std::byte> source(bytes, std::byte{42});
  const SharedMemory memory(bytes * blocks);
  Putter putter(client, blocks);
  // The first ones map the slab.
  for (std::size_t block = 0; block < blocks; ++block) putter.put(source);
  std::size_t next = 0;
  Rounds taken;
  taken.run(
      rounds(),
      [&] {
        std::vector<double> seconds;
        for (int i = 0; i < puts; ++i) seconds.push_back(putter.put(source));
        return static_cast<double>(bytes) / median(seconds) / (1 << 20);
      },
      [&] {
        std::vector<double> seconds;
        for (int i = 0; i < puts; ++i) {
          const double start = now_seconds();
          std::memcpy(memory.at(next * bytes), source.data(), bytes);
          seconds.push_back(now_seconds() - start);
          next = (next + 1) % blocks;
        }
        return static_cast<double>(bytes) / median(seconds) / (1 << 20);
      });
  putter.drop_all();
  print(taken.figure(name, "MiB/s", "memcpy into touched shared memory", {Aim::at_least, aim}));
}

}  // namespace
}  // namespace pm::perf

int main() {
  using namespace pm::perf;
  return main_of("perf_put", [] {
    // Both rotate over 256 MiB, more than a cache holds.
    constexpr std::size_t mib = 1 << 20;
    measure("put_slab_64MiB", 64 * mib, 4, quick() ? 5 : 16, 0.9);
    measure("put_slab_1MiB", mib, 256, quick() ? 200 : 600, 0.25);
  });
}
