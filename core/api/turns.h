#pragma once

#include <deque>
#include <functional>
#include <mutex>
#include <utility>

#include "repository_reader.h"

namespace pm::api {

// Lets those who decide on the same thing do it one at a time, first come first served.
class Turns {
 public:
  explicit Turns(RepositoryReader& reader) : reader_(reader) {}

  // Runs `run` when its turn comes, on the caller's or a reader's thread; pass() ends the turn.
  // `run` gets false when the host stops before that. [thread-safe]
  void take(RepositoryReader::Job run) {
    {
      const std::lock_guard lock(mutex_);
      if (std::exchange(taken_, true)) {
        waiting_.push_back(std::move(run));
        return;
      }
    }
    run(true);
  }

  // [thread-safe]
  void pass() {
    RepositoryReader::Job next;
    {
      const std::lock_guard lock(mutex_);
      if (waiting_.empty()) {
        taken_ = false;
        return;
      }
      next = std::move(waiting_.front());
      waiting_.pop_front();
    }
    // On another thread: a long queue is no deep stack.
    reader_.after(0, std::move(next));
  }

 private:
  RepositoryReader& reader_;
  std::mutex mutex_;
  bool taken_ = false;
  std::deque<RepositoryReader::Job> waiting_;
};

}  // namespace pm::api
