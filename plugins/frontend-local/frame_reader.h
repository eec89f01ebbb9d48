#pragma once

#include <local/frames.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

// Takes bytes from a socket and cuts them into frames. One thread at a time.

namespace pm::frontend_local {

struct Frame {
  local::FrameHeader header;
  std::span<const std::uint8_t> body;  // Valid until the reader's next function is called.
};

// What the readers of one user may need together, beyond the small buffer that each has anyway.
// On any thread.
class InputBudget {
 public:
  bool take(std::size_t bytes) {
    if (taken_.fetch_add(bytes) + bytes <= bytes_max) return true;
    give_back(bytes);
    return false;
  }
  void give_back(std::size_t bytes) { taken_.fetch_sub(bytes); }

 private:
  // Four of the largest frames.
  static constexpr std::size_t bytes_max = 4 * (std::size_t{local::body_bytes_max} + 64);
  std::atomic<std::size_t> taken_{0};
};

class FrameReader {
 public:
  // NULL: it may need what it likes.
  explicit FrameReader(std::shared_ptr<InputBudget> budget) : budget_(std::move(budget)) {}
  ~FrameReader() { clear(); }
  FrameReader(const FrameReader&) = delete;
  FrameReader& operator=(const FrameReader&) = delete;

  enum class Got {
    bytes,
    nothing,      // Nothing is there now.
    ended,        // The peer has closed, or is gone.
    descriptors,  // The peer sent file descriptors, which nobody may; they were closed.
    too_much,     // The budget does not allow for what came.
  };
  // One system call, for as much as there is room for.
  Got receive(int fd);

  // Whether the last receive() took less than it had room for: there is probably no more.
  bool took_all() const { return took_all_; }

  enum class Cut {
    frame,
    incomplete,  // receive() first.
    broken,      // What is there cannot be a frame; see wrong().
  };
  // The next frame of what was received.
  Cut next(Frame& frame);

  // Why next() said broken; a constant.
  const char* wrong() const { return wrong_; }

  // Forgets what was received.
  void clear();

 private:
  bool make_room();
  bool grow(std::size_t wanted);
  void shrink();

  const std::shared_ptr<InputBudget> budget_;
  std::size_t taken_ = 0;  // Of the budget.
  std::unique_ptr<std::uint8_t[]> buffer_;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;  // Of what was received and not cut.
  std::size_t end_ = 0;
  std::size_t frame_bytes_ = 0;  // Of the frame that is incomplete, its header with it; 0: unknown.
  bool took_all_ = false;
  const char* wrong_ = "";
};

}  // namespace pm::frontend_local
