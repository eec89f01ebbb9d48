#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <utility>

#include "operation.h"

// The log of one client. What was begun is in it at once, so that a client that dies in the middle
// of a call leaves an operation whose outcome is unknown.

namespace pm::history {

inline std::int64_t monotonic_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// One thread at a time.
class Recorder {
 public:
  explicit Recorder(std::uint32_t client) : client_(client) {}

  void set_life(std::uint32_t life) { life_ = life; }

  // Just before the call. The reference stays valid; its outcome is unknown until one of the
  // functions below is called with it, just after the answer.
  Operation& invoke(Kind kind, std::string subject, std::string request = {}) {
    Operation& operation = operations_.emplace_back();
    operation.kind = kind;
    operation.client = client_;
    operation.life = life_;
    operation.subject = std::move(subject);
    operation.request = std::move(request);
    operation.invoked_ns = monotonic_ns();
    return operation;
  }
  static void ok(Operation& operation) {
    operation.returned_ns = monotonic_ns();
    operation.outcome = Outcome::ok;
  }
  static void refused(Operation& operation, Refusal refusal) {
    operation.returned_ns = monotonic_ns();
    operation.outcome = Outcome::refused;
    operation.refusal = refusal;
  }

  const std::deque<Operation>& operations() const { return operations_; }

 private:
  std::uint32_t client_;
  std::uint32_t life_ = 0;
  std::deque<Operation> operations_;
};

// The crash that ends `life`: after all of its operations, before the first of the next.
inline Operation crash_at(std::uint32_t life, std::int64_t from_ns, std::int64_t to_ns) {
  Operation crash;
  crash.kind = Kind::crash;
  crash.outcome = Outcome::ok;
  crash.life = life;
  crash.invoked_ns = from_ns;
  crash.returned_ns = to_ns;
  return crash;
}

}  // namespace pm::history
