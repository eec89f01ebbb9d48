#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
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

// Who does jobs. The queue is bounded by those who fill it: each payload has at most one operation
// and each copy at most one removal.
class Workers {
 public:
  virtual ~Workers() = default;
  virtual void add(std::function<void()> job) = 0;
  // Does what is queued, also what the jobs add, and nothing after it.
  virtual void stop() = 0;
  // A job does not come back: one thread more takes the place of its own.
  virtual void add_one() = 0;
  // It has come back: one thread ends after its job.
  virtual void retire_one() = 0;

  // Waits until the job is done.
  void run_there(const std::function<void()>& job);
};

// Makes workers: threads, unless a simulation does their jobs.
using MakeWorkers =
    std::function<std::unique_ptr<Workers>(std::uint32_t threads, Priority priority)>;
std::unique_ptr<Workers> make_threads(std::uint32_t threads, Priority priority);

// Threads that do jobs, first come first served.
class WorkerPool final : public Workers {
 public:
  WorkerPool(std::uint32_t threads, Priority priority);
  ~WorkerPool() override;
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  void add(std::function<void()> job) override;
  void stop() override;
  void add_one() override;
  void retire_one() override;

 private:
  void start_thread_locked();
  void run();

  const Priority priority_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> jobs_;
  bool stopping_ = false;
  std::uint32_t surplus_ = 0;  // So many threads end after their job.
  std::vector<std::thread> threads_;
  std::vector<std::thread> ended_;  // Or about to.
};

}  // namespace pm::mover
