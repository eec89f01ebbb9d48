#pragma once

#include "recorder.h"

// What the files that stand in for the C library's calls are made of.

// A function of the name and the type of the C library's.
#define PM_EXPORT extern "C" __attribute__((visibility("default")))
// Inside of it: the one that would have been called.
#define PM_NEXT(name) \
  static const auto next = reinterpret_cast<decltype(&::name)>(pm::power::next_function(#name))
