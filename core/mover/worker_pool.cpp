#include "worker_pool.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <future>
#include <utility>

namespace pm::mover {

namespace {

constexpr int low_nice = 10;

// For the calling thread alone: on Linux each has a nice value and a policy of its own
// (setpriority(2), "C library/kernel differences"). Neither needs a privilege, but the way back
// does, so a thread keeps what it took.
void take_priority(Priority priority) {
  if (priority == Priority::low) {
    ::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), low_nice);
  } else if (priority == Priority::idle) {
    const sched_param none{};
    ::sched_setscheduler(0, SCHED_IDLE, &none);
  }
}

}  // namespace

WorkerPool::WorkerPool(std::uint32_t threads, Priority priority) {
  for (std::uint32_t index = 0; index < threads; ++index) {
    threads_.emplace_back([this, priority] { run(priority); });
  }
}

WorkerPool::~WorkerPool() { stop(); }

void WorkerPool::add(std::function<void()> job) {
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back(std::move(job));
  }
  changed_.notify_one();
}

std::unique_ptr<Workers> make_threads(std::uint32_t threads, Priority priority) {
  return std::make_unique<WorkerPool>(threads, priority);
}

void Workers::run_there(const std::function<void()>& job) {
  std::promise<void> done;
  add([&] {
    job();
    done.set_value();
  });
  done.get_future().wait();
}

void WorkerPool::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

void WorkerPool::run(Priority priority) {
  take_priority(priority);
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
    if (jobs_.empty()) return;
    std::function<void()> job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job();
    lock.lock();
  }
}

}  // namespace pm::mover
