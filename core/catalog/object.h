#pragma once

#include <cstdint>
#include <string>

#include "payload.h"

namespace pm::catalog {

// A copy, as a tier is asked for it.
struct Object {
  TierIndex tier = no_tier;
  Id payload;
  std::uint64_t generation = 0;
  Cookie cookie;
  std::uint64_t length = 0;
};

// A code of the C ABI (0 is ok) with its words.
struct Outcome {
  std::int32_t code = 0;
  std::string message;
  bool ok() const { return code == 0; }
};

}  // namespace pm::catalog
