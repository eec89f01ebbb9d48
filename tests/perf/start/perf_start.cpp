// perf_start: how long a host takes from its start until it answers, with a million payloads in
// SQLite, half of them on shm and half on disk; after an orderly end and after a SIGKILL. Beside
// it a plain SELECT of all rows of the same table. Both with a warm page cache.

#include <sqlite3.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "grpc_load.h"
#include "host_process.h"
#include "report.h"

namespace pm::perf {
namespace {

using payload::manager::core::v1::TIER_DISK;
using payload::manager::core::v1::TIER_RAM;

constexpr std::uint64_t payload_bytes = 4096;
constexpr double seconds_max = 10;
constexpr double selects_max = 5;

void fill(const std::string& address, std::int64_t count) {
  const Stubs stubs(address);
  std::atomic<std::int64_t> left{count};
  std::atomic<bool> failed{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 64; ++i) {
    threads.emplace_back([&] {
      try {
        for (std::int64_t number = left--; !failed && number > 0; number = left--) {
          const bool on_disk = number % 2 == 0;
          stubs.commit(on_disk ? stubs.allocate(payload_bytes, {}, TIER_DISK)
                               : stubs.allocate(payload_bytes, wire::MEMORY_LAYOUT_SLAB, TIER_RAM));
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

// The seconds that it takes to step through all payloads and look at each column.
double select_all(const std::string& path, std::int64_t count) {
  sqlite3* database = nullptr;
  sqlite3_stmt* statement = nullptr;
  const double begin = now_seconds();
  must(sqlite3_open_v2(path.c_str(), &database, SQLITE_OPEN_READONLY, nullptr) == SQLITE_OK &&
           sqlite3_prepare_v2(database, "SELECT * FROM payload", -1, &statement, nullptr) ==
               SQLITE_OK,
       "the host's database cannot be opened");
  std::int64_t rows = 0;
  std::size_t bytes = 0;
  while (sqlite3_step(statement) == SQLITE_ROW) {
    ++rows;
    for (int column = 0; column < sqlite3_column_count(statement); ++column) {
      if (sqlite3_column_type(statement, column) == SQLITE_INTEGER) {
        bytes += sqlite3_column_int64(statement, column) != 0;
      } else if (sqlite3_column_blob(statement, column) != nullptr) {
        bytes += static_cast<std::size_t>(sqlite3_column_bytes(statement, column));
      }
    }
  }
  sqlite3_finalize(statement);
  sqlite3_close(database);
  must(rows == count && bytes > 0, "the table has " + std::to_string(rows) + " rows");
  return now_seconds() - begin;
}

void measure() {
  const std::int64_t count = quick() ? 100'000 : 1'000'000;
  const std::string size = quick() ? "100k" : "1m";
  HostSetup setup;
  setup.slab_bytes = static_cast<std::uint64_t>(count) * payload_bytes;
  setup.shm_capacity_bytes = setup.slab_bytes;
  setup.preload = PM_PERF_WITHOUT_SYNC;
  HostProcess host(setup);
  fill(host.address(), count);
  const std::string database = host.directory() + "/state/catalog.sqlite";
  // The log is emptied into the file, and what is on its way to the disk gets there.
  host.restart(false);
  sync();
  for (const bool by_kill : {false, true}) {
    std::vector<double> seconds;
    Rounds rounds;
    rounds.run(
        perf::rounds(),
        [&] {
          seconds.push_back(host.restart(by_kill));
          return seconds.back();
        },
        [&] { return select_all(database, count); });
    const std::string name = std::string("start_") + (by_kill ? "after_kill" : "after_stop") + "_";
    const double ready = median(seconds);
    print(
        {name + size, ready, "s", "allowed", seconds_max, ready / seconds_max, {Aim::at_most, 1}});
    print(rounds.figure(name + size + "_of_select", "s", "SELECT * of the same table",
                        {Aim::at_most, selects_max}));
  }
}

}  // namespace
}  // namespace pm::perf

int main() {
  return pm::perf::main_of("perf_start", [] { pm::perf::measure(); });
}
