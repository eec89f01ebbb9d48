#pragma once

#include <local/frames.h>
#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <utility>
#include <vector>

// What goes to one client: written at once where the socket takes it, else kept in order. Nothing
// here blocks; its user locks.

namespace pm::frontend_local {

// Owns the file descriptors that go with one frame.
class Descriptors {
 public:
  Descriptors() = default;
  Descriptors(Descriptors&& other) noexcept
      : fds_(other.fds_), count_(std::exchange(other.count_, 0)) {}
  Descriptors& operator=(Descriptors&& other) noexcept {
    std::swap(fds_, other.fds_);
    std::swap(count_, other.count_);
    return *this;
  }
  ~Descriptors() { clear(); }

  // At most descriptors_max.
  void add(int fd) { fds_[count_++] = fd; }
  void clear();
  std::span<const int> all() const { return {fds_.data(), count_}; }

 private:
  std::array<int, local::descriptors_max> fds_{};
  std::size_t count_ = 0;
};

class Outbox {
 public:
  explicit Outbox(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  enum class Result {
    sent,      // Nothing waits.
    queued,    // flush() when the socket can be written.
    later,     // flush() after a while: the socket takes no more descriptors now.
    overflow,  // More than bytes_max would wait.
    broken,    // The socket takes nothing any more.
  };
  // The header, then the parts (at most three); the descriptors come with the first byte.
  Result send(int fd, const local::FrameHeader& header, std::span<const iovec> parts,
              Descriptors descriptors = {});
  Result flush(int fd);

  bool empty() const { return queue_.empty(); }
  std::size_t descriptors() const { return descriptors_; }  // In the queue.
  void clear();

 private:
  struct Piece {
    std::vector<std::uint8_t> bytes;
    std::size_t sent = 0;
    Descriptors descriptors;
  };
  // Bytes sent, -1: the socket is broken, or 0: not now; then obstacle_ is queued or later.
  ssize_t write(int fd, iovec* parts, std::size_t count, Descriptors& descriptors);
  void keep(std::span<const iovec> parts, std::size_t total, std::size_t sent,
            Descriptors descriptors);

  const std::size_t bytes_max_;
  std::size_t bytes_ = 0;  // In the queue.
  std::size_t descriptors_ = 0;
  std::size_t unread_ = 0;  // Descriptors sent since the client was last seen to have read all.
  Result obstacle_ = Result::queued;
  std::deque<Piece> queue_;
};

}  // namespace pm::frontend_local
