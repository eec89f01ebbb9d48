#pragma once

#include <pm/repository.h>
#include <pm/tier.h>

#include <atomic>
#include <pm/cpp/result.hpp>
#include <vector>

#include "core/catalog/catalog.h"
#include "ledger.h"
#include "schema.h"

// The start: what the repository knows goes into the catalog, the tiers take back what they keep,
// and what only one of the two knows is put right.

namespace pm::ledger {

// What recover() found.
struct Recovered {
  std::uint64_t payloads = 0;
  // To be submitted once the ledger runs.
  std::vector<catalog::Mounted> mounted;
  std::vector<catalog::CopyGone> gone;
  std::vector<catalog::CopyChecked> bad;  // What is left of them stays.
};

// Restores `catalog` from the repository and has each tier adopt its copies. Fails when a record
// makes no sense, names a tier that is not configured, or a tier cannot say whether it has a copy.
// `trusted` names tiers whose failure an operator has looked into. [control-thread]
Result<Recovered> recover(const pm_repository_t* repository, const TierNames& names,
                          const std::vector<const pm_tier_t*>& tiers,
                          const std::vector<std::string>& trusted, catalog::Catalog& catalog);

// Tells the ledger of every object that a tier holds, so that what nobody knows is removed after
// its grace period. Ends early when `stop` turns true. [worker]
void report_objects(const pm_tier_t* tier, catalog::TierIndex index, Ledger& ledger,
                    const std::atomic<bool>& stop);

}  // namespace pm::ledger
