#pragma once

#include "abi.h"

// The outcome of a call. Values equal the gRPC codes of the same name
// (https://grpc.github.io/grpc/core/md_doc_statuscodes.html), so a frontend maps them by value.
// A value that is not listed here is treated as PM_INTERNAL. A plugin that knows more says it in
// words: synchronous calls through pm_host.set_error(), completions in their own text.
typedef int32_t pm_status_t;
enum pm_status_code {
  PM_OK = 0,
  PM_CANCELLED = 1,
  PM_UNKNOWN = 2,
  PM_INVALID_ARGUMENT = 3,
  PM_DEADLINE_EXCEEDED = 4,
  PM_NOT_FOUND = 5,
  PM_ALREADY_EXISTS = 6,
  PM_PERMISSION_DENIED = 7,
  PM_RESOURCE_EXHAUSTED = 8,
  PM_FAILED_PRECONDITION = 9,
  PM_ABORTED = 10,
  PM_OUT_OF_RANGE = 11,
  PM_UNIMPLEMENTED = 12,
  PM_INTERNAL = 13,
  PM_UNAVAILABLE = 14,
  PM_DATA_LOSS = 15,
  PM_UNAUTHENTICATED = 16
};
