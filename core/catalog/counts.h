#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace pm::catalog {

// One tier's numbers, as Stats shows them.
struct TierCounts {
  std::uint64_t payloads = 0;       // Shown there.
  std::uint64_t payload_bytes = 0;  // Their sizes.
  std::uint64_t copies = 0;         // Also those being made or removed.
  std::uint64_t charged_bytes = 0;  // Of every copy.
  bool failed = false;
  std::uint64_t bad_copies = 0;        // Of those: found to be bad, and not replaced yet.
  std::uint64_t bad_copies_found = 0;  // In this life.
  bool degraded = false;               // Takes nothing until it works again,
  std::string why;                     // for this reason.
};

struct Counts {
  std::vector<TierCounts> tiers;
  std::uint64_t lost = 0;
  std::uint64_t leases = 0;
  std::uint64_t operations = 0;
  std::uint64_t uncommitted = 0;  // Being written.
  std::uint64_t pinned = 0;
  std::uint64_t streams = 0;
};

}  // namespace pm::catalog
