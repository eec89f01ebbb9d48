#pragma once

// Points at which a test makes the host die, compiled into test builds only. The environment
// variable PM_CRASH_AT=NAME:N kills the process with SIGKILL at the N-th passage of point NAME.

#if PM_FAILPOINTS
#include <signal.h>

#include <atomic>
#include <cstdlib>
#include <string>
#include <string_view>

namespace pm::observe {

inline void pass_failpoint(std::string_view name) {
  static const std::string plan = [] {
    const char* text = std::getenv("PM_CRASH_AT");
    return std::string(text != nullptr ? text : "");
  }();
  if (plan.empty()) return;
  static const std::size_t colon = plan.find(':');
  static std::atomic<long> left{
      colon == std::string::npos ? 1 : std::strtol(plan.c_str() + colon + 1, nullptr, 10)};
  if (std::string_view(plan).substr(0, colon) == name && --left == 0) ::raise(SIGKILL);
}

}  // namespace pm::observe

#define PM_FAILPOINT(name) ::pm::observe::pass_failpoint(name)
#else
#define PM_FAILPOINT(name) static_cast<void>(0)
#endif
