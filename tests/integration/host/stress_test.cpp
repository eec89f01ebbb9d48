#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <mutex>
#include <random>
#include <thread>

#include "content.h"
#include "count.h"
#include "host_process.h"
#include "leftovers.h"
#include "rows.h"

// Many clients at once, for a while; afterwards nothing of them is left.

namespace pm::integration {
namespace {

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define PM_INSTRUMENTED 1
#endif
#endif
#ifdef PM_INSTRUMENTED
// The sanitizers keep freed memory for a while and are several times slower.
constexpr double calls_per_second_min = 50;
constexpr std::uint64_t growth_bytes_max = 1024ULL << 20;
#else
// A tenth of what two shared cores gave.
constexpr double calls_per_second_min = 1500;
constexpr std::uint64_t growth_bytes_max = 64ULL << 20;
#endif

constexpr int threads = 8;

int seconds_to_run() {
  return static_cast<int>(number_from({"PM_STRESS_SECONDS", "PM_STRESS_SECONDS_DEFAULT"}, 60));
}

// One client's life, again and again until told to stop.
class Worker {
 public:
  Worker(const HostProcess& host, unsigned seed) : client_(host.client()), random_(seed) {}

  void run(const std::atomic<bool>& stop) {
    while (!stop && errors_.empty()) live_once();
  }

  std::uint64_t calls() const { return calls_; }
  const std::vector<std::string>& errors() const { return errors_; }

 private:
  bool good(const Status& status, const char* what) {
    ++calls_;
    if (!status.ok()) errors_.push_back(std::string(what) + ": " + status.to_string());
    return status.ok();
  }

  void live_once() {
    client::CreateOptions options;
    // Disk is synced for each commit, so it gets few.
    options.tier = random_() % 32 == 0 ? client::Tier::disk : client::Tier::ram;
    options.layout = random_() % 2 == 0 ? client::Layout::slab : client::Layout::segment;
    const std::uint64_t size = 1 + random_() % 16'384;
    const auto allocated = client_.allocate(size, options);
    if (!good(allocated.status(), "allocate")) return;
    const client::PayloadId id = allocated->id;
    if (random_() % 8 != 0) {
      if (!good(client_.commit(id).status(), "commit")) return;
      const auto lease = client_.lease(id);
      if (!good(lease.status(), "lease")) return;
      if (!good(client_.release(lease->id), "release")) return;
    }
    good(client_.erase(id), "delete");
  }

  client::Client client_;
  std::minstd_rand random_;
  std::uint64_t calls_ = 0;
  std::vector<std::string> errors_;
};

class Stress : public testing::TestWithParam<const char*> {
 protected:
  Stress() : host_(host_options()) {}

  static HostOptions host_options() {
    HostOptions options;
    options.repository = GetParam();
    options.slab_bytes = 16 << 20;
    return options;
  }

  bool on_sqlite() const { return host_.options().repository == "sqlite"; }

  // What the first calls set up in the host stays.
  void warm_up() {
    client::Client first = host_.client();
    const auto stored = put(first, 1'000, 1, {.tier = client::Tier::disk});
    ASSERT_TRUE(stored.ok()) << stored.status().to_string();
    ASSERT_TRUE(first.erase(stored->descriptor.id).ok());
  }

  // All workers at once; checks their number of calls and the host's memory.
  void run_workers() {
    std::vector<std::unique_ptr<Worker>> workers;
    for (unsigned n = 0; n < threads; ++n) {
      workers.push_back(std::make_unique<Worker>(host_, n + 1));
    }
    std::atomic<bool> stop{false};
    std::vector<std::thread> running;
    for (auto& worker : workers) running.emplace_back([&] { worker->run(stop); });
    // The frontend and the ledger are the same for both; most of the time goes to the first.
    const int seconds = seconds_to_run() / (on_sqlite() ? 1 : 5) + 1;
    const auto begin = std::chrono::steady_clock::now();
    sleep_ms(seconds * 200);
    const std::uint64_t resident_warm = host_.resident_bytes();
    sleep_ms(seconds * 800);
    stop = true;
    for (std::thread& thread : running) thread.join();
    const double elapsed =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    const std::uint64_t resident = host_.resident_bytes();

    std::uint64_t calls = 0;
    for (const auto& worker : workers) {
      calls += worker->calls();
      for (const std::string& error : worker->errors()) ADD_FAILURE() << error;
    }
    const double rate = static_cast<double>(calls) / elapsed;
    std::printf("%s: %.0f calls/s with %d clients for %.0f s; resident %.1f -> %.1f MiB\n",
                GetParam(), rate, threads, elapsed, static_cast<double>(resident_warm) / (1 << 20),
                static_cast<double>(resident) / (1 << 20));
    RecordProperty("calls_per_second", static_cast<int>(rate));
    EXPECT_GT(rate, calls_per_second_min);
    EXPECT_LT(resident, resident_warm + growth_bytes_max);
  }

  HostProcess host_;
};

TEST_P(Stress, many_clients_at_once_leave_nothing_behind) {
  ASSERT_TRUE(host_.start_ready()) << host_.log();
  warm_up();
  client::Client observer = host_.client();
  ASSERT_TRUE(observer.stats().ok());
  const std::size_t descriptors = host_.open_descriptors();
  run_workers();
  EXPECT_EQ(leftovers(host_, observer), "");
  EXPECT_TRUE(eventually([&] { return host_.open_descriptors() <= descriptors + 8; }))
      << descriptors << " descriptors before, now " << host_.open_descriptors();
  if (on_sqlite()) {
    const std::filesystem::path file = host_.state_directory() / "catalog.sqlite";
    EXPECT_EQ(count_rows(file, "payload"), 0);
    EXPECT_EQ(count_rows(file, "request"), 0);
  }
  const auto exit = host_.terminate();
  ASSERT_TRUE(exit.has_value());
  EXPECT_EQ(exit->code, 0) << "signal " << exit->signal << "\n" << host_.log();
}

INSTANTIATE_TEST_SUITE_P(repositories, Stress, testing::Values("sqlite", "memory"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace pm::integration
