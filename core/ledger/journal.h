#pragma once

#include <pm/repository.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <pm/cpp/result.hpp>
#include <string>
#include <thread>
#include <vector>

#include "clocks.h"
#include "core/catalog/command.h"
#include "schema.h"

namespace pm::ledger {

struct JournalOptions {
  std::uint64_t records_max = 20'000;         // Waiting; more is refused by is_full().
  std::uint64_t bytes_max = 64ULL << 20;      // Of those, about.
  std::uint64_t age_ns_max = 5'000'000'000;   // Of the oldest of them.
  std::uint64_t batch_records_max = 1024;     // In one transaction of the repository.
  std::uint64_t retry_delay_ns = 10'000'000;  // Doubles up to a second.
  Runtime runtime;
};

// Carries records to the repository, in order, many callers' in one transaction (group commit).
// While the repository is away it tries again and lets records wait. What cannot be made good, a
// lost epoch, a rejected record or a failed sync, ends the host: nothing is acknowledged after it.
class Journal {
 public:
  // Called by the journal's thread. `on_durable` gets the LSN up to which all is durable;
  // `on_fatal` is called once, and then nothing any more.
  Journal(const JournalOptions& options, const pm_repository_t* repository, std::uint64_t epoch,
          std::uint64_t last_sequence, const TierNames& tiers,
          std::function<void(std::uint64_t lsn)> on_durable,
          std::function<void(const Status&)> on_fatal);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  // Adds a group that must be durable together. LSNs grow from call to call. Does no I/O.
  void append(std::uint64_t lsn, bool power, std::vector<catalog::Record> records,
              std::uint64_t now_ns);

  // Writes what waits on the calling thread, unless another thread is writing already; then waits
  // for that one. For callers that would only wait for the journal's thread. What the repository
  // does not take now is left to that thread. [worker]
  void drive();

  // One batch, or another attempt at the one that the repository did not take.
  enum class Written { nothing, batch, away };
  Written write_waiting();

  // Wakes the journal's thread, unless this thread has promised to drive(). After append(), outside
  // of any lock.
  void wake();

  // This thread's promise, while it lasts, to call drive() after what it submits.
  class WillDrive {
   public:
    WillDrive();
    ~WillDrive();
    WillDrive(const WillDrive&) = delete;
    WillDrive& operator=(const WillDrive&) = delete;
  };

  bool is_full() const {
    if (records_waiting_.load(std::memory_order_relaxed) >= options_.records_max) return true;
    if (bytes_waiting_.load(std::memory_order_relaxed) >= options_.bytes_max) return true;
    const std::uint64_t since_ns = oldest_ns_.load(std::memory_order_relaxed);
    return since_ns != 0 && options_.runtime.read_clocks().mono_ns > since_ns + options_.age_ns_max;
  }
  // Since when the batch under way waits; 0: none is.
  std::uint64_t unwritten_since_ns() const { return oldest_ns_.load(std::memory_order_relaxed); }
  // True while the repository does not answer.
  bool is_away() const { return away_.load(std::memory_order_relaxed); }

  // Writes what waits and ends the thread; gives up at the deadline (monotonic) when the repository
  // is away. Called once, before the destructor.
  void stop(std::uint64_t deadline_ns);

 private:
  struct Group {
    std::uint64_t lsn = 0;
    bool power = false;
    std::uint64_t operations = 0;  // As many rows, about, are written.
    std::uint64_t bytes = 0;
    std::uint64_t since_ns = 0;
    std::vector<catalog::Record> records;
  };

  void run();
  bool wait_to_retry();
  bool take_batch();
  Status apply();
  void note_away(const Status& status);

  const JournalOptions options_;
  const pm_repository_t* const repository_;
  const std::uint64_t epoch_;
  const std::function<void(std::uint64_t)> on_durable_;
  const std::function<void(const Status&)> on_fatal_;

  std::mutex queue_mutex_;
  std::condition_variable queue_changed_;
  std::deque<Group> queue_;
  bool thread_sleeps_ = false;
  bool stopping_ = false;
  std::uint64_t stop_deadline_ns_ = 0;

  std::mutex write_mutex_;  // Held while a batch is written; guards what follows.
  std::uint64_t sequence_;
  OperationWriter writer_;
  std::vector<Group> batch_;  // Under way; not empty between two attempts.
  bool power_ = false;        // Of that batch.
  std::uint64_t retry_delay_ns_;
  bool dead_ = false;

  std::atomic<std::uint64_t> records_waiting_{0};
  std::atomic<std::uint64_t> bytes_waiting_{0};
  std::atomic<std::uint64_t> oldest_ns_{0};  // Since when the batch under way waits; 0: none is.
  std::atomic<bool> away_{false};
  std::thread thread_;
};

}  // namespace pm::ledger
