#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "copy_checker.h"
#include "core/ledger/ledger.h"
#include "core/mover/worker_pool.h"
#include "options.h"

namespace pm::scrub {

struct Pass {
  std::uint64_t number = 0;
  catalog::TierIndex tier = catalog::no_tier;  // no_tier: all.
  bool requested = false;
  std::uint64_t bytes_per_second = 0;
  std::int64_t begun_at_ns = 0;  // Wall time, as is the end; 0: it goes on.
  std::int64_t ended_at_ns = 0;
  Counts counts;
};

// Looks for bit rot: reads copies and holds their bytes against their checksum. Passes have a
// thread, and payloads that somebody asks for have others. All take the ledger's lock, so their
// priority is the normal one; its rate is what keeps a pass from being felt. A pass walks through
// all payloads in the order of their making, those that are there when it begins, 64 at a time; it
// keeps no list of them. The passes that begin by themselves start at a random place and go round,
// so that restarts, after which nothing is known of the pass before, do not keep the same payloads
// from being read. [thread-safe]
class Scrubber {
 public:
  // `tiers` as the catalog counts them.
  Scrubber(ledger::Ledger& ledger, mover::Mover& mover, std::vector<Tier> tiers,
           const Options& options);
  ~Scrubber();
  Scrubber(const Scrubber&) = delete;
  Scrubber& operator=(const Scrubber&) = delete;

  // At 64 KiB/s at least. Nothing: a pass that was asked for goes on.
  std::optional<Pass> begin_pass(catalog::TierIndex tier, std::uint64_t bytes_per_second);

  // Reads the copies of a payload, without a limit of the rate. `done` is called once, on a thread
  // of the scrubber's or the caller's. False: too many wait already.
  using Done = std::function<void(const Outcome&)>;
  bool check_payload(const catalog::Id& id, Done done);

  // The newest first. `next_at_ns`: wall time at which one begins by itself; 0: none will.
  std::vector<Pass> passes(std::int64_t& next_at_ns) const;

  // Nothing is begun any more, and nobody waits. [control-thread]
  void begin_stop();
  // Ends the threads. [control-thread]
  void stop();

 private:
  struct Walk {
    Pass pass;
    std::uint64_t first_order = 0;  // Behind which it began,
    std::uint64_t order = 0;        // and behind which it goes on,
    std::uint64_t last_order = 0;   // up to here.
    bool has_wrapped = false;
    std::deque<catalog::CopyToCheck> pending;
  };
  void run();
  Walk* next_walk(std::unique_lock<std::mutex>& lock);
  void begin_by_itself();
  void step(Walk& walk);
  bool refill(Walk& walk);
  void end(Walk& walk);
  Outcome check_all(const catalog::Id& id);
  bool wait_turn(const Walk& walk, const catalog::CopyToCheck& copy, std::uint64_t bytes);
  void charge(const Walk& walk, std::uint64_t bytes);

  ledger::Ledger& ledger_;
  const Options options_;
  CopyChecker checker_;

  mutable std::mutex mutex_;  // Round all below but the threads.
  std::condition_variable changed_;
  bool stopping_ = false;
  std::size_t requests_ = 0;  // Of payloads, that wait or are served.
  std::optional<Walk> requested_;
  std::optional<Walk> own_;  // Begun by itself.
  std::deque<Pass> ended_;
  std::uint64_t passes_begun_ = 0;
  std::uint64_t next_pass_ns_ = 0;  // Monotonic.
  std::uint64_t next_read_ns_ = 0;
  // Of requests: some, as one may have much to read, or wait for room for what it mends.
  mover::WorkerPool server_{4, mover::Priority::normal};
  std::thread passes_;
};

}  // namespace pm::scrub
