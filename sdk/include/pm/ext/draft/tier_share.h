#pragma once

#include "../../tier.h"

PM_BEGIN_DECLS

// A tier extension: descriptors of what it keeps, to be passed to other processes, which map them.
// One that is opened for reading cannot be opened again for writing through /proc by a user who
// does not own it. The caller owns the descriptor, which is close-on-exec, and closes it. A tier
// has this exactly when it has PM_TIER_SHARES_DESCRIPTORS.
#define PM_TIER_SHARE "pm.tier.share/1"

typedef struct pm_tier_share {
  // Opens one object: for writing one that is not sealed, for reading one that is.
  // PM_FAILED_PRECONDITION: it is not so, or it lies in a slab. PM_NOT_FOUND: there is no such
  // object. PM_DATA_LOSS: it has another length, and who maps it would die of SIGBUS.
  // [worker]
  pm_status_t (*open_object)(const pm_tier_t* tier, const pm_object_id_t* object,
                             const pm_cookie_t* cookie, uint64_t length, bool writable,
                             int* descriptor);

  // Opens a slab, by the number that locate() gives. PM_NOT_FOUND: there is no such slab.
  // [worker]
  pm_status_t (*open_slab)(const pm_tier_t* tier, uint32_t slab, bool writable, int* descriptor);
} pm_tier_share_t;

PM_END_DECLS
