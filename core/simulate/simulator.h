#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/catalog/catalog.h"
#include "core/policy/facts.h"
#include "core/simulate/decider.h"
#include "core/simulate/facts.h"
#include "core/simulate/references.h"
#include "core/simulate/trace.h"
#include "pm/cpp/result.hpp"

// What the engine would do with a trace: its own catalog, in the trace's time, over tiers that do
// at once whatever they are asked.
//
// A read leases the payload and lets it go. It is a hit when the copy shown is on the fastest tier.
// When it is not, the policy is asked whether it moves to the next faster one, and without an
// answer it does, as in any cache. What is read without having been written lay on the slowest
// tier all along; its first read is a miss in any case. What has left for a tier that keeps no
// bytes is written anew when it is read, as somebody would compute it again. A write makes a
// payload anew, on the fastest tier or where the policy says; the one of the same id is deleted
// before, as payloads do not change. What finds no room there goes to the next slower tier. Who
// leaves a tier for want of room is what the policy answers, as it does in the engine: from at most
// 64 candidates, and by the catalog's own rule when it has no answer.

namespace pm::simulate {

// Of `capacity_bytes`, which are charged to the byte, over one without limit that keeps a copy of
// what it gave up.
std::vector<SimulatedTier> two_tiers(std::uint64_t capacity_bytes);

struct TierResult {
  std::string name;
  std::uint64_t reads = 0;  // Served by it.
  std::uint64_t read_bytes = 0;
  std::uint64_t placed = 0;  // Written there by clients.
  std::uint64_t placed_bytes = 0;
  std::uint64_t moved_in = 0;  // Copied there from other tiers.
  std::uint64_t moved_in_bytes = 0;
};

struct SimulationResult {
  HitCounts hits;
  std::vector<TierResult> tiers;
  std::uint64_t promoted = 0;
  std::uint64_t left = 0;     // Not promoted, because the policy said so
  std::uint64_t refused = 0;  // or as there was no room.
  std::uint64_t spilled = 0;  // Copied to a slower tier to make room.
  std::uint64_t spilled_bytes = 0;
  std::uint64_t dropped = 0;          // Made room, and there was nothing to copy.
  std::uint64_t gone = 0;             // Reads of what had left for a tier that keeps no bytes.
  std::uint64_t writes_declined = 0;  // By the policy
  std::uint64_t writes_refused = 0;   // or as no tier had room.
};

class Simulator {
 public:
  // At least one tier, at least one of which keeps bytes.
  explicit Simulator(std::vector<SimulatedTier> tiers, Decider decider = {});

  // An error is one of the simulation, not of the trace.
  Status access(const Access& access);
  Status run(std::span<const Access> trace);

  const SimulationResult& result() const { return result_; }

 private:
  Status read(const Access& access);
  Status write(const Access& access);
  Status remove(std::uint64_t id);
  Status promote(const catalog::View& view);
  Result<bool> make(const Access& access, catalog::TierIndex tier, catalog::TierIndex copy_to);
  Result<catalog::Reply> submit(const catalog::Command& command);
  void apply(const catalog::Command& command);
  void complete(const catalog::Effect& effect);
  Status unexpected(const char* command, const catalog::Reply& reply) const;

  void answer(const catalog::Question& question);
  std::vector<policy::TierFacts> tier_facts() const;
  catalog::TierIndex next_slower(catalog::TierIndex tier) const;

  const std::vector<SimulatedTier> tiers_;
  const std::vector<policy::TierFacts> facts_;  // Without their loads.
  std::vector<catalog::TierIndex> by_rank_;     // Of those that keep bytes, the fastest first.
  Decider decider_;
  catalog::Catalog catalog_;
  catalog::Clocks now_;
  std::uint64_t now_ms_ = 0;
  catalog::Changes changes_;
  std::vector<catalog::Effect> effects_;      // To be done.
  std::optional<catalog::Reply> reply_;       // To the command under way.
  std::vector<catalog::Question> questions_;  // To be answered.
  catalog::SpillLook look_;  // Of the question under way. Kept for their memory: there are many.
  policy::SpillFacts spill_;
  std::vector<bool> is_made_;  // By id: there is a payload, or it left for nowhere.
  SimulationResult result_;
};

}  // namespace pm::simulate
