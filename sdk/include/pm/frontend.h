#pragma once

#include "plugin.h"

#define PM_KIND_FRONTEND "pm.frontend/1"

PM_BEGIN_DECLS

// Who calls. Unknown parts are PM_NOBODY, 0 or NULL.
#define PM_NOBODY UINT32_MAX
typedef struct pm_principal {
  uint32_t size;
  uint32_t uid;
  uint32_t gid;
  int32_t pid;
  const char* tls_subject;  // Of a verified client certificate.
  const char* token;        // As the client sent it, unverified.
  uint32_t is_trusted;      // 0 or 1: a local user who may share slabs with the host's own.
  uint32_t reserved;
} pm_principal_t;

typedef struct pm_call_info {
  uint32_t size;
  uint32_t credit;  // Of a streaming call: replies that may be sent before the first credit().
  const pm_principal_t* principal;
  uint64_t session;         // From session_open(), or 0.
  uint64_t deadline_ns;     // The client's; 0: none.
  const char* traceparent;  // W3C Trace Context, or NULL.
} pm_call_info_t;

// One reply. A unary call gets one, with `done`; a streaming call gets any number without it, and
// one with it that carries no bytes.
typedef struct pm_reply {
  uint32_t size;
  uint32_t done;       // 0 or 1.
  pm_status_t status;  // PM_OK unless done.
  uint32_t message_length;
  const uint8_t* bytes;  // The reply's protobuf; NULL when there is none.
  uint64_t length;
  const char* message;      // Words for people, UTF-8; NULL when status is PM_OK.
  const uint8_t* details;  // A serialized google.rpc.Status, or NULL.
  uint64_t details_length;
} pm_reply_t;

// Receives replies of one call, one at a time. May run before call() returns, and on any thread of
// the host; must not block; everything in `reply` is valid only during the call. The reply with
// `done` comes exactly once, also after cancel(), and nothing comes after it.
// [thread-safe]
typedef void (*pm_on_reply_t)(void* data, const pm_reply_t* reply);

// The engine, as a frontend sees it: methods of a protobuf contract, by name. Owned by the host;
// valid until the frontend's stop() has returned.
typedef struct pm_engine {
  void* engine_data;

  // Starts a call of `method` ("/package.Service/Method"). Returns an id for cancel() and credit()
  // that is never used again; when `done` has already been delivered they do nothing. Unknown
  // methods are answered with PM_UNIMPLEMENTED. `request` and `info` need only last for the call.
  // [thread-safe]
  uint64_t (*call)(const struct pm_engine* engine, const char* method, const uint8_t* request,
                   uint64_t length, const pm_call_info_t* info, pm_on_reply_t on_reply,
                   void* data);

  // The caller no longer wants the answer.
  // [thread-safe]
  void (*cancel)(const struct pm_engine* engine, uint64_t call);

  // Lets a streaming call send `replies` more.
  // [thread-safe]
  void (*credit)(const struct pm_engine* engine, uint64_t call, uint32_t replies);

  // A session ends what its calls left open (leases, allocations) when it closes.
  // [thread-safe]
  uint64_t (*session_open)(const struct pm_engine* engine, const pm_principal_t* principal);

  // [thread-safe]
  void (*session_close)(const struct pm_engine* engine, uint64_t session);

  // The contract: a serialized google.protobuf.FileDescriptorSet, imports first. A frontend builds
  // its own pool from it and links no generated code of the contract.
  // [thread-safe]
  const uint8_t* (*get_descriptors)(const struct pm_engine* engine, uint64_t* length);

  // Finds an engine extension; NULL when this engine has none by that id.
  // [thread-safe]
  const void* (*get_extension)(const struct pm_engine* engine, const char* id);
} pm_engine_t;

// A way in: one network protocol.
typedef struct pm_frontend {
  void* frontend_data;  // The plugin's own.

  // Begins to listen. PM_UNAVAILABLE: an address is taken.
  // [control-thread]
  pm_status_t (*start)(const struct pm_frontend* frontend, const pm_engine_t* engine);

  // Accepts nothing new, tells clients to go elsewhere, and waits until calls under way have ended
  // or the deadline has passed; then cancels them.
  // [control-thread]
  void (*drain)(const struct pm_frontend* frontend, uint64_t deadline_ns);

  // Ends every connection and thread, and removes sockets. After it the engine is not called.
  // [control-thread]
  void (*stop)(const struct pm_frontend* frontend);

  // Finds a frontend extension; NULL when this frontend has none by that id.
  // [thread-safe]
  const void* (*get_extension)(const struct pm_frontend* frontend, const char* id);

  // Frees the instance. No other call is running or will follow.
  // [control-thread]
  void (*destroy)(const struct pm_frontend* frontend);
} pm_frontend_t;

// A frontend extension: where it listens, for logs and tests.
#define PM_FRONTEND_ADDRESSES "pm.frontend.addresses/1"
typedef struct pm_frontend_addresses {
  // The n-th address, as a client would be given it ("unix:/run/...", "127.0.0.1:50051"); NULL
  // past the last. Owned by the frontend, valid until stop().
  // [thread-safe]
  const char* (*get)(const pm_frontend_t* frontend, uint32_t n);
} pm_frontend_addresses_t;

PM_END_DECLS
