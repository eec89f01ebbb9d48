#pragma once

#include "call.h"
#include "core/catalog/command.h"

namespace pm::api {

// Commits one payload and allocates the next if there is room for it now; one answer for both.
// Only the commit decides about success. When it fails, the allocation is given back.
void commit_and_allocate(const Services& services, const Invocation& invocation,
                         catalog::Commit commit, catalog::Allocate next);

}  // namespace pm::api
