#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <pm/cpp/result.hpp>
#include <string>

namespace pm::mover {

struct HealthOptions {
  std::uint64_t call_ns_max = 30'000'000'000;  // A call that takes longer is abandoned.
  // When so many more calls have failed than succeeded, it is out of service, and is tried out
  // after the shorter time first, and ever later up to the longer one.
  std::uint32_t failures_max = 5;
  std::uint64_t probe_ns_min = 1'000'000'000;
  std::uint64_t probe_ns_max = 30'000'000'000;
};

// Codes after which the same call may succeed: nothing is wrong with what was asked.
bool is_transient(Code code);

// How well a tier works, from the calls that are made to it: whether it is out of service, when it
// is to be tried out, and whether a call that failed may be repeated. Repeats are at most a tenth
// of all calls, besides a few, so that a sick tier is not kept busy by them. [thread-safe]
class TierHealth {
 public:
  // A change, and how many there have been: later ones may be told earlier. Called on the thread
  // that made the change, outside of any lock.
  struct Change {
    bool degraded = false;
    std::string why;
    std::uint64_t number = 0;
  };
  TierHealth(const HealthOptions& options, std::uint64_t (*now_ns)(),
             std::function<void(const Change&)> on_change)
      : options_(options), now_ns_(now_ns), on_change_(std::move(on_change)) {}

  const HealthOptions& options() const { return options_; }
  bool is_degraded() const { return degraded_.load(std::memory_order_relaxed); }

  // A call has ended. While all is well nothing is written that other threads read.
  void note(const Status& status);

  // A call has been given up, and it has ended after all.
  void note_abandoned(const std::string& words);
  void note_returned() { --hanging_; }
  // False: so many calls hang that no more threads are put at risk.
  bool may_call() const { return hanging_.load(std::memory_order_relaxed) < hanging_max; }

  // True: takes one repeat out of the budget.
  bool may_repeat();

  // True: it is time to try the tier out, which the caller does, and then says how it went.
  bool take_probe();
  void note_probe(const Status& status);

 private:
  static constexpr std::int32_t hanging_max = 8;
  // The budget counts in tenths of a repeat.
  static constexpr std::uint32_t tenths_each = 10;
  static constexpr std::uint32_t tenths_max = 10 * tenths_each;

  void degrade(const std::string& why);

  const HealthOptions options_;
  std::uint64_t (*const now_ns_)();
  const std::function<void(const Change&)> on_change_;
  std::atomic<bool> degraded_{false};
  std::atomic<std::uint32_t> failures_{0};
  std::atomic<std::int32_t> hanging_{0};
  std::atomic<std::uint32_t> tenths_{tenths_max};

  std::mutex mutex_;  // Round what follows, and changes of degraded_.
  bool is_probed_ = false;
  std::uint64_t probe_after_ns_ = 0;
  std::uint64_t probe_at_ns_ = 0;
  std::uint64_t changes_ = 0;
};

}  // namespace pm::mover
