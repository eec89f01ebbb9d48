#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cells.h"
#include "core/catalog/mutant.h"

namespace pm::crash {

struct Trial {
  Cell cell;
  std::uint32_t seed = 0;
  bool dies_twice = false;                         // Also while it recovers from the first death.
  catalog::Mutant mutant = catalog::Mutant::none;  // A mistake planted in the host.
};

struct Outcome {
  std::vector<std::string> violations;
  int kills = 0;
  bool lease_was_held = false;  // It was looked at before its quarantine ended.
  std::string log;              // Of the host, when there is a violation.
};

// A host of its own, with payloads in every state: one operation, the death of the host at the
// cell's point, a new start and the audit. All that is random in it follows from the seed.
Outcome run(const Trial& trial);

}  // namespace pm::crash
