#pragma once

#include <liburing.h>
#include <pm/ext/draft/tier_async.h>

#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "file.h"
#include "posix.h"
#include "range.h"

namespace pm::disk {

// One transfer: what to move, and whom to tell.
struct Transfer {
  std::shared_ptr<File> file;
  Pieces pieces{};
  bool is_write = false;
  pm_on_transfer_t on_done = nullptr;
  void* data = nullptr;
};

// Moves ranges by one io_uring and one thread, which alone touches the ring: the kernel cancels
// what a thread has submitted when that thread ends, and the host's workers come and go.
class Ring {
 public:
  // `depth`: how many transfers are with the kernel at a time; 16 times as many may wait.
  static Result<std::unique_ptr<Ring>> start(unsigned depth);

  // Lets every transfer end first.
  ~Ring();

  // False: too many are waiting, and nothing was started.
  bool submit(Transfer transfer);

 private:
  struct Slot {
    Transfer transfer;
    unsigned pieces_left = 0;  // 0: the slot is free.
    std::array<std::uint64_t, 3> done{};
    Status status;
  };

  explicit Ring(unsigned depth) : slots_(depth) {}
  Status open();
  void run();
  bool take_waiting();
  void issue(std::size_t index);
  void finish_piece(std::size_t index, unsigned piece, int result);
  void finish(Slot& slot);
  void wake() const;
  void arm_wake();

  // Shared with submitters.
  mutable std::mutex mutex_;
  std::deque<Transfer> waiting_;
  bool stopping_ = false;
  Descriptor wake_event_;  // eventfd(2)
  std::thread thread_;

  // The ring thread's own.
  io_uring ring_{};
  std::vector<Slot> slots_;
  std::vector<std::size_t> free_;
  std::uint64_t wake_value_ = 0;
  bool wake_armed_ = false;
};

}  // namespace pm::disk
