#pragma once

#include <time.h>

#include "core/catalog/command.h"

namespace pm::ledger {

inline std::uint64_t read_clock_ns(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000ULL +
         static_cast<std::uint64_t>(time.tv_nsec);
}

inline std::uint64_t monotonic_now_ns() { return read_clock_ns(CLOCK_MONOTONIC); }

inline catalog::Clocks read_clocks() {
  return {monotonic_now_ns(), static_cast<std::int64_t>(read_clock_ns(CLOCK_REALTIME))};
}

}  // namespace pm::ledger
