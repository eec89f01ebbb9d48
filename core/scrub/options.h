#pragma once

#include <cstdint>
#include <string>

namespace pm::scrub {

// How copies are looked at for bit rot.
struct Options {
  bool enabled = true;                        // Passes begin by themselves.
  std::uint64_t bytes_per_second = 16 << 20;  // Of a pass; 0: no limit.
  std::uint64_t interval_ms = 604'800'000;    // From the begin of one to that of the next.
  std::uint64_t first_after_ms = 600'000;     // After the start.
};

struct Tier {
  std::string name;
  bool is_read_unasked = true;  // Passes that begin by themselves read its copies.
};

}  // namespace pm::scrub
