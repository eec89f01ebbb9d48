#pragma once

#include <pm/ext/draft/engine_local.h>
#include <pm/frontend.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <pm/cpp/plugin.hpp>
#include <string>

#include "openers.h"

// What all connections of a running frontend share.

namespace pm::frontend_local {

// Writes at most one line a second to the log, and says how many it left out: what clients cause
// must not fill a disk.
class RareLog {
 public:
  explicit RareLog(sdk::Host host) : host_(host) {}

  void warn(const std::string& message) {
    const auto now = std::chrono::steady_clock::now();
    std::uint64_t left_out = 0;
    {
      const std::lock_guard lock(mutex_);
      if (now < next_) {
        ++left_out_;
        return;
      }
      next_ = now + std::chrono::seconds(1);
      left_out = std::exchange(left_out_, 0);
    }
    const std::string more =
        left_out == 0 ? "" : " (" + std::to_string(left_out) + " lines like this were left out)";
    host_.warn(message + more);
  }

 private:
  const sdk::Host host_;
  std::mutex mutex_;
  std::chrono::steady_clock::time_point next_;
  std::uint64_t left_out_ = 0;
};

struct Service {
  explicit Service(sdk::Host host) : log(host) {}

  const pm_engine_t* engine = nullptr;
  const pm_engine_local_t* local = nullptr;  // NULL: this engine shares no descriptors.
  RareLog log;
  Openers openers;                    // What may block runs here.
  std::atomic<bool> draining{false};  // New calls are refused.
  std::atomic<bool> stopping{false};  // The engine is asked for no more descriptors.
};

}  // namespace pm::frontend_local
