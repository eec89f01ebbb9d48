#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace pm::api {

// Says of processes that have just closed their connection whether they died: the kernel closes a
// dying process's sockets some microseconds before it says that it is dead. [thread-safe]
class WriterWatch {
 public:
  // Called once for each look(), on the caller's thread or on one of its own, until stop() has
  // returned.
  using OnKnown = std::function<void(std::uint64_t session, bool lives)>;
  explicit WriterWatch(OnKnown on_known);
  ~WriterWatch();
  WriterWatch(const WriterWatch&) = delete;
  WriterWatch& operator=(const WriterWatch&) = delete;

  // At once when the process is gone; else as soon as it is, or within a tenth of a second.
  void look(std::uint64_t session, pid_t pid);
  // Those that are still looked at count as alive.
  void stop();

 private:
  struct Process {
    std::uint64_t session = 0;
    int descriptor = -1;  // Of pidfd_open(2).
    std::uint64_t until_ns = 0;
  };

  void run();
  std::vector<Process> take_known(std::vector<bool>& lives);

  const OnKnown on_known_;
  const int wake_;  // Of eventfd(2).
  std::mutex mutex_;
  std::vector<Process> processes_;
  bool stops_ = false;
  std::thread thread_;
};

}  // namespace pm::api
