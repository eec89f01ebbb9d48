#pragma once

#include <atomic>

#include "copy_job.h"
#include "core/catalog/command.h"

namespace pm::mover {

// Seals an object as the effect says, and computes or verifies the checksum that it demands:
// verifies before it seals, so that a writer can mend what it wrote, and computes after, when
// nobody can open the object for writing any more. Stops soon when `stopping` turns true. [worker]
catalog::Sealed seal_object(const TierObject& object, const catalog::SealEffect& effect,
                            const std::atomic<bool>& stopping);

}  // namespace pm::mover
