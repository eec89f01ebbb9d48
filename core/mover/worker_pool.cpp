#include "worker_pool.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
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

WorkerPool::WorkerPool(std::uint32_t threads, Priority priority) : priority_(priority) {
  const std::lock_guard lock(mutex_);
  for (std::uint32_t index = 0; index < threads; ++index) start_thread_locked();
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
  // Those that end by themselves change the lists meanwhile.
  while (true) {
    std::thread thread;
    {
      const std::lock_guard lock(mutex_);
      std::vector<std::thread>& threads = ended_.empty() ? threads_ : ended_;
      if (threads.empty()) return;
      thread = std::move(threads.back());
      threads.pop_back();
    }
    thread.join();
  }
}

void WorkerPool::start_thread_locked() {
  threads_.emplace_back([this] { run(); });
}

void WorkerPool::retire_one() {
  const std::lock_guard lock(mutex_);
  ++surplus_;
}

void WorkerPool::add_one() {
  std::vector<std::thread> ended;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    start_thread_locked();
    ended.swap(ended_);
  }
  for (std::thread& thread : ended) thread.join();
}

void WorkerPool::run() {
  take_priority(priority_);
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
    if (jobs_.empty()) return;
    std::function<void()> job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job();
    job = nullptr;
    lock.lock();
    if (surplus_ == 0) continue;
    --surplus_;
    const auto own = std::find_if(threads_.begin(), threads_.end(), [](const std::thread& thread) {
      return thread.get_id() == std::this_thread::get_id();
    });
    if (own == threads_.end()) return;  // It is being joined.
    ended_.push_back(std::move(*own));
    threads_.erase(own);
    return;
  }
}

}  // namespace pm::mover
