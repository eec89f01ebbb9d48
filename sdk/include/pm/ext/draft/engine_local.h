#pragma once

#include "../../frontend.h"

PM_BEGIN_DECLS

// An engine extension for frontends that reach clients of this machine over Unix sockets: file
// descriptors to pass with SCM_RIGHTS. The frontend owns what it is given, and closes it.
#define PM_ENGINE_LOCAL "pm.engine.local/1"

enum pm_handle_what {
  PM_HANDLE_LEASED = 0,     // id: a lease of the session. Read-only.
  PM_HANDLE_ALLOCATED = 1,  // id: a payload that the session allocated. Writable.
  PM_HANDLE_SLAB = 2        // number: a slab's place in the directory. Writable.
};

typedef struct pm_engine_local {
  // Opens the bytes that a session may see. `what` is a pm_handle_what; what it does not need (an
  // id of 16 bytes, a number) is ignored. PM_NOT_FOUND: the session has no such lease or
  // allocation. PM_UNIMPLEMENTED: its tier has no descriptors to share. PM_PERMISSION_DENIED: a
  // slab, or something in one, for a session that is not trusted.
  // [worker]
  pm_status_t (*open_handle)(const pm_engine_t* engine, uint64_t session, uint32_t what,
                             const uint8_t* id, uint32_t number, int* descriptor);

  // Gives a trusted session the directory (read-only) and a page of its own (sdk/local/pages.h);
  // the same ones when it asks again. PM_PERMISSION_DENIED: it is not trusted.
  // PM_RESOURCE_EXHAUSTED: too many sessions have one.
  // [thread-safe]
  pm_status_t (*attach)(const pm_engine_t* engine, uint64_t session, int* directory, int* page);

  // The session let go of an entry that somebody waits for.
  // [thread-safe]
  void (*released)(const pm_engine_t* engine, uint64_t session);
} pm_engine_local_t;

PM_END_DECLS
