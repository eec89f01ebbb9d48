#include "delivery.h"

#include "stream_call.h"

namespace pm::api {

Delivery::Delivery() : thread_([this] { run(); }) {}

void Delivery::schedule(StreamCall& call) {
  call.retain();
  {
    const std::lock_guard lock(mutex_);
    if (!stopping_) {
      queue_.push_back(&call);
      changed_.notify_one();
      return;
    }
  }
  call.run();
  call.drop();
}

void Delivery::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Delivery::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;
    StreamCall* const call = queue_.front();
    queue_.pop_front();
    lock.unlock();
    call->run();
    call->drop();
    lock.lock();
  }
}

}  // namespace pm::api
