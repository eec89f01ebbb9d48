#pragma once

#include <pm/repository.h>

#include <pm/cpp/result.hpp>

#include "core/catalog/catalog.h"

namespace pm::ledger {

// Restores streams and consumer groups, and looks up how old the entries of a stream are, at some
// of them. Fails when a record makes no sense. [control-thread]
Status recover_streams(const pm_repository_t* repository, catalog::Catalog& catalog);

}  // namespace pm::ledger
