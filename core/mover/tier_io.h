#pragma once

#include <pm/tier.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <pm/cpp/result.hpp>

#include "core/catalog/command.h"
#include "jobs.h"

namespace pm::mover {

// One object, as the tiers are asked for it.
struct TierObject {
  const pm_tier_t* tier = nullptr;
  const TierLink* link = nullptr;  // NULL: nobody looks how well the tier works.
  pm_object_id_t id{};
  pm_cookie_t cookie{};
};

TierObject tier_object(const pm_tier_t* tier, const catalog::Object& object);

catalog::Outcome outcome_of(const Status& status);

// Memory that tiers can hand to the kernel as it is (O_DIRECT).
struct FreeDeleter {
  void operator()(void* memory) const { std::free(memory); }
};
using AlignedBuffer = std::unique_ptr<std::byte, FreeDeleter>;
constexpr std::size_t page_bytes = 4096;
// Of `bytes`, rounded up to the alignment. NULL: no memory.
AlignedBuffer make_buffer(std::uint64_t bytes, std::size_t alignment = page_bytes);

// How many bytes a tier wants to be asked for at a time, within what is sensible.
constexpr std::uint64_t chunk_bytes_min = 64 << 10;
constexpr std::uint64_t chunk_bytes_max = 4 << 20;
std::uint64_t preferred_chunk(const pm_tier_t* tier);

// Single calls, each as call_tier() makes them: with a job they have a deadline, and what failed in
// passing is repeated. Without a job (NULL) nothing may block. [worker]

// Sets the object's cookie. `flags` as in pm_allocate_options_t.
Status allocate_on(TierObject& object, std::uint64_t length, std::uint32_t flags,
                   std::uint32_t owner_uid, Job* job);
// How many bytes were read: fewer only at the object's end.
Result<std::uint64_t> read_on(const TierObject& object, std::uint64_t offset, void* target,
                              std::uint64_t length, Job* job);
Status seal_on(const TierObject& object, std::uint64_t length, Job* job);
Status remove_on(const TierObject& object, std::uint64_t length, Job* job);

}  // namespace pm::mover
