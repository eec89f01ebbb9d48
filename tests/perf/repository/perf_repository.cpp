#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "plugin_subject.h"
#include "stores.h"

// Measures repositories through the C ABI against a bare loop over SQLite, in turns, and prints
// one JSON object a line. Each ratio is a median over rounds of one run.

namespace pm::perf {
namespace {

constexpr int rounds = 7;

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

template <typename Body>
double seconds_of(Body&& body) {
  const auto begin = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

void print(const std::string& name, double value, const char* unit, const char* reference_name,
           double reference, double ratio, double aim, bool meets) {
  std::printf(
      "{\"name\": \"%s\", \"value\": %.1f, \"unit\": \"%s\", \"reference\": {\"name\": \"%s\", "
      "\"value\": %.1f}, \"ratio\": %.3f, \"aim\": %.2f, \"meets_aim\": %s}\n",
      name.c_str(), value, unit, reference_name, reference, ratio, aim, meets ? "true" : "false");
  std::fflush(stdout);
}

// Rows a second written in batches of `rows`, against the raw loop. Both stores grow by the same
// payloads in each round; who goes first alternates. With `again` each round writes the payloads of
// the first one, as a change of state does.
struct Writes {
  std::string name;
  std::size_t rows, batches;
  uint32_t durability;
  bool reference_keeps_sequence = false;
  bool again = false;
};
void measure_writes(const Writes& writes) {
  const auto& [name, rows, batches, durability, keeps_sequence, again] = writes;
  const contract::TemporaryFolder folder;
  PluginStore plugin("repository-sqlite", contract::sqlite_config(folder.path() + "/plugin.db"));
  RawStore raw(folder.path() + "/raw.db", keeps_sequence);
  const std::size_t per_round = rows * batches;
  // One round before those that count fills caches and the log.
  const Payloads fresh(per_round * (again ? 1 : rounds + 1));
  std::vector<double> plugin_rates, raw_rates, ratios;
  for (int round = 0; round <= rounds; ++round) {
    const std::size_t first = again ? 0 : round * per_round;
    const Payloads changed(again ? per_round : 0, round + 1);
    const Payloads& payloads = again ? changed : fresh;
    const auto write_all = [&, rows = rows, batches = batches,
                            durability = durability](auto& store) {
      for (std::size_t b = 0; b < batches; ++b)
        store.write(payloads, first + b * rows, rows, durability);
    };
    double plugin_seconds = 0;
    if (round % 2 == 0) plugin_seconds = seconds_of([&] { write_all(plugin); });
    const double raw_seconds = seconds_of([&] { write_all(raw); });
    if (round % 2 != 0) plugin_seconds = seconds_of([&] { write_all(plugin); });
    if (round == 0) continue;
    plugin_rates.push_back(static_cast<double>(per_round) / plugin_seconds);
    raw_rates.push_back(static_cast<double>(per_round) / raw_seconds);
    ratios.push_back(raw_seconds / plugin_seconds);
  }
  const double ratio = median(ratios);
  print(name, median(plugin_rates), "rows/s", "raw sqlite3 prepared loop", median(raw_rates), ratio,
        0.9, ratio >= 0.9);
}

// Microseconds that a switch of durability between two batches adds.
void measure_durability_switch() {
  const contract::TemporaryFolder folder;
  sqlite3* db = nullptr;
  must(sqlite3_open((folder.path() + "/switch.db").c_str(), &db) == SQLITE_OK, "open");
  must(sqlite3_exec(db, "PRAGMA journal_mode=WAL", nullptr, nullptr, nullptr) == SQLITE_OK, "wal");
  constexpr int switches = 20'000;
  const double seconds = seconds_of([&] {
    for (int i = 0; i < switches; ++i)
      sqlite3_exec(db, i % 2 == 0 ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL",
                   nullptr, nullptr, nullptr);
  });
  sqlite3_close(db);
  const double micros = seconds / switches * 1e6;
  print("sqlite_durability_switch", micros, "us", "allowed", 20, micros / 20, 1, micros <= 20);
}

// The 99th percentile of the time that a batch of 64 rows takes, each replacing a record.
double apply_p99_us(PluginStore& store, const Payloads& payloads, std::size_t batches) {
  std::vector<double> waits;
  for (std::size_t b = 0; b < batches; ++b) {
    const std::size_t first = b * 7919 * 64 % (payloads.size() - 64);
    waits.push_back(seconds_of([&] { store.write(payloads, first, 64, PM_DURABILITY_PROCESS); }) *
                    1e6);
  }
  std::sort(waits.begin(), waits.end());
  return waits[waits.size() * 99 / 100];
}

// Runs `work` on another thread, over and over, while `body` runs on this one.
template <typename Work, typename Body>
auto beside(const Work& work, const Body& body) {
  std::atomic<bool> done{false};
  std::thread thread([&] {
    while (!done.load()) work();
  });
  const auto result = body();
  done.store(true);
  thread.join();
  return result;
}

// What a scan of a million records does to batches that run meanwhile. It is compared with a
// thread that only counts, which takes as much of the processor and no lock.
void measure_scan_stall() {
  PluginStore store("repository-memory", "{}");
  const Payloads payloads(1'000'000);
  for (std::size_t first = 0; first + 64 <= payloads.size(); first += 64)
    store.write(payloads, first, 64, PM_DURABILITY_PROCESS);
  std::atomic<uint64_t> counter{0};
  const auto count = [&] {
    for (int i = 0; i < 1'000'000; ++i) counter.fetch_add(1, std::memory_order_relaxed);
  };
  const auto scan_all = [&] {
    pm_scan_t scan{};
    scan.size = sizeof scan;
    scan.kind = 1;
    const auto on_record = [](void* sum, const pm_value_t* values, uint32_t) {
      *static_cast<uint64_t*>(sum) += values[1].as.u64;
      return true;
    };
    uint64_t sum = 0;
    must(store.repository()->scan(store.repository(), &scan, on_record, &sum) == PM_OK, "scan");
  };
  std::vector<double> counting, scanning, added;
  for (int round = 0; round < rounds; ++round) {
    const auto measure = [&] { return apply_p99_us(store, payloads, 2'000); };
    counting.push_back(beside(count, measure));
    scanning.push_back(beside(scan_all, measure));
    added.push_back(scanning.back() - counting.back());
  }
  print("memory_batch64_p99_during_scan_of_1m", median(scanning), "us",
        "the same beside a thread that counts, plus 1000", median(counting) + 1000,
        median(scanning) / (median(counting) + 1000), 1, median(added) <= 1000);
}

}  // namespace
}  // namespace pm::perf

int main() {
  using namespace pm::perf;
  measure_writes({"sqlite_batch64_process", 64, 400, PM_DURABILITY_PROCESS});
  measure_writes({"sqlite_batch64_power", 64, 100, PM_DURABILITY_POWER});
  measure_writes({"sqlite_batch64_process_again", 64, 400, PM_DURABILITY_PROCESS, false, true});
  measure_writes({"sqlite_single_process", 1, 4000, PM_DURABILITY_PROCESS});
  measure_writes({"sqlite_single_process_sequenced", 1, 4000, PM_DURABILITY_PROCESS, true});
  measure_writes({"sqlite_single_power", 1, 300, PM_DURABILITY_POWER});
  measure_durability_switch();
  measure_scan_stall();
}
