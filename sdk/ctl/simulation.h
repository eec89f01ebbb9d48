#pragma once

#include <string>
#include <vector>

#include "command_line.h"
#include "core/simulate/simulator.h"

// What policy simulate plays, and what comes out.

namespace pm::ctl {

struct SimulatedTrace {
  std::string name;
  std::vector<simulate::Access> accesses;
  std::uint64_t capacity_bytes = 0;
};
// What the arguments ask for: a file, or one that is made up.
Result<SimulatedTrace> trace_of(const Arguments& arguments);

struct Simulated {
  std::string policy;  // "hot-cold"; "default" without any.
  simulate::SimulationResult result;
  simulate::HitCounts lru;
  simulate::HitCounts lfu;
  simulate::HitCounts belady;
};
void print(const SimulatedTrace& trace, const Simulated& simulated, const Context& context);

}  // namespace pm::ctl
