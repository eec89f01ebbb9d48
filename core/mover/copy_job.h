#pragma once

#include <pm/ext/draft/tier_async.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <pm/cpp/result.hpp>
#include <utility>

#include "core/catalog/command.h"
#include "jobs.h"
#include "tier_io.h"
#include "worker_pool.h"

namespace pm::mover {

struct CopyResult {
  Status status;
  bool source_is_bad = false;  // The source's bytes are gone or not what their checksum says.
  catalog::Checksum checksum;  // Of what was read.
};

// Workers of low priority, one for each copy at a time, and until when not to count on them.
struct Background {
  explicit Background(std::unique_ptr<Workers> workers) : pool(std::move(workers)) {}

  std::unique_ptr<Workers> pool;
  std::atomic<std::chrono::steady_clock::time_point> starved_until{};
};

// Copies `length` bytes from a sealed object to an allocated one in chunks, several under way at a
// time where a tier can (pm.tier.async/1), and computes a checksum of them on the way: the kind of
// `expected`, with which it is compared, or XXH3-128 when that is none. Does not seal. A part that
// failed in passing is read or written again. Stops soon when `stopping` turns true, or the job
// (may be NULL) is abandoned. [worker]
//
// The bytes of a long copy are moved in the background. When that finds no time, the calling thread
// does the rest, and further copies for a while: room may depend on them, so they must go on.
CopyResult copy_bytes(const TierObject& source, const TierObject& target, std::uint64_t length,
                      const catalog::Checksum& expected, Background& background,
                      const std::atomic<bool>& stopping, Job* job = nullptr);

}  // namespace pm::mover
