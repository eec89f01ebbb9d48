#pragma once

#include <pm/tier.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <pm/cpp/result.hpp>
#include <string>
#include <thread>
#include <vector>

#include "copy_job.h"
#include "core/catalog/command.h"
#include "tier_io.h"
#include "worker_pool.h"

namespace pm::mover {

struct MoverTier {
  const pm_tier_t* tier = nullptr;
  std::uint32_t workers = 2;
  std::string name;
  HealthOptions health;
};

struct MoverOptions {
  MakeWorkers make_workers = make_threads;
  std::uint64_t (*now_ns)() = nullptr;  // Monotonic.
  // Without, nobody looks for calls that hang but look_after(), and nothing waits.
  bool has_watch = true;
  // Tiers are tried out with objects of generations from here on, which nobody else uses.
  std::uint64_t probe_generation = 0;
};

// The payload of the objects that tiers are tried out with.
extern const std::array<std::uint8_t, 16> probe_payload;

// Carries effects out: allocates, seals, moves and removes copies on the tiers. What a tier does
// without blocking is done on the calling thread; the rest goes to the tier's workers. Moves and
// the reading of whole payloads have workers of their own, so that a long one delays no allocation;
// the bytes of moves are copied, and large copies removed, on threads of low priority, so that they
// delay no call. Whatever takes the ledger's lock runs at normal priority: it is never held by a
// thread that others keep waiting.
//
// Calls that fail in passing are repeated within a budget. A call that hangs is given up: its
// effect is reported as failed, its thread is replaced, and its object is left alone until the call
// has come back. A tier that hangs or keeps failing is out of service: what would be put on it
// fails at once, removals wait, and it is tried out now and then until it works again.
class Mover {
 public:
  // `report` is called once for each effect, on any thread.
  Mover(const std::vector<MoverTier>& tiers, std::function<void(const catalog::Command&)> report,
        const MoverOptions& options);
  ~Mover();
  Mover(const Mover&) = delete;
  Mover& operator=(const Mover&) = delete;

  // May report before it returns. [thread-safe]
  void run(catalog::Effect effect);

  // Bytes of a copy, and how many of them were read; the rest is past its end.
  struct Part {
    AlignedBuffer buffer;
    std::uint64_t count = 0;
  };
  // Reads a part of a copy on a worker, and waits for it no longer than a call to the tier may
  // take. UNAVAILABLE at once while the tier is out of service; CANCELLED after cancel_moves(). Not
  // after stop(). [thread-safe]
  Result<Part> read(const catalog::Object& object, std::uint64_t offset, std::uint64_t length);

  // Ends moves and checksums under way, and those to come, as cancelled.
  void cancel_moves() { stopping_.store(true); }

  // Does what is queued, and ends the threads. Does not return while a call hangs.
  void stop();

  // Calls that have been under way for so long, in words; empty: none. [thread-safe]
  std::string under_way(std::uint64_t least_ns) const { return jobs_.under_way(least_ns); }

  // From now on the rates below are measured, or are not. [thread-safe]
  void measure_writes(bool on);
  // Written to the tier of late, by moves and by whoever fills what is committed. [thread-safe]
  std::uint64_t bytes_per_second(catalog::TierIndex tier) const {
    return tiers_[tier].writes->bytes_per_second();
  }

  // Gives up what hangs, and tries out tiers that are out of service.
  void look_after();

 private:
  struct Tier {
    TierLink link;
    catalog::TierIndex index = catalog::no_tier;
    std::uint64_t inline_bytes_max = 0;
    std::unique_ptr<TierHealth> health;
    std::unique_ptr<WriteRate> writes;
    std::unique_ptr<Workers> workers;
    std::unique_ptr<Workers> checkers;
    std::unique_ptr<Workers> movers;
    std::unique_ptr<Background> copiers;  // One for each mover.
    std::unique_ptr<Workers> removers;    // Of what is large.

    std::mutex mutex;                           // Round what follows.
    std::vector<catalog::RemoveEffect> parked;  // Until it works again.
    std::vector<TierObject> probes;             // What trying it out left behind.
  };

  template <typename Effect>
  void add_job(Workers& pool, const Effect& effect, void (Mover::*method)(const Effect&, Job*));
  void allocate(const catalog::AllocateEffect& effect, Job* job);
  void seal(const catalog::SealEffect& effect, Job* job);
  void move(const catalog::MoveEffect& effect, Job* job);
  CopyResult copy(const TierObject& source, const TierObject& target,
                  const catalog::MoveEffect& effect, Job* job);
  void remove(const catalog::RemoveEffect& effect, Job* job);
  void start_removal(const catalog::RemoveEffect& effect);
  bool park(const catalog::RemoveEffect& removal);
  void report_removed(const catalog::RemoveEffect& effect, const catalog::Outcome& outcome);
  bool is_inline(const catalog::Object& object) const;
  TierObject tier_object(const catalog::Object& object) const;
  bool may_repeat_later(const catalog::Object& object, const catalog::Outcome& outcome, Job* job);
  Status service_of(const Tier& tier) const;
  bool end(Job& job, pm_status_t seal_code, catalog::TierIndex tier);
  void probe(Tier& tier);
  Status remove_left(Tier& tier, Job& job);
  void clean_up(Tier& tier);
  void change_health(Tier& tier, const TierHealth::Change& change);
  void watch();

  const MoverOptions options_;
  Jobs jobs_;
  std::deque<Tier> tiers_;
  std::function<void(const catalog::Command&)> report_;
  std::atomic<bool> stopping_{false};
  std::atomic<std::uint64_t> probes_{0};

  std::mutex watch_mutex_;
  std::condition_variable watch_changed_;
  bool watch_stops_ = false;
  std::thread watch_;
};

}  // namespace pm::mover
