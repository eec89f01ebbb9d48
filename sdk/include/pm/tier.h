#pragma once

#include "plugin.h"

#define PM_KIND_TIER "pm.tier/1"

PM_BEGIN_DECLS

// A copy of a payload. Generations are never reused, so a late call cannot hit a newer copy. File
// names and keys of a tier must contain both.
typedef struct pm_object_id {
  uint8_t payload[16];  // RFC 4122, network byte order.
  uint64_t generation;
} pm_object_id_t;

// What a tier wants to remember about an object: the host keeps it and passes it back.
#define PM_COOKIE_BYTES_MAX 32
typedef struct pm_cookie {
  uint8_t length;
  uint8_t bytes[PM_COOKIE_BYTES_MAX];
} pm_cookie_t;

// What a tier promises; the core and the policies decide by these, never by name.
enum pm_tier_trait {
  PM_TIER_KEEPS_BYTES = 1u << 0,         // What was written can be read. Without: like /dev/null.
  PM_TIER_SURVIVES_PROCESS = 1u << 1,    // Sealed bytes survive SIGKILL of the host.
  PM_TIER_SURVIVES_POWER = 1u << 2,      // Sealed bytes survive loss of power ("durable").
  PM_TIER_HOST_ADDRESSABLE = 1u << 3,    // A client on this machine can map the bytes.
  PM_TIER_DEVICE_MEMORY = 1u << 4,       // The bytes live in an accelerator.
  PM_TIER_REMOTE = 1u << 5,              // The bytes live on another machine.
  PM_TIER_SHARES_DESCRIPTORS = 1u << 6,  // Clients reach the bytes by a file descriptor.
  PM_TIER_PRESIGNS = 1u << 7,            // Clients reach the bytes by a URL.
  PM_TIER_PARALLEL_RANGES = 1u << 8      // Ranges of one object may be moved at the same time.
};

typedef struct pm_tier_info {
  uint32_t size;
  uint32_t traits;  // Bits of pm_tier_trait.

  // An object of n bytes is charged n rounded up to this. At least 1.
  uint64_t charge_granularity_bytes;

  // allocate, seal and remove of objects up to this length do not block, and may be called as
  // [thread-safe]. 0: they always go to a worker.
  uint64_t inline_bytes_max;

  uint64_t alignment_bytes;        // Offsets and buffers so aligned are fastest. At least 1.
  uint64_t chunk_bytes_preferred;  // A good size for one read or write of a long move.
  uint64_t capacity_bytes;         // UINT64_MAX: unbounded.
  char fingerprint[64];            // Names the medium; another one means another medium.
} pm_tier_info_t;

typedef struct pm_tier_usage {
  uint32_t size;
  uint32_t reserved;
  uint64_t bytes_used;  // As charged.
  uint64_t objects;
} pm_tier_usage_t;

// Passed to every call that may block.
typedef struct pm_call_context {
  uint32_t size;
  uint32_t reserved;
  uint64_t deadline_ns;     // After it the host no longer waits for the call.
  const char* traceparent;  // W3C Trace Context, or NULL.
  void* host_data;
  // True once nobody wants the result. NULL: never. A long call asks now and then.
  // [thread-safe]
  bool (*is_cancelled)(const struct pm_call_context* context);
} pm_call_context_t;

enum pm_allocate_flag {
  PM_ALLOCATE_SLAB = 1u << 0,  // The client has the tier's slabs mapped and wants a block of one.
  // The host itself will write every byte before it seals, and no client before that. Room may be
  // taken as it writes, and a write may then say PM_RESOURCE_EXHAUSTED.
  PM_ALLOCATE_HOST_WRITES = 1u << 1,
  // The client is not trusted, or trusts nobody: nobody, whatever user, changes the bytes once
  // they are sealed, also by what it got to write them, nor ever the length. seal() refuses while
  // a client maps them for writing. Such an object may have no name (an empty text in its location:
  // clients get a descriptor, pm.tier.share) and then ends with the host, whatever the tier's
  // traits: adopt says PM_NOT_FOUND. Its seal() may block. Goes before PM_ALLOCATE_SLAB.
  PM_ALLOCATE_SEALED = 1u << 2
};

typedef struct pm_allocate_options {
  uint32_t size;
  uint32_t flags;      // Bits of pm_allocate_flag; a tier ignores those it does not know.
  uint32_t owner_uid;  // Who will write. Bytes left by another owner must not be visible to it.
  uint32_t reserved;
} pm_allocate_options_t;

typedef struct pm_allocation {
  uint32_t size;
  uint32_t reserved;
  uint64_t bytes_charged;
  pm_cookie_t cookie;
} pm_allocation_t;

enum pm_location_kind {
  PM_LOCATION_NONE = 0,
  PM_LOCATION_GPU = 1,     // device, handle, offset
  PM_LOCATION_SHM = 2,     // text = name for shm_open(3) or empty, slab, block, offset
  PM_LOCATION_FILE = 3,    // text = absolute path, offset
  PM_LOCATION_GENERIC = 4  // text = URI, offset, handle = opaque bytes
};

// Where a client finds the bytes. Filled into buffers of the host.
typedef struct pm_location {
  uint32_t size;
  uint32_t kind;           // pm_location_kind
  uint64_t offset_bytes;   // Of the object in what `text` or `handle` names.
  uint64_t mapping_bytes;  // Length of what `text` or `handle` names.
  uint32_t device;
  uint32_t slab;
  uint64_t block;
  char* text;  // Host's buffer; NUL-terminated by the tier.
  uint32_t text_capacity;
  uint32_t handle_capacity;
  uint8_t* handle;  // Host's buffer.
  uint32_t handle_length;
  uint32_t reserved;
} pm_location_t;

// A place that keeps the bytes of objects.
//
// allocate, adopt, seal and remove of one object never overlap with each other or with reads and
// writes of it; reads of one object may overlap, and writes of disjoint ranges of it where the
// tier has PM_TIER_PARALLEL_RANGES. Calls about different objects may always overlap.
typedef struct pm_tier {
  void* tier_data;  // The plugin's own.

  // [thread-safe]
  void (*get_info)(const struct pm_tier* tier, pm_tier_info_t* info);

  // [thread-safe]
  void (*get_usage)(const struct pm_tier* tier, pm_tier_usage_t* usage);

  // Takes room for `length` bytes (at least 1), for certain: a later write never fails for want
  // of it, unless PM_ALLOCATE_HOST_WRITES is given. Fails with PM_RESOURCE_EXHAUSTED when full,
  // PM_ALREADY_EXISTS when the object exists. When it fails nothing is left of the object, and the
  // host may ask again.
  // [worker]
  pm_status_t (*allocate)(const struct pm_tier* tier, const pm_call_context_t* context,
                          const pm_object_id_t* object, uint64_t length,
                          const pm_allocate_options_t* options, pm_allocation_t* allocation);

  // Takes back a sealed object of `length` bytes that an earlier life of the host made, before
  // any other call about it, and says what it is charged. PM_NOT_FOUND: the bytes are gone.
  // PM_DATA_LOSS: they are there and cannot be right (another length, another medium).
  // [worker]
  pm_status_t (*adopt)(const struct pm_tier* tier, const pm_object_id_t* object,
                       const pm_cookie_t* cookie, uint64_t length, uint64_t* bytes_charged);

  // Says where a client finds the object, or found it when it was removed meanwhile: answers that
  // are given again name the place of then. PM_RESOURCE_EXHAUSTED: a buffer is too small.
  // [thread-safe]
  pm_status_t (*locate)(const struct pm_tier* tier, const pm_object_id_t* object,
                        const pm_cookie_t* cookie, uint64_t length, pm_location_t* location);

  // Copies bytes out. `*count` is what was read; less than asked only at the end of the object.
  // [worker]
  pm_status_t (*read)(const struct pm_tier* tier, const pm_call_context_t* context,
                      const pm_object_id_t* object, const pm_cookie_t* cookie, uint64_t offset,
                      void* target, uint64_t length, uint64_t* count);

  // Copies bytes in, into the length allocated (else PM_OUT_OF_RANGE). After a failed write the
  // content of the range is undefined.
  // [worker]
  pm_status_t (*write)(const struct pm_tier* tier, const pm_call_context_t* context,
                       const pm_object_id_t* object, const pm_cookie_t* cookie, uint64_t offset,
                       const void* source, uint64_t length);

  // Makes what was written survive what this tier promises to survive. After it returns PM_OK the
  // object may be read, and is not written again. A sealed object can be sealed again: a host that
  // did not hear of the first time asks once more. PM_FAILED_PRECONDITION: what stands there has
  // not the length allocated (a client shortened it), or a client still maps it for writing
  // (PM_ALLOCATE_SEALED); it can be asked again. PM_DATA_LOSS: the medium failed to sync, and
  // nothing it holds unsynced can be trusted; the host takes the tier out of service.
  // [worker]
  pm_status_t (*seal)(const struct pm_tier* tier, const pm_call_context_t* context,
                      const pm_object_id_t* object, const pm_cookie_t* cookie, uint64_t length);

  // Gives the room back, sealed or not. PM_NOT_FOUND is not an error to the host.
  // [worker]
  pm_status_t (*remove)(const struct pm_tier* tier, const pm_call_context_t* context,
                        const pm_object_id_t* object, const pm_cookie_t* cookie, uint64_t length);

  // Finds a tier extension; NULL when this tier has none by that id.
  // [thread-safe]
  const void* (*get_extension)(const struct pm_tier* tier, const char* id);

  // Frees the instance, and none of the bytes it keeps. No other call is running or will follow.
  // [control-thread]
  void (*destroy)(const struct pm_tier* tier);
} pm_tier_t;

PM_END_DECLS
