#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include "directory_reader.h"
#include "local_session.h"

namespace pm::client::detail {

// Leases without a call over one session after another. The host is asked for its directory, and
// for a page, once for each session, and nobody depends on its answer: until it has come, and where
// it is a refusal, calls do as well. [thread-safe]
class DirectHolds {
 public:
  bool hold(const PayloadId& id, Hold* hold) noexcept {
    DirectoryReader* reader = reader_.load(std::memory_order_acquire);
    return reader != nullptr && reader->hold(id, hold);
  }

  // Nothing new is held in the sessions before; null: nor in another one.
  void renew(std::shared_ptr<LocalSession> session) noexcept;

  // Asks when it is time to, and takes an answer that has come. Does not wait; most of the time it
  // costs one load.
  void look() noexcept;

  // How many readers there are, of sessions that are over too. For tests.
  std::size_t readers() const;

 private:
  enum class Phase { settled, due, asked };

  void ask();
  void take();
  Status begin_reading(const std::vector<FileDescriptor>& pages);

  std::atomic<Phase> phase_{Phase::settled};
  std::atomic<DirectoryReader*> reader_{nullptr};
  mutable std::mutex mutex_;
  std::shared_ptr<LocalSession> session_;
  std::chrono::steady_clock::time_point next_ask_{};
  // Each is of the session that it has begun with, and is used again once nothing of that one is
  // held any more.
  std::vector<std::unique_ptr<DirectoryReader>> readers_;
};

}  // namespace pm::client::detail
