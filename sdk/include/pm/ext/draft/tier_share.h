#pragma once

#include "../../tier.h"

PM_BEGIN_DECLS

// A tier extension: descriptors of what it keeps, to be passed to other processes, which map them.
// One that is opened for reading cannot be opened again for writing through /proc by a user who
// does not own it. The caller owns the descriptor, and closes it.
#define PM_TIER_SHARE "pm.tier.share/1"

typedef struct pm_tier_share {
  // Opens one object that does not lie in a slab. PM_FAILED_PRECONDITION: it does lie in one.
  // [worker]
  pm_status_t (*open_object)(const pm_tier_t* tier, const pm_object_id_t* object,
                             const pm_cookie_t* cookie, uint64_t length, bool writable,
                             int* descriptor);

  // Opens a slab, by the number that locate() gives.
  // [worker]
  pm_status_t (*open_slab)(const pm_tier_t* tier, uint32_t slab, bool writable, int* descriptor);
} pm_tier_share_t;

PM_END_DECLS
