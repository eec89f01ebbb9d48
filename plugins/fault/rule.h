#pragma once

#include <pm/status.h>

#include <boost/json.hpp>
#include <cstdint>
#include <optional>
#include <pm/cpp/result.hpp>
#include <span>
#include <string>
#include <vector>

// One line of a schedule: which calls go wrong, when, and how.

namespace pm::fault {

enum class Kind : std::uint32_t {
  error = 1u << 0,       // The call fails with `status`.
  full = 1u << 1,        // The medium has no room: RESOURCE_EXHAUSTED.
  latency = 1u << 2,     // The call takes `latency_ms` longer.
  hang = 1u << 3,        // It does not end before the schedule changes or nobody waits for it.
  short_read = 1u << 4,  // It succeeds, and gives less than there is.
  corrupt = 1u << 5,     // It succeeds, and a bit has another value.
};

// Besides the kinds: the medium's usage is known, so that `full` can begin at some of it.
constexpr std::uint32_t knows_usage = 1u << 31;
// The call must not be done and said to have failed.
constexpr std::uint32_t fails_before = 1u << 30;

// A call of a plugin, as schedules name it, and which kinds of fault it can have (bits of Kind
// and the two above). Its number is its place in the list of the plugin's calls.
struct Operation {
  const char* name;
  std::uint32_t kinds;
};
using Operations = std::span<const Operation>;

enum class Repeat {
  each,    // Whenever it is its turn.
  once,    // The first time only.
  sticky,  // From the first time on, at every call.
};

struct Rule {
  Kind kind = Kind::error;
  std::uint64_t operations = 0;  // Bit n: the n-th operation.

  // Its turn: of the calls to its operations that it sees, the n-th, or every n-th, or all; of
  // these, each with this probability.
  std::uint64_t nth = 0;    // From 1; 0: not given.
  std::uint64_t every = 0;  // 0: not given.
  double probability = 1;
  std::uint64_t seed = 1;
  Repeat repeat = Repeat::each;

  pm_status_t status = PM_INTERNAL;           // error
  std::string message;                        // error, full
  bool after = false;                         // error: when all has been done.
  std::uint64_t used_bytes_max = 0;           // full: as charged, what the medium holds.
  std::uint64_t latency_ms = 0;               // latency
  bool ignores_deadline = false;              // hang: goes on when nobody waits any more.
  std::optional<std::uint64_t> count_max;     // short_read: bytes, or records of a scan.
  std::optional<std::uint64_t> offset_bytes;  // corrupt: within the call's range; none: drawn.

  std::string text;  // As it was written, for the log.
};

// Errors (invalid_argument) name the fault by its place ("fault[2].nth") and say what may stand
// there.
Result<std::vector<Rule>> parse_rules(const boost::json::value& faults, Operations operations);

// "UNAVAILABLE" -> PM_UNAVAILABLE; none for OK and for what is no status.
std::optional<pm_status_t> status_of(std::string_view name);

}  // namespace pm::fault
