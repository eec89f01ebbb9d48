#pragma once

#include <time.h>

#include "core/catalog/command.h"
#include "core/catalog/mutant.h"

namespace pm::ledger {

inline std::uint64_t read_clock_ns(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000ULL +
         static_cast<std::uint64_t>(time.tv_nsec);
}

inline std::uint64_t monotonic_now_ns() { return read_clock_ns(CLOCK_MONOTONIC); }

inline catalog::Clocks read_clocks() {
  const std::uint64_t wall_ns = read_clock_ns(CLOCK_REALTIME);
  const bool mistaken = catalog::is_planted(catalog::Mutant::leases_count_wall_time);
  return {mistaken ? wall_ns : monotonic_now_ns(), static_cast<std::int64_t>(wall_ns)};
}

// Where the ledger's time comes from and who does its work: the machine's clocks and threads of its
// own, or what a simulation puts in their place.
struct Runtime {
  catalog::Clocks (*read_clocks)() = &ledger::read_clocks;
  // Without, nothing happens by itself: see Ledger::write_journal() and Ledger::tick_if_due().
  bool has_threads = true;
};

}  // namespace pm::ledger
