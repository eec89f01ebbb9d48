#pragma once

#include <pm/tier.h>

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

#include "core/catalog/command.h"
#include "worker_pool.h"

namespace pm::mover {

struct MoverTier {
  const pm_tier_t* tier = nullptr;
  std::uint32_t workers = 2;
};

// Carries effects out: allocates, seals, moves and removes copies on the tiers. What a tier does
// without blocking is done on the calling thread; the rest goes to the tier's workers, and moves
// and the reading of whole payloads to workers of their own, so that a long one delays no
// allocation.
class Mover {
 public:
  // `report` is called once for each effect, on any thread.
  Mover(const std::vector<MoverTier>& tiers, std::function<void(const catalog::Command&)> report);
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
    std::unique_ptr<WorkerPool> workers;
    std::unique_ptr<WorkerPool> checkers;
    std::unique_ptr<WorkerPool> movers;
  };

  void allocate(const catalog::AllocateEffect& effect);
  void seal(const catalog::SealEffect& effect);
  void remove(const catalog::RemoveEffect& effect);
  void move(const catalog::MoveEffect& effect);
  bool is_inline(const catalog::Object& object) const;

  std::vector<Tier> tiers_;
  std::function<void(const catalog::Command&)> report_;
  std::atomic<bool> stopping_{false};
};

}  // namespace pm::mover
