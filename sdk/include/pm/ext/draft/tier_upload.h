#pragma once

#include "../../tier.h"

PM_BEGIN_DECLS

// Clients upload whole objects, which may turn out shorter than what was allocated for them.
#define PM_TIER_UPLOAD "pm.tier.upload/1"

typedef struct pm_tier_upload {
  // Makes an object that is not sealed, and was allocated with `allocated` bytes, one of `length`
  // bytes (1 .. allocated), where a client left just so many: from then on it is as if it had been
  // allocated so, and charged so. PM_FAILED_PRECONDITION: what stands there has another length;
  // on any failure nothing was changed. Of one that has `length` bytes already, sealed or not, it
  // is PM_OK: who asks again did not hear of the first time.
  // [worker]
  pm_status_t (*set_length)(const pm_tier_t* tier, const pm_call_context_t* context,
                            const pm_object_id_t* object, const pm_cookie_t* cookie,
                            uint64_t allocated, uint64_t length);
} pm_tier_upload_t;

PM_END_DECLS
