#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The C ABI between pm-host and its plugins. Three rules hold for every header in this folder.
//
//   1. A published struct of functions never changes: no field is added, moved or removed.
//      New behaviour is a new extension with a new id (`pm.noun/1`, see ext/).
//   2. A published struct of data begins with `size`. The caller writes sizeof(struct) before the
//      call; the callee reads and writes no byte past it. Identifiers passed by value
//      (pm_object_id_t, pm_cookie_t, pm_value_t) are the exception: they never change at all.
//   3. No exception, C++ type, FILE* or heap ownership crosses the boundary.
//
// *Published* means copied to sdk/abi/1.0, which happens once every kind of plugin exists. Until
// then structs change freely, and the host demands an exact match of the minor version.
//
// Every function pointer's comment ends with a tag that says which threads may call it:
//
//   [control-thread]  One thread of the host, which starts and stops things. May block.
//   [worker]          Any thread of a pool of the host. May block.
//   [thread-safe]     Any thread, at any time, concurrently. Must not block.
//
// A plugin starts no thread before create() and leaves none after destroy().
//
// Strings are UTF-8 and end in NUL unless a length stands beside them. Times called `deadline_ns`
// are CLOCK_MONOTONIC nanoseconds; 0 means none.

#define PM_ABI_MAJOR 1  // A plugin with another major is refused.
#define PM_ABI_MINOR 0  // Grows with each extension that leaves ext/draft/.

#if defined(__GNUC__)
#define PM_EXPORT __attribute__((visibility("default")))
#else
#define PM_EXPORT
#endif

#ifdef __cplusplus
#define PM_BEGIN_DECLS extern "C" {
#define PM_END_DECLS }
#else
#define PM_BEGIN_DECLS
#define PM_END_DECLS
#endif
