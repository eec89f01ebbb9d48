#include "write_rate.h"

#include <cmath>

namespace pm::mover {

namespace {

// What was written so long ago counts a e-th part. Short enough to follow a burst, and long enough
// that a rule sees no single writes.
constexpr float memory_seconds = 3;
// Moments are counted in these, so that 32 bits last for more than a year.
constexpr std::uint64_t moment_ns = 10'000'000;
constexpr float moments_per_second = 1'000'000'000 / moment_ns;

}  // namespace

std::uint32_t WriteRate::moment() const {
  return static_cast<std::uint32_t>(now_ns_() / moment_ns);
}

float WriteRate::bytes_at(Sum sum, std::uint32_t moment) {
  // Who was overtaken between looking at the clock and writing is a moment behind.
  const auto since = static_cast<std::int32_t>(moment - sum.moment);
  if (since <= 0) return sum.bytes;
  return sum.bytes * std::exp(-static_cast<float>(since) / moments_per_second / memory_seconds);
}

void WriteRate::add(std::uint64_t bytes) {
  const std::uint32_t now = moment();
  Sum sum = sum_.load(std::memory_order_relaxed);
  Sum next;
  do {
    const bool is_behind = static_cast<std::int32_t>(now - sum.moment) < 0;
    next.moment = is_behind ? sum.moment : now;
    next.bytes = bytes_at(sum, next.moment) + static_cast<float>(bytes);
  } while (!sum_.compare_exchange_weak(sum, next, std::memory_order_relaxed));
}

std::uint64_t WriteRate::bytes_per_second() const {
  const float left = bytes_at(sum_.load(std::memory_order_relaxed), moment());
  return static_cast<std::uint64_t>(left / memory_seconds);
}

}  // namespace pm::mover
