#pragma once

#include <local/frames.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

// Takes bytes from a socket and cuts them into frames. One thread at a time.

namespace pm::frontend_local {

struct Frame {
  local::FrameHeader header;
  std::span<const std::uint8_t> body;  // Valid until the next receive().
};

class FrameReader {
 public:
  enum class Got {
    bytes,
    nothing,      // Nothing is there now.
    ended,        // The peer has closed, or is gone.
    descriptors,  // The peer sent file descriptors, which nobody may; they were closed.
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

 private:
  void make_room();

  std::unique_ptr<std::uint8_t[]> buffer_;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;  // Of what was received and not cut.
  std::size_t end_ = 0;
  std::size_t frame_bytes_ = 0;  // Of the frame that is incomplete, its header with it; 0: unknown.
  bool took_all_ = false;
  const char* wrong_ = "";
};

}  // namespace pm::frontend_local
