#include "openers.h"

#include <pthread.h>

#include <algorithm>
#include <system_error>
#include <utility>

namespace pm::frontend_local {
namespace {

constexpr std::size_t workers_usual = 2;
// With those that take the place of others, which hang.
constexpr std::size_t workers_max = 16;

}  // namespace

void Openers::start(std::chrono::milliseconds limit) {
  const std::lock_guard lock(mutex_);
  limit_ = limit;
  for (std::size_t i = 0; i < workers_usual; ++i) add_worker();
  watcher_ = std::thread([this] { watch(); });
  pthread_setname_np(watcher_.native_handle(), "pm-local-watch");
}

// Under mutex_.
void Openers::add_worker() {
  workers_.emplace_back([this] { work(); });
  pthread_setname_np(workers_.back().native_handle(), "pm-local-open");
}

void Openers::add(Job job) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    waiting_.push_back({std::move(job), Clock::now() + limit_});
    if (!std::exchange(watching_, true)) watched_.notify_one();
  }
  added_.notify_one();
}

void Openers::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  added_.notify_all();
  watched_.notify_all();
  if (watcher_.joinable()) watcher_.join();  // From here on no worker is added.
  for (auto& worker : workers_) worker.join();
  workers_.clear();
}

void Openers::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    ++idle_;
    added_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    --idle_;
    if (waiting_.empty()) return;
    running_.splice(running_.end(), waiting_, waiting_.begin());
    const auto mine = std::prev(running_.end());
    lock.unlock();
    mine->job.open();
    lock.lock();
    std::list<Added> done;  // What a job owns is not freed under the lock.
    done.splice(done.begin(), running_, mine);
    lock.unlock();
    done.clear();
    lock.lock();
  }
}

// Later ones have later deadlines: nobody needs to wake this thread while it waits for one.
void Openers::watch() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    std::vector<std::function<void()>> give_ups = take_overdue(Clock::now());
    if (!give_ups.empty()) {
      lock.unlock();
      for (auto& give_up : give_ups) std::exchange(give_up, nullptr)();
      lock.lock();
      continue;
    }
    const auto next = next_deadline();
    watching_ = next != Clock::time_point::max();
    if (watching_) {
      watched_.wait_until(lock, next, [this] { return stopping_; });
    } else {
      watched_.wait(lock, [this] { return stopping_ || watching_; });
    }
  }
}

// Under mutex_.
std::vector<std::function<void()>> Openers::take_overdue(Clock::time_point now) {
  std::vector<std::function<void()>> give_ups;
  for (Added& added : running_) {
    if (added.job.give_up == nullptr || added.deadline > now) continue;
    give_ups.push_back(std::exchange(added.job.give_up, nullptr));
    replace_worker();
  }
  while (!waiting_.empty() && waiting_.front().deadline <= now) {
    give_ups.push_back(std::move(waiting_.front().job.give_up));
    waiting_.pop_front();
  }
  return give_ups;
}

// Under mutex_. A worker that comes back stays: there are few, and a tier that hung may again.
void Openers::replace_worker() {
  if (idle_ > 0 || workers_.size() >= workers_max) return;
  try {
    add_worker();
  } catch (const std::system_error&) {  // No thread is to be had; the others go on.
  }
}

// Under mutex_.
Openers::Clock::time_point Openers::next_deadline() const {
  auto next = Clock::time_point::max();
  if (!waiting_.empty()) next = waiting_.front().deadline;
  for (const Added& added : running_) {
    if (added.job.give_up != nullptr) next = std::min(next, added.deadline);
  }
  return next;
}

}  // namespace pm::frontend_local
