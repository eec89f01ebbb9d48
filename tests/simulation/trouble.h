#pragma once

#include <pm/abi.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>

// What goes wrong, and when: all of it follows from the seed.

namespace pm::simulation {

// SplitMix64 (https://prng.di.unimi.it/splitmix64.c).
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t value = state_ += 0x9e3779b97f4a7c15ULL;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
    return value ^ (value >> 31);
  }
  std::uint64_t pick(std::uint64_t bound) { return next() % bound; }
  bool one_in(std::uint64_t bound) { return pick(bound) == 0; }

 private:
  std::uint64_t state_;
};

enum class Fault : std::uint8_t {
  host_dies_before_call,  // Of a tier or the repository,
  host_dies_after_call,   // which has done what it was asked.
  host_dies_between_steps,
  power_is_cut,
  unsynced_is_lost,  // Of what a power cut may take, something was there.
  tier_fails,
  tier_is_full,
  tier_sync_fails,
  repository_is_away,
  repository_answer_is_lost,  // It has done it, and the host asks again.
  repository_refuses,         // For good.
  late_job,                   // Done before one that was asked for earlier.
  late_report,
  clock_jumps,
  bytes_rot,       // Of one copy.
  tier_hangs,      // A call comes back only after it was given up.
  tier_gets_sick,  // Its next calls fail, one after the other.
  count,
};
inline constexpr std::size_t fault_count = static_cast<std::size_t>(Fault::count);
using FaultCounts = std::array<std::uint64_t, fault_count>;

// Thrown out of a call: the host dies here.
struct HostDies {};

// Shared by all that can fail.
class Trouble {
 public:
  explicit Trouble(Dice& dice) : dice_(dice) {}

  // Nothing goes wrong while it is off.
  void set_on(bool on) { on_ = on; }

  bool strikes(Fault fault, std::uint64_t one_in) {
    if (!on_ || !dice_.one_in(one_in)) return false;
    count(fault);
    return true;
  }
  void count(Fault fault) { ++counts_[static_cast<std::size_t>(fault)]; }
  void before_call() {
    if (strikes(Fault::host_dies_before_call, 2'000)) throw HostDies();
  }
  void after_call() {
    if (strikes(Fault::host_dies_after_call, 2'000)) throw HostDies();
  }

  bool is_on() const { return on_; }

  // What goes on while a call hangs.
  void on_hang(std::function<void()> handler) { on_hang_ = std::move(handler); }
  void hang() {
    if (strikes(Fault::tier_hangs, 1'500)) on_hang_();
  }

  Dice& dice() { return dice_; }
  const FaultCounts& counts() const { return counts_; }

 private:
  Dice& dice_;
  bool on_ = true;
  FaultCounts counts_{};
  std::function<void()> on_hang_;
};

}  // namespace pm::simulation
