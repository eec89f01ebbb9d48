#include "last_resort.h"

#include <cstdlib>
#include <utility>

#include "log.h"

namespace pm {

LastResort::LastResort(std::chrono::milliseconds limit, std::function<std::string()> what_hangs,
                       int exit_code)
    : what_hangs_(std::move(what_hangs)),
      thread_([this, limit, exit_code] { run(limit, exit_code); }) {}

LastResort::~LastResort() {
  {
    const std::lock_guard lock(mutex_);
    is_over_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void LastResort::run(std::chrono::milliseconds limit, int exit_code) {
  constexpr std::chrono::milliseconds pause{100};
  constexpr int looks_max = 300;
  std::unique_lock lock(mutex_);
  const auto is_over = [this] { return is_over_; };
  if (changed_.wait_for(lock, limit, is_over)) return;
  std::string what;
  for (int looks = 0; looks < looks_max && what.empty(); ++looks) {
    if (changed_.wait_for(lock, pause, is_over)) return;
    what = what_hangs_();
  }
  if (what.empty()) what = "a plugin";
  log::error("host", "stopped, but for what hangs and is left behind: " + what);
  std::_Exit(exit_code);
}

}  // namespace pm
