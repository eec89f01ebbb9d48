#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace pm::mover {

// Threads that do jobs, first come first served. The queue is bounded by those who fill it: each
// payload has at most one operation and each copy at most one removal.
class WorkerPool {
 public:
  // `nice` lowers the threads' share of a busy processor (setpriority(2)); 0 leaves it.
  WorkerPool(std::uint32_t threads, int nice);
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  void add(std::function<void()> job);

  // Does what is queued, also what the jobs add, and ends the threads.
  void stop();

 private:
  void run(int nice);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> jobs_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace pm::mover
