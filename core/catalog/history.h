#pragma once

#include <algorithm>
#include <cstdint>

namespace pm::catalog {

// How often and when a payload was read, in this life of the host. A read is a lease granted.
struct History {
  std::uint32_t reads = 0;
  std::uint32_t read_at = 0;  // In ReadClock's units of monotonic time; nothing while reads is 0.
  std::uint16_t heat = 0;     // Reads, of which those of earlier periods count ever less,
  std::uint16_t period = 0;   // as of this period.
};

// What histories are counted by. A period is so many reads that each payload could have had some;
// what was counted before it weighs half (the aging of TinyLFU: https://arxiv.org/abs/1512.00727,
// section 3.3, with an exact counter for each payload, as their heads are all in memory).
class ReadClock {
 public:
  void note_read(History& history, std::uint64_t payloads, std::uint64_t mono_ns) {
    if (++reads_ >= std::max<std::uint64_t>(period_reads_min, payloads * reads_each)) {
      reads_ = 0;
      ++period_;
    }
    history.heat = frequency(history);
    history.period = period_;
    if (history.heat < UINT16_MAX) ++history.heat;
    if (history.reads < UINT32_MAX) ++history.reads;
    history.read_at = static_cast<std::uint32_t>(mono_ns >> unit_shift);
  }

  std::uint16_t frequency(const History& history) const {
    const auto periods = static_cast<std::uint16_t>(period_ - history.period);
    return periods < 16 ? static_cast<std::uint16_t>(history.heat >> periods) : std::uint16_t{0};
  }

  // Time since the last read, to within an eighth of a second.
  static std::uint64_t unread_ns(const History& history, std::uint64_t mono_ns) {
    const std::uint64_t read_ns = static_cast<std::uint64_t>(history.read_at) << unit_shift;
    return mono_ns - std::min(mono_ns, read_ns);
  }

 private:
  static constexpr unsigned unit_shift = 27;
  static constexpr std::uint64_t period_reads_min = 4'096;
  static constexpr std::uint64_t reads_each = 8;

  std::uint64_t reads_ = 0;  // In this period.
  std::uint16_t period_ = 0;
};

}  // namespace pm::catalog
