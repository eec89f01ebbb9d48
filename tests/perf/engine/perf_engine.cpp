// perf_engine [64|1]: durable allocate and commit through the engine's own interface, in this
// process, against bare SQLite writing the same records. 64 callers are measured twice: as a
// frontend has them, 64 open calls that one thread continues (.._64_open_calls), and as 64 threads
// that each wait for their reply (.._64_threads), where each call costs two switches of threads.

#include <atomic>
#include <thread>
#include <vector>

#include "engine_caller.h"
#include "local_engine.h"
#include "open_calls.h"
#include "payload/manager/catalog/v1/catalog.pb.h"
#include "raw_records.h"
#include "report.h"

namespace pm::perf {
namespace {

namespace wire = payload::manager::catalog::v1;

constexpr std::uint64_t payload_bytes = 4096;

// Allocates and commits until `left` is used up; false when a call failed.
bool commit_payloads(EngineCaller& caller, std::atomic<std::int64_t>& left) {
  wire::AllocatePayloadRequest allocate;
  allocate.set_size_bytes(payload_bytes);
  allocate.set_preferred_tier(payload::manager::core::v1::TIER_RAM);
  allocate.set_layout(wire::MEMORY_LAYOUT_SLAB);
  wire::AllocatePayloadResponse allocated;
  wire::CommitPayloadRequest commit;
  wire::CommitPayloadResponse committed;
  while (left.fetch_sub(1, std::memory_order_relaxed) > 0) {
    if (!caller.call(method::allocate, allocate, allocated)) return false;
    *commit.mutable_id() = allocated.payload_descriptor().payload_id();
    if (!caller.call(method::commit, commit, committed)) return false;
  }
  return true;
}

// Seconds for `count` payloads by `callers` threads.
double run_callers(LocalEngine& engine, unsigned callers, std::size_t count) {
  std::atomic<std::int64_t> left{static_cast<std::int64_t>(count)};
  std::atomic<bool> failed{false};
  std::atomic<bool> go{false};
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < callers; ++i) {
    threads.emplace_back([&] {
      // One caller gains nothing from a thread of the journal's; many share its batches.
      EngineCaller caller(engine.engine(), callers == 1);
      go.wait(false);
      if (!commit_payloads(caller, left)) failed = true;
    });
  }
  const double start = now_seconds();
  go = true;
  go.notify_all();
  for (std::thread& thread : threads) thread.join();
  const double seconds = now_seconds() - start;
  must(!failed, "a call failed");
  return seconds;
}

double run_open_calls(LocalEngine& engine, unsigned callers, std::size_t count) {
  return OpenCalls(engine.engine(), callers, payload_bytes).run(count, 1);
}

using Run = double (*)(LocalEngine& engine, unsigned callers, std::size_t count);

// Commits a second. New stores for each round, so that none is larger than its counterpart.
void measure(const std::string& name, Run run, unsigned callers, std::size_t rows_each,
             std::size_t count) {
  EngineSetup setup;
  setup.slab_bytes = (count + 1024) * payload_bytes;
  RawRecords records;
  {
    LocalEngine engine(setup);
    run(engine, callers, count);
    engine.stop();
    records = RawRecords::read(engine.database());
  }
  must(records.size() == count, "the store does not hold what was committed");
  const double rows = static_cast<double>(count);
  Rounds rounds_taken;
  rounds_taken.run(
      rounds(),
      [&] {
        LocalEngine engine(setup);
        return rows / run(engine, callers, count);
      },
      [&] {
        const TemporaryDirectory directory;
        RawDatabase raw(directory / "raw.sqlite", records);
        return rows / raw.insert_all(rows_each);
      });
  print(rounds_taken.figure(
      "engine_durable_commit_" + name, "payloads/s",
      rows_each == 1 ? "SQLite, a row in each transaction" : "SQLite, 64 rows in each transaction",
      {Aim::at_least, 0.7}));
}

}  // namespace
}  // namespace pm::perf

int main(int argc, char** argv) {
  using namespace pm::perf;
  return main_of("perf_engine", [&] {
    const std::size_t scale = quick() ? 1 : 4;
    const std::string only = argc > 1 ? argv[1] : "";
    if (only != "1") {
      measure("64_open_calls", &run_open_calls, 64, 64, 25'000 * scale);
      measure("64_threads", &run_callers, 64, 64, 25'000 * scale);
    }
    if (only != "64") measure("1", &run_callers, 1, 1, 10'000 * scale);
  });
}
