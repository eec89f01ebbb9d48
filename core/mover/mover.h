#pragma once

#include <pm/tier.h>

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

#include "copy_job.h"
#include "core/catalog/command.h"
#include "worker_pool.h"

namespace pm::mover {

struct MoverTier {
  const pm_tier_t* tier = nullptr;
  std::uint32_t workers = 2;
};

// Carries effects out: allocates, seals, moves and removes copies on the tiers. What a tier does
// without blocking is done on the calling thread; the rest goes to the tier's workers. Moves and
// the reading of whole payloads have workers of their own, so that a long one delays no allocation;
// the bytes of moves are copied, and large copies removed, on threads of low priority, so that they
// delay no call. Whatever takes the ledger's lock runs at normal priority: it is never held by a
// thread that others keep waiting.
class Mover {
 public:
  // `report` is called once for each effect, on any thread.
  Mover(const std::vector<MoverTier>& tiers, std::function<void(const catalog::Command&)> report,
        const MakeWorkers& make_workers = make_threads);
  ~Mover();
  Mover(const Mover&) = delete;
  Mover& operator=(const Mover&) = delete;

  // May report before it returns. [thread-safe]
  void run(catalog::Effect effect);

  // Ends moves and checksums under way, and those to come, as cancelled.
  void cancel_moves() { stopping_.store(true); }

  // Does what is queued, and ends the threads.
  void stop();

 private:
  struct Tier {
    const pm_tier_t* tier = nullptr;
    std::uint64_t inline_bytes_max = 0;
    std::unique_ptr<Workers> workers;
    std::unique_ptr<Workers> checkers;
    std::unique_ptr<Workers> movers;
    std::unique_ptr<Background> copiers;  // One for each mover.
    std::unique_ptr<Workers> removers;    // Of what is large.
  };

  void allocate(const catalog::AllocateEffect& effect);
  void seal(const catalog::SealEffect& effect);
  void move(const catalog::MoveEffect& effect);
  CopyResult copy(const TierObject& source, const TierObject& target,
                  const catalog::MoveEffect& effect);
  void remove(const catalog::RemoveEffect& effect);
  catalog::Outcome remove_copy(const catalog::RemoveEffect& effect) const;
  void report_removed(const catalog::RemoveEffect& effect, const catalog::Outcome& outcome);
  bool is_inline(const catalog::Object& object) const;

  std::vector<Tier> tiers_;
  std::function<void(const catalog::Command&)> report_;
  std::atomic<bool> stopping_{false};
};

}  // namespace pm::mover
