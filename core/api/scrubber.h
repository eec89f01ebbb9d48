#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <vector>

#include "core/catalog/command.h"
#include "core/ledger/ledger.h"
#include "core/mover/check_job.h"
#include "core/mover/worker_pool.h"
#include "tier_table.h"

namespace pm::api {

// What reading copies came to; each as in the contract's ScrubCounts.
struct ScrubCounts {
  std::uint64_t copies = 0;
  std::uint64_t bytes = 0;
  std::uint64_t checksums = 0;
  std::uint64_t bad = 0;
  std::uint64_t repaired = 0;
  std::uint64_t lost = 0;
  std::uint64_t unreadable = 0;
};

struct ScrubPass {
  std::uint64_t number = 0;
  catalog::TierIndex tier = catalog::no_tier;  // no_tier: all.
  bool requested = false;
  std::uint64_t bytes_per_second = 0;
  std::int64_t begun_at_ns = 0;  // Wall time, as is the end; 0: it goes on.
  std::int64_t ended_at_ns = 0;
  ScrubCounts counts;
};

// What came of one payload.
struct ScrubOutcome {
  ScrubCounts counts;
  catalog::Reason reason = catalog::Reason::none;  // What keeps it from being well.
  catalog::TierIndex lost_on = catalog::no_tier;   // Where what is left of a lost one is kept.
  std::uint64_t lsn = 0;                           // What must be durable before it is told.
};

// Looks for bit rot: reads copies, on one thread, and holds their bytes against their checksum. The
// thread takes the ledger's lock, so its priority is the normal one; its rate is what keeps it from
// being felt. A pass walks through all payloads in the order of their making, those that are
// there when it begins, 64 at a time; it keeps no list of them. The passes that begin by themselves
// start at a random place and go round, so that restarts, after which nothing is known of the pass
// before, do not keep the same payloads from being read. [thread-safe]
class Scrubber {
 public:
  Scrubber(ledger::Ledger& ledger, const TierTable& tiers, const ScrubOptions& options);
  ~Scrubber();
  Scrubber(const Scrubber&) = delete;
  Scrubber& operator=(const Scrubber&) = delete;

  // Nothing: a pass that was asked for goes on.
  std::optional<ScrubPass> begin_pass(catalog::TierIndex tier, std::uint64_t bytes_per_second);

  // Reads the copies of a payload before anything else, without a limit of the rate. `done` is
  // called once, on the scrubber's thread. False: too many wait already.
  using Done = std::function<void(const ScrubOutcome&)>;
  bool check_payload(const catalog::Id& id, Done done);

  // The newest first. `next_at_ns`: wall time at which one begins by itself; 0: none will.
  std::vector<ScrubPass> passes(std::int64_t& next_at_ns) const;

  // Nothing is begun any more, and nobody waits. [control-thread]
  void begin_stop();
  // Ends the thread. [control-thread]
  void stop();

 private:
  struct Request {
    catalog::Id id;
    Done done;
  };
  struct Walk {
    ScrubPass pass;
    std::uint64_t first_order = 0;  // Behind which it began,
    std::uint64_t order = 0;        // and behind which it goes on,
    std::uint64_t last_order = 0;   // up to here.
    bool has_wrapped = false;
    std::deque<catalog::CopyToCheck> pending;
  };
  class Answer;

  void run();
  Walk* next_walk(std::unique_lock<std::mutex>& lock);
  void begin_by_itself();
  void step(Walk& walk);
  bool refill(Walk& walk);
  void end(Walk& walk);
  void serve_requests();
  ScrubOutcome check_all(const catalog::Id& id);
  // False: it was not read to its end, as `may_read` said so.
  bool check(const catalog::CopyToCheck& copy, const mover::MayRead& may_read,
             ScrubOutcome& outcome);
  void judge(const catalog::CopyToCheck& copy, const mover::CheckResult& result,
             ScrubOutcome& outcome);
  void report_bad(const catalog::CopyToCheck& copy, const std::string& words,
                  const catalog::Reply* reply, ScrubOutcome& outcome);
  bool wait_turn(const Walk& walk, std::uint64_t bytes);
  void charge(const Walk& walk, std::uint64_t bytes);
  bool wait_for_journal();
  bool is_stopping() const;
  template <typename Command>
  std::optional<catalog::Reply> ask(Command command);

  ledger::Ledger& ledger_;
  const TierTable& tiers_;
  const ScrubOptions options_;

  mutable std::mutex mutex_;  // Round all below.
  std::condition_variable changed_;
  bool stopping_ = false;
  std::deque<Request> requests_;
  std::optional<Walk> requested_;
  std::optional<Walk> own_;  // Begun by itself.
  std::deque<ScrubPass> ended_;
  std::uint64_t passes_begun_ = 0;
  std::uint64_t next_pass_ns_ = 0;  // Monotonic.
  std::uint64_t next_read_ns_ = 0;
  std::list<Answer> answers_;  // Of commands that are not answered yet. The thread's alone.
  mover::WorkerPool thread_;
};

}  // namespace pm::api
