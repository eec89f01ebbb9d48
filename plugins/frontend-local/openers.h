#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <list>
#include <mutex>
#include <thread>
#include <vector>

namespace pm::frontend_local {

// Threads that wait for tiers to open what clients ask for. A tier may hang: whoever asked is told
// so in time, and while no thread is left for the others there is one more, up to a bound.
class Openers {
 public:
  // One of the two answers the client; both may run, on different threads.
  struct Job {
    std::function<void()> open;     // May block.
    std::function<void()> give_up;  // `limit` has passed since add(); `open` may not have begun.
  };

  ~Openers() { stop(); }

  void start(std::chrono::milliseconds limit);
  // After stop() it does nothing.
  void add(Job job);
  // Does what was added, and waits also for what hangs.
  void stop();

 private:
  using Clock = std::chrono::steady_clock;
  struct Added {
    Job job;
    Clock::time_point deadline;
  };

  void add_worker();
  void replace_worker();
  void work();
  void watch();
  std::vector<std::function<void()>> take_overdue(Clock::time_point now);
  Clock::time_point next_deadline() const;

  std::thread watcher_;
  std::mutex mutex_;  // Guards what follows.
  std::condition_variable added_;
  std::condition_variable watched_;
  std::chrono::milliseconds limit_{0};
  std::list<Added> waiting_;
  std::list<Added> running_;  // Without a give_up when that was called.
  std::size_t idle_ = 0;
  bool watching_ = false;  // The watcher waits for a deadline, not for a job.
  bool stopping_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace pm::frontend_local
