#pragma once

#include <pm/tier.h>

#include <boost/json.hpp>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <pm/cpp/plugin.hpp>
#include <pm/cpp/result.hpp>
#include <string>
#include <vector>

#include "rule.h"

namespace pm::fault {

// What goes wrong with one call. Several rules may have their turn at once: their latencies add up,
// and of each other kind the first one counts.
struct Decision {
  struct Full {
    std::uint64_t used_bytes_max;
    Status status;
  };
  struct Failure {
    Status status;
    bool after;
  };
  struct ShortRead {
    std::optional<std::uint64_t> count_max;

    // How much of `count` is given.
    std::uint64_t cut(std::uint64_t count) const {
      const std::uint64_t most = count_max.value_or(count / 2);
      return most < count ? most : count;
    }
  };
  struct Corruption {
    std::optional<std::uint64_t> offset_bytes;
    std::uint64_t random;

    // Turns one bit of `length` bytes round; none when there are none.
    void spoil(void* bytes, std::uint64_t length) const;
  };

  bool applies() const {
    return latency_ms != 0 || hangs || failure || full || short_read || corruption;
  }

  std::uint64_t latency_ms = 0;
  bool hangs = false;
  bool ignores_deadline = false;
  std::optional<Failure> failure;
  std::optional<Full> full;
  std::optional<ShortRead> short_read;
  std::optional<Corruption> corruption;
  std::uint64_t generation = 0;  // Of the schedule that decided.
};

// The rules in effect: those of the configuration, then those of a file, which is looked at again
// at each call. All rules begin to count anew when the file changes. [thread-safe]
class Schedule {
 public:
  // `file` may be empty (none), and the file need not be there (no rules). Errors: as parse_rules
  // and read_faults.
  static Result<std::unique_ptr<Schedule>> open(const sdk::Host& host, Operations operations,
                                                const boost::json::value& faults, std::string file);

  // Counts a call and says what goes wrong with it. A file that is wrong is told of once in the
  // log; until it is right, what stood there before holds.
  Decision next(std::size_t operation);

  // Holds the call up as long as its decision says. cancelled, deadline_exceeded: the call's
  // context (may be NULL) ended it.
  Status wait(const Decision& decision, const pm_call_context_t* context);

  // Whether a call that was decided to hang hangs on.
  bool hangs_on(const Decision& decision);

 private:
  struct Counted {
    Rule rule;
    std::uint64_t calls = 0;
    bool has_hit = false;
    std::uint64_t random_state = 0;
  };

  Schedule(const sdk::Host& host, Operations operations, std::string file)
      : host_(host), operations_(operations), file_(std::move(file)) {}

  Result<std::vector<Rule>> rules_of(const std::string& text) const;
  void take(std::vector<Rule> file_rules);
  void refresh_locked(std::string& news, bool& is_wrong);
  static bool is_turn(Counted& counted);
  void add(const Rule& rule, Counted& counted, std::size_t operation, Decision& decision) const;

  const sdk::Host host_;
  const Operations operations_;
  const std::string file_;

  std::mutex mutex_;
  std::vector<Rule> configured_;
  std::vector<Counted> rules_;
  std::string text_;  // Of the file, when it was looked at last.
  std::uint64_t generation_ = 0;
};

}  // namespace pm::fault
