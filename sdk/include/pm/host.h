#pragma once

#include "status.h"

PM_BEGIN_DECLS

enum pm_log_level { PM_LOG_DEBUG = 0, PM_LOG_INFO = 1, PM_LOG_WARN = 2, PM_LOG_ERROR = 3 };

// The services that the host offers to one instance of a plugin. Owned by the host; valid from
// create() until destroy() returns. A plugin may call log and get_extension from any of its own
// threads in that time.
typedef struct pm_host {
  uint32_t abi_major;
  uint32_t abi_minor;
  const char* name;     // "pm-host"
  const char* version;  // "1.4.2"
  void* host_data;      // The host's own; a plugin passes it through untouched.

  // Finds a host extension; NULL when this host has none by that id.
  // [thread-safe]
  const void* (*get_extension)(const struct pm_host* host, const char* id);

  // Attaches words to the status that the current call on this thread is about to return. The
  // host copies them.
  // [thread-safe]
  void (*set_error)(const struct pm_host* host, const char* message);

  // Writes one line to the host's log, with the name of the instance beside it. `level` is a
  // pm_log_level.
  // [thread-safe]
  void (*log)(const struct pm_host* host, int32_t level, const char* message);
} pm_host_t;

// A host extension that is plain data: who the host is. Media that outlive a process (shared
// memory, files) carry these, so that one host never takes the bytes of another for its own.
#define PM_HOST_IDENTITY "pm.host.identity/1"
typedef struct pm_host_identity {
  uint32_t size;
  uint32_t reserved;
  const char* instance_id;      // 16 hex digits, drawn once, kept in the repository.
  const char* boot_id;          // The kernel's, /proc/sys/kernel/random/boot_id.
  const char* state_directory;  // Absolute; where the instance may keep files of its own.
} pm_host_identity_t;

PM_END_DECLS
