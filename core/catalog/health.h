#pragma once

#include <cstdint>
#include <string>

#include "payload.h"

namespace pm::catalog {

// A tier fails too often to be used, or works again. Of this life only.
struct TierHealth {
  TierIndex tier = no_tier;
  bool degraded = false;
  std::string why;           // Words for people; empty: it works.
  std::uint64_t number = 0;  // Counts its changes, from 1: one that comes late says nothing.
  // Instead of all that: a sync failed, and nobody waits any more for the effect that it was part
  // of. This is recorded.
  bool sync_failed = false;
};

}  // namespace pm::catalog
