// What liburing is asked to write. Its functions that fill in an entry are inline, so the entries
// are looked at when they are handed over, and the completions when the kernel has left some.

#include <liburing.h>
#include <pthread.h>

#include <cstring>

#include "interpose.h"
#include "recorder.h"

namespace {

using pm::power::Record;
using pm::power::RecordKind;

constexpr std::size_t writes_max = 1024;

struct Write {
  const io_uring* ring;
  std::uint64_t user_data;
  Record* record;  // NULL: the slot is free.
};

Write writes[writes_max];
pthread_mutex_t writes_mutex = PTHREAD_MUTEX_INITIALIZER;

bool changes_nothing(std::uint8_t opcode) {
  return opcode == IORING_OP_NOP || opcode == IORING_OP_READ || opcode == IORING_OP_READV ||
         opcode == IORING_OP_READ_FIXED || opcode == IORING_OP_POLL_ADD ||
         opcode == IORING_OP_TIMEOUT || opcode == IORING_OP_ASYNC_CANCEL;
}

void remember(const io_uring* ring, std::uint64_t user_data, Record* record) {
  for (Write& write : writes) {
    if (write.record != nullptr) continue;
    write = {ring, user_data, record};
    return;
  }
  pm::power::refuse("more writes of a ring at a time than are remembered", "");
}

void note_submitted(const io_uring* ring) {
  const io_uring_sq& queue = ring->sq;
  ::pthread_mutex_lock(&writes_mutex);
  for (unsigned at = queue.sqe_head; at != queue.sqe_tail; ++at) {
    const io_uring_sqe& entry = queue.sqes[at & queue.ring_mask];
    if (changes_nothing(entry.opcode)) continue;
    std::uint64_t inode = 0;
    if ((entry.flags & IOSQE_FIXED_FILE) == 0 && !pm::power::is_recorded(entry.fd, inode)) continue;
    if (entry.opcode != IORING_OP_WRITE || entry.flags != 0) {
      pm::power::refuse("an operation of io_uring that is not known", "");
      continue;
    }
    Record* record = pm::power::begin_record({.kind = RecordKind::write,
                                              .inode = inode,
                                              .offset = entry.off,
                                              .length = entry.len,
                                              .data = reinterpret_cast<const void*>(entry.addr)});
    if (record != nullptr) remember(ring, entry.user_data, record);
  }
  ::pthread_mutex_unlock(&writes_mutex);
}

void note_completed(const io_uring* ring) {
  const io_uring_cq& queue = ring->cq;
  const unsigned tail = __atomic_load_n(queue.ktail, __ATOMIC_ACQUIRE);
  ::pthread_mutex_lock(&writes_mutex);
  for (unsigned at = *queue.khead; at != tail; ++at) {
    const io_uring_cqe& done = queue.cqes[at & queue.ring_mask];
    for (Write& write : writes) {
      if (write.record == nullptr || write.ring != ring || write.user_data != done.user_data) {
        continue;
      }
      pm::power::end_record(write.record, done.res);
      write.record = nullptr;
      break;
    }
  }
  ::pthread_mutex_unlock(&writes_mutex);
}

template <typename Call>
int record_submission(const io_uring* ring, Call call) {
  note_submitted(ring);
  const int result = call();
  note_completed(ring);
  return result;
}

}  // namespace

PM_EXPORT int io_uring_submit(io_uring* ring) {
  PM_NEXT(io_uring_submit);
  return record_submission(ring, [&] { return next(ring); });
}

PM_EXPORT int io_uring_submit_and_wait(io_uring* ring, unsigned count) {
  PM_NEXT(io_uring_submit_and_wait);
  return record_submission(ring, [&] { return next(ring, count); });
}

PM_EXPORT int io_uring_submit_and_get_events(io_uring* ring) {
  PM_NEXT(io_uring_submit_and_get_events);
  return record_submission(ring, [&] { return next(ring); });
}

PM_EXPORT int io_uring_submit_and_wait_timeout(io_uring* ring, io_uring_cqe** done, unsigned count,
                                               __kernel_timespec* timeout, sigset_t* mask) {
  PM_NEXT(io_uring_submit_and_wait_timeout);
  return record_submission(ring, [&] { return next(ring, done, count, timeout, mask); });
}

PM_EXPORT int __io_uring_get_cqe(io_uring* ring, io_uring_cqe** done, unsigned submitted,
                                 unsigned count, sigset_t* mask) {
  PM_NEXT(__io_uring_get_cqe);
  return record_submission(ring, [&] { return next(ring, done, submitted, count, mask); });
}
