#pragma once

#include <cstdint>

#include "payload.h"
#include "stream_table.h"

// What the catalog is made from.

namespace pm::catalog {

struct TierFacts {
  std::uint8_t traits = 0;  // traits_keeps_bytes | ...
  std::int32_t rank = 0;    // Lower is faster.
  std::uint64_t capacity_bytes = UINT64_MAX;
  std::uint64_t granularity_bytes = 1;
  TierIndex spill_to = no_tier;  // Where its victims go; no_tier: nowhere.
  bool takes_uploads = false;    // Clients put objects there from outside, and import them.
  // When more than the first is taken, payloads leave until it is no more than the second.
  std::uint64_t high_watermark_bytes = UINT64_MAX;
  std::uint64_t low_watermark_bytes = UINT64_MAX;
};

struct Limits {
  std::uint64_t lease_default_ns = 20'000'000'000;
  std::uint64_t lease_max_ns = 120'000'000'000;
  std::uint64_t payload_bytes_max = 128ULL << 30;
  std::uint32_t waiters_max = 10'000;
  std::uint64_t wait_max_ns = 10'000'000'000;            // For room, when no deadline is given.
  std::uint64_t uncommitted_max_ns = 3'600'000'000'000;  // Life of an allocation without TTL.
  std::uint64_t orphan_grace_ns = 120'000'000'000;       // For writers of abandoned blocks.
  std::uint32_t metadata_events_max = 10'000;            // Of a payload.
  std::uint32_t lineage_parents_max = 1'024;             // Edges of a child.
  std::uint32_t requests_max = 100'000;
  std::uint64_t requests_kept_ns = 3'600'000'000'000;
  // Until this monotonic time, leases that an earlier life granted may still run, and no copy
  // that it made is removed.
  std::uint64_t quarantine_until_ns = 0;
  StreamLimits streams;
};

}  // namespace pm::catalog
