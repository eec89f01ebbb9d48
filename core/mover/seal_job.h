#pragma once

#include <atomic>

#include "core/catalog/command.h"
#include "tier_io.h"

namespace pm::mover {

// Seals an object as the effect says, and computes or verifies the checksum that it demands:
// verifies before it seals, so that a writer can mend what it wrote, and computes after, when
// nobody can open the object for writing any more. Stops soon when `stopping` turns true. Without a
// job (NULL) nothing may block. [worker]
catalog::Sealed seal_object(const TierObject& object, const catalog::SealEffect& effect,
                            const std::atomic<bool>& stopping, Job* job = nullptr);

}  // namespace pm::mover
