#pragma once

#include "../../tier.h"

PM_BEGIN_DECLS

// Many transfers at a time without a thread for each.
#define PM_TIER_ASYNC "pm.tier.async/1"

// Called exactly once for each submitted transfer, also after cancel, on any thread; it may run
// before submit returns, and must not block. `message` is NULL or valid during the call.
// [thread-safe]
typedef void (*pm_on_transfer_t)(void* data, pm_status_t status, uint64_t count,
                                 const char* message);

typedef struct pm_transfer {
  uint32_t size;
  uint32_t is_write;  // 0: from the object to `buffer`. 1: from `buffer` to the object.
  pm_object_id_t object;
  pm_cookie_t cookie;
  uint64_t offset;
  uint64_t length;  // At most chunk_bytes_preferred; as for read and write otherwise.
  void* buffer;     // The tier may use it until on_done has been called.
  pm_on_transfer_t on_done;
  void* data;
} pm_transfer_t;

typedef struct pm_tier_async {
  // Starts a transfer; what `transfer` points to is copied. On any status but PM_OK nothing was
  // started and on_done is not called; PM_RESOURCE_EXHAUSTED: too many in flight, try later.
  // [worker]
  pm_status_t (*submit)(const pm_tier_t* tier, const pm_transfer_t* transfer);
} pm_tier_async_t;

PM_END_DECLS
