// perf_lease_p99: leases on other payloads at 1,000 a second, in an open loop, while 1 GiB moves
// between shared memory and disk, against the same load between the moves, and beside a bare loop
// that only writes as many bytes to the disk and reads them: what no move can do without.

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <thread>

#include "big_payload.h"
#include "host_process.h"
#include "raw_file.h"

namespace pm::perf {
namespace {

constexpr std::uint64_t move_bytes = 1ULL << 30;
constexpr unsigned lease_threads = 16;
constexpr double leases_per_second = 1000;
constexpr int payload_count = 64;

struct Sample {
  double due;      // When the call was to be sent,
  double seconds;  // and how long after that its answer was there.
};

// Leases and releases in turn; the time of the lease counts.
class LeaseLoad {
 public:
  LeaseLoad(client::Client& client, const std::vector<client::PayloadId>& payloads)
      : client_(client), payloads_(payloads), samples_(lease_threads) {
    const double start = now_seconds();
    for (unsigned thread = 0; thread < lease_threads; ++thread) {
      threads_.emplace_back([this, thread, start] { run(thread, start); });
    }
  }
  ~LeaseLoad() { stop(); }

  std::vector<Sample> stop() {
    stopping_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    std::vector<Sample> all;
    for (const auto& samples : samples_) all.insert(all.end(), samples.begin(), samples.end());
    return all;
  }
  bool failed() const { return failed_; }

 private:
  void run(unsigned thread, double start) {
    double due = start + thread / leases_per_second;
    for (std::uint64_t count = thread; !stopping_; count += 7) {
      const double left = due - now_seconds();
      if (left > 0) std::this_thread::sleep_for(std::chrono::duration<double>(left));
      const auto lease = client_.lease(payloads_[count % payloads_.size()]);
      samples_[thread].push_back({due, now_seconds() - due});
      if (!lease.ok() || !client_.release(lease->id).ok()) failed_ = true;
      due += lease_threads / leases_per_second;
    }
  }

  client::Client& client_;
  const std::vector<client::PayloadId>& payloads_;
  std::vector<std::vector<Sample>> samples_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> failed_{false};
  std::vector<std::thread> threads_;
};

struct Interval {
  double begin;
  double end;
};

std::vector<double> within(const std::vector<Sample>& samples,
                           const std::vector<Interval>& intervals) {
  std::vector<double> found;
  for (const Sample& sample : samples) {
    for (const Interval& interval : intervals) {
      const bool inside = sample.due >= interval.begin && sample.due < interval.end;
      if (inside) found.push_back(sample.seconds * 1e3);
    }
  }
  return found;
}

void measure() {
  HostSetup setup;
  setup.shm_capacity_bytes = move_bytes * 2;
  const HostProcess host(setup);
  client::ConnectOptions options;
  options.deadline_ms = 120'000;
  auto mover = must(client::Client::connect(host.address(), options), "connect");
  auto reader = must(client::Client::connect(host.address(), options), "connect");
  BigPayload big(mover, move_bytes);
  std::vector<client::PayloadId> payloads;
  for (int i = 0; i < payload_count; ++i) {
    auto payload = must(reader.create(4096), "create");
    must(payload.commit().status(), "commit");
    payloads.push_back(payload.id());
  }
  constexpr std::uint64_t chunk_bytes = 1 << 20;
  constexpr unsigned depth = 8;
  const std::unique_ptr<char, decltype(&std::free)> memory(
      static_cast<char*>(std::aligned_alloc(4096, chunk_bytes * depth)), &std::free);
  std::memset(memory.get(), 7, chunk_bytes * depth);
  const std::string raw = host.directory() + "/raw";
  std::vector<Interval> moving;
  std::vector<Interval> bare;
  std::vector<Interval> still;
  LeaseLoad load(reader, payloads);
  const int times = quick() ? 5 : 20;
  for (int i = 0; i < times; ++i) {
    const double begin = now_seconds();
    big.spill();
    big.promote();
    const double end = now_seconds();
    moving.push_back({begin, end});
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    const double bare_begin = now_seconds();
    move_raw(raw, true, memory.get(), move_bytes, chunk_bytes, depth);
    move_raw(raw, false, memory.get(), move_bytes, chunk_bytes, depth);
    bare.push_back({bare_begin, now_seconds()});
    unlink(raw.c_str());
    // As long without moves, after a moment for what they leave behind.
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    still.push_back({now_seconds(), now_seconds() + std::min(end - begin, 1.0)});
    std::this_thread::sleep_for(std::chrono::duration<double>(still.back().end - now_seconds()));
  }
  const std::vector<Sample> samples = load.stop();
  must(!load.failed(), "a lease or its release failed");
  const std::vector<double> busy = within(samples, moving);
  const std::vector<double> calm = within(samples, still);
  const double ours = percentile(busy, 0.99);
  const double reference = percentile(calm, 0.99);
  print({"lease_p99_during_moves",
         ours,
         "ms",
         "the same load without moves",
         reference,
         ours / reference,
         {Aim::at_most, 2}});
  const double least = percentile(within(samples, bare), 0.99);
  print({"lease_p99_during_moves_to_bare_loop",
         ours,
         "ms",
         "beside a bare O_DIRECT loop",
         least,
         ours / least,
         {Aim::at_most, 2}});
  const double worst = percentile(busy, 1);
  print({"lease_max_during_moves", worst, "ms", "allowed", 50, worst / 50, {Aim::at_most, 1}});
}

}  // namespace
}  // namespace pm::perf

int main() {
  return pm::perf::main_of("perf_lease_p99", [] { pm::perf::measure(); });
}
