#pragma once

#include <mutex>
#include <string>
#include <utility>

#include "core/config/config.h"

namespace pm {

// The configuration in effect, as operators are shown it. [thread-safe]
class ShownConfig {
 public:
  void set(const HostConfig& config) {
    std::string text = print_config(config);
    const std::lock_guard lock(mutex_);
    text_ = std::move(text);
  }
  std::string get() const {
    const std::lock_guard lock(mutex_);
    return text_;
  }

 private:
  mutable std::mutex mutex_;
  std::string text_;
};

}  // namespace pm
