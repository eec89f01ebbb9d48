#pragma once

// Points at which a test makes the host die, compiled in where PM_FAILPOINTS is set: in test
// builds. Without it a point is nothing. Of the environment:
//   PM_CRASH_AT=NAME:N      kills the process with SIGKILL at the N-th passage of point NAME, after
//                           the line "failpoint NAME" on standard error
//   PM_CRASH_WHEN=FILE      only passages count at which FILE exists; not set: all of them
// Host and plugins count for themselves, so each name belongs to one of them.

#if PM_FAILPOINTS
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <string>
#include <string_view>

namespace pm {

// [thread-safe]
inline void pass_failpoint(std::string_view name) {
  static const auto variable = [](const char* key) {
    const char* text = std::getenv(key);
    return std::string(text != nullptr ? text : "");
  };
  static const std::string plan = variable("PM_CRASH_AT");
  if (plan.empty()) return;
  static const std::string when = variable("PM_CRASH_WHEN");
  static const std::size_t colon = plan.find(':');
  static std::atomic<long> left{
      colon == std::string::npos ? 1 : std::strtol(plan.c_str() + colon + 1, nullptr, 10)};
  if (std::string_view(plan).substr(0, colon) != name) return;
  if (!when.empty() && ::access(when.c_str(), F_OK) != 0) return;
  if (--left != 0) return;
  const std::string line = "failpoint " + std::string(name) + "\n";
  if (::write(STDERR_FILENO, line.data(), line.size()) < 0) ::_exit(127);
  ::raise(SIGKILL);
}

}  // namespace pm

#define PM_FAILPOINT(name) ::pm::pass_failpoint(name)
#else
#define PM_FAILPOINT(name) static_cast<void>(0)
#endif
