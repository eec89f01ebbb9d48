#pragma once

#include "../../tier.h"

PM_BEGIN_DECLS

// Lists what a tier keeps, so that after a crash the host finds what nobody knows any more.
#define PM_TIER_ENUMERATE "pm.tier.enumerate/1"

typedef struct pm_tier_object {
  uint32_t size;
  uint32_t sealed;  // 0 or 1.
  pm_object_id_t object;
  pm_cookie_t cookie;
  uint64_t length;
  uint64_t bytes_charged;
} pm_tier_object_t;

// Called for each object, on the thread of the enumeration. False ends it.
// [worker]
typedef bool (*pm_on_tier_object_t)(void* data, const pm_tier_object_t* object);

typedef struct pm_tier_enumerate {
  // Visits every object that this instance's medium holds, also those that were neither
  // allocated nor adopted in this life. An object made or removed meanwhile may be missed.
  // [worker]
  pm_status_t (*enumerate)(const pm_tier_t* tier, const pm_call_context_t* context,
                           pm_on_tier_object_t on_object, void* data);
} pm_tier_enumerate_t;

PM_END_DECLS
