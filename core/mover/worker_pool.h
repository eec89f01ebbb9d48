#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace pm::mover {

// How a pool's threads take their place among those that are ready to run.
enum class Priority {
  normal,  // As the process itself.
  low,     // A tenth of a busy processor, for what takes long and nobody waits for.
  idle,    // Only what nobody else wants; a processor busy with such a thread counts as free.
};

// Threads that do jobs, first come first served. The queue is bounded by those who fill it: each
// payload has at most one operation and each copy at most one removal.
class WorkerPool {
 public:
  WorkerPool(std::uint32_t threads, Priority priority);
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  void add(std::function<void()> job);

  // Waits until the job is done.
  void run_there(const std::function<void()>& job);

  // Does what is queued, also what the jobs add, and ends the threads.
  void stop();

 private:
  void run(Priority priority);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> jobs_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace pm::mover
