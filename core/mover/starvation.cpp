#include "starvation.h"

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cinttypes>
#include <cstdio>

namespace pm::mover {

namespace {

constexpr std::int64_t window_ns = 250'000'000;

std::int64_t now_ns() {
  return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

StarvationWatch::StarvationWatch()
    : file_(::open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC)),
      window_begin_ns_(now_ns()) {
  blind_ = !read_delay(delay_begin_ns_);
}

StarvationWatch::~StarvationWatch() {
  if (file_ >= 0) ::close(file_);
}

bool StarvationWatch::read_delay(std::uint64_t& delay_ns) const {
  char text[96];
  const ssize_t count = ::pread(file_, text, sizeof text - 1, 0);
  if (count <= 0) return false;
  text[count] = '\0';
  std::uint64_t run_ns = 0;
  // A kernel built without the figures says 0 for both.
  return std::sscanf(text, "%" SCNu64 " %" SCNu64, &run_ns, &delay_ns) == 2 && run_ns > 0;
}

bool StarvationWatch::starved() {
  if (blind_) return true;
  const std::int64_t now = now_ns();
  const std::int64_t passed_ns = now - window_begin_ns_;
  if (passed_ns < window_ns) return false;
  std::uint64_t delay_ns = 0;
  blind_ = !read_delay(delay_ns);
  const std::uint64_t delayed_ns = delay_ns - delay_begin_ns_;
  window_begin_ns_ = now;
  delay_begin_ns_ = delay_ns;
  return blind_ || delayed_ns > static_cast<std::uint64_t>(passed_ns) / 2;
}

}  // namespace pm::mover
