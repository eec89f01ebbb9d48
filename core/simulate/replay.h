#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/policy/rules.h"
#include "core/simulate/simulator.h"
#include "pm/cpp/result.hpp"

namespace pm::simulate {

struct DecisionCounts {
  std::uint64_t decisions = 0;
  std::uint64_t same = 0;
  std::uint64_t different() const { return decisions - same; }
};

// A decision that the other policy would have taken otherwise. Answers are in words, "default" for
// none.
struct Difference {
  std::int64_t at_ns = 0;
  policy::Hook hook = policy::Hook::place;
  std::string about;             // The payload's id; of a spill, the tier; else empty.
  std::uint64_t size_bytes = 0;  // The payload's; of a spill, the bytes wanted.
  std::string before;
  std::string after;
};

struct RecordedReads {
  std::string tier;
  std::uint64_t reads = 0;
  std::uint64_t read_bytes = 0;
};

struct ReplayResult {
  std::vector<std::string> files;  // That were read.
  std::uint64_t lines = 0;
  std::uint64_t torn = 0;
  std::uint64_t loads = 0;  // Of policies, and begins of files.
  std::int64_t first_ns = 0;
  std::int64_t last_ns = 0;

  std::array<DecisionCounts, policy::hooks_count> hooks;
  std::vector<Difference> differences;     // The first ones.
  std::vector<policy::RuleState> failing;  // Rules of the other policy that failed.
  bool orders_differ = false;  // Of candidates: each policy would be shown others in a spill.

  std::uint64_t writes = 0;
  std::uint64_t removals = 0;
  std::vector<RecordedReads> reads;  // By the tier that served them, as it was.

  // The recorded accesses with the policy that was in use at last, and with the other one.
  std::optional<SimulationResult> before;
  std::optional<SimulationResult> after;
  std::string not_simulated;  // Why one of them is missing.
};

// Tries another policy on a decision journal: every decision anew from the facts that were
// recorded, and, where the policies' own effects matter, every access in the simulator, which
// begins with nothing on the tiers that the journal names. There the slowest tier that keeps bytes
// has no limit, as it has all that is read without having been written; accesses have no labels,
// clients or times to live; and without an answer to a promotion nothing moves, as in the engine.
Result<ReplayResult> replay(const std::string& journal,
                            const std::vector<policy::SourceFile>& files,
                            std::size_t differences_max = 20);

}  // namespace pm::simulate
