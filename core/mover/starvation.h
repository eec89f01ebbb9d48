#pragma once

#include <cstdint>

namespace pm::mover {

// Tells whether the thread that made it gets too little of the processor: whether, in the last
// quarter of a second, it spent more than half of the time ready to run and waiting for its turn.
// Also true when the kernel does not tell (/proc/thread-self/schedstat, "run_delay" of
// Documentation/scheduler/sched-stats). For that thread alone.
class StarvationWatch {
 public:
  StarvationWatch();
  ~StarvationWatch();
  StarvationWatch(const StarvationWatch&) = delete;
  StarvationWatch& operator=(const StarvationWatch&) = delete;

  bool starved();

 private:
  // False: the kernel does not tell.
  bool read_delay(std::uint64_t& delay_ns) const;

  const int file_;
  std::int64_t window_begin_ns_ = 0;
  std::uint64_t delay_begin_ns_ = 0;
  bool blind_ = false;
};

}  // namespace pm::mover
