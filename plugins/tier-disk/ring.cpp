#include "ring.h"

#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <future>

namespace pm::disk {

namespace {

constexpr std::uint64_t wake_data = UINT64_MAX;
constexpr unsigned waiting_per_slot = 16;
constexpr unsigned pieces_max = 3;

// What goes through the ring is bulk: it takes what nobody else wants of the processor. Who cannot
// wait for that reads and writes on a thread of his own.
void yield_to_calls() {
  const sched_param none{};
  ::sched_setscheduler(0, SCHED_IDLE, &none);  // Of this thread alone; needs no privilege.
}

}  // namespace

Result<std::unique_ptr<Ring>> Ring::start(unsigned depth) {
  auto ring = std::unique_ptr<Ring>(new Ring(depth));
  ring->wake_event_ = Descriptor(::eventfd(0, EFD_CLOEXEC));
  if (!ring->wake_event_) return errno_status(errno, "eventfd");

  // Signals are for the host's own threads.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  std::promise<Status> opened;
  auto result = opened.get_future();
  try {
    ring->thread_ = std::thread([&opened, self = ring.get()] {
      yield_to_calls();
      const Status status = self->open();
      const bool runs = status.ok();
      opened.set_value(status);
      if (runs) self->run();
    });
  } catch (...) {
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw;
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  PM_TRY(result.get());
  return ring;
}

Ring::~Ring() {
  if (!thread_.joinable()) return;
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake();
  thread_.join();
}

// Runs on the ring thread, because the kernel binds a ring with these flags to the thread that
// made it. They save an interrupt for each completion and need Linux 6.1.
Status Ring::open() {
  const auto entries = static_cast<unsigned>(slots_.size()) * pieces_max + 1;
  int error = ::io_uring_queue_init(
      entries, &ring_,
      IORING_SETUP_CLAMP | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
  if (error == -EINVAL) error = ::io_uring_queue_init(entries, &ring_, IORING_SETUP_CLAMP);
  if (error != 0) return errno_status(-error, "io_uring_setup");
  for (std::size_t i = 0; i < slots_.size(); ++i) free_.push_back(i);
  return {};
}

bool Ring::submit(Transfer transfer) {
  {
    std::lock_guard lock(mutex_);
    if (waiting_.size() >= slots_.size() * waiting_per_slot) return false;
    waiting_.push_back(std::move(transfer));
    if (waiting_.size() > 1) return true;  // Whoever put the first one has woken the thread.
  }
  wake();
  return true;
}

void Ring::wake() const {
  const std::uint64_t one = 1;
  while (::write(wake_event_.get(), &one, sizeof(one)) < 0 && errno == EINTR) {
  }
}

void Ring::arm_wake() {
  io_uring_sqe* entry = ::io_uring_get_sqe(&ring_);
  ::io_uring_prep_read(entry, wake_event_.get(), &wake_value_, sizeof(wake_value_), 0);
  ::io_uring_sqe_set_data64(entry, wake_data);
  wake_armed_ = true;
}

// Moves waiting transfers into free slots. False: stopping, and nothing is left to do.
bool Ring::take_waiting() {
  bool stopping = false;
  {
    std::lock_guard lock(mutex_);
    while (!waiting_.empty() && !free_.empty()) {
      slots_[free_.back()].transfer = std::move(waiting_.front());
      waiting_.pop_front();
      issue(free_.back());
      free_.pop_back();
    }
    stopping = stopping_;
  }
  if (!stopping && !wake_armed_) arm_wake();
  return !stopping || free_.size() < slots_.size() || wake_armed_;
}

void Ring::run() {
  while (take_waiting()) {
    const int submitted = ::io_uring_submit_and_wait(&ring_, 1);
    // EINTR, EAGAIN and EBUSY pass; the entries stay in the ring for the next round.
    if (submitted < 0 && submitted != -EINTR)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    io_uring_cqe* completion = nullptr;
    while (::io_uring_peek_cqe(&ring_, &completion) == 0) {
      const std::uint64_t data = ::io_uring_cqe_get_data64(completion);
      const int result = completion->res;
      ::io_uring_cqe_seen(&ring_, completion);
      if (data == wake_data)
        wake_armed_ = false;
      else
        finish_piece(data / pieces_max, static_cast<unsigned>(data % pieces_max), result);
    }
  }
  ::io_uring_queue_exit(&ring_);
}

void Ring::issue(std::size_t index) {
  Slot& slot = slots_[index];
  Transfer& transfer = slot.transfer;
  slot.status = {};
  slot.done = {};
  slot.pieces_left = transfer.pieces.count;
  for (unsigned i = 0; i < transfer.pieces.count; ++i) {
    const Piece& piece = transfer.pieces.items[i];
    const int fd = piece.direct ? transfer.file->direct() : transfer.file->cached();
    const auto length = static_cast<unsigned>(piece.length);
    io_uring_sqe* entry = ::io_uring_get_sqe(&ring_);  // Never NULL: there is room for all slots.
    if (transfer.is_write)
      ::io_uring_prep_write(entry, fd, piece.data, length, piece.offset);
    else
      ::io_uring_prep_read(entry, fd, piece.data, length, piece.offset);
    ::io_uring_sqe_set_data64(entry, index * pieces_max + i);
  }
}

void Ring::finish_piece(std::size_t index, unsigned piece_index, int result) {
  Slot& slot = slots_[index];
  const Piece& piece = slot.transfer.pieces.items[piece_index];
  const bool is_write = slot.transfer.is_write;
  if (result >= 0 || result == -EINTR || result == -EAGAIN || result == -ECANCELED ||
      (result == -EINVAL && piece.direct)) {
    // What the kernel left over (rare) is moved here and now. After EINVAL, the file system
    // refuses O_DIRECT for this range after all.
    Piece rest = piece;
    if (result == -EINVAL) rest.direct = false;
    const auto done = result > 0 ? static_cast<std::uint64_t>(result) : 0;
    auto moved = move_piece(*slot.transfer.file, rest, is_write, done);
    if (moved.ok())
      slot.done[piece_index] = *moved;
    else
      slot.status = moved.status();
  } else {
    slot.status = errno_status(
        -result, (is_write ? "cannot write " : "cannot read ") + slot.transfer.file->shown(),
        is_write ? Code::unavailable : Code::data_loss);
  }
  if (--slot.pieces_left == 0) {
    finish(slot);
    free_.push_back(index);
  }
}

void Ring::finish(Slot& slot) {
  std::uint64_t count = 0;
  for (unsigned i = 0; i < slot.transfer.pieces.count; ++i) {
    count += slot.done[i];
    if (slot.done[i] < slot.transfer.pieces.items[i].length) break;
  }
  const Transfer transfer = std::exchange(slot.transfer, {});
  const Status& status = slot.status;
  transfer.on_done(transfer.data, static_cast<pm_status_t>(status.code()), status.ok() ? count : 0,
                   status.ok() ? nullptr : status.message().c_str());
}

}  // namespace pm::disk
