#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "file_descriptor.h"
#include "fork.h"
#include "sdk/local/frames.h"
#include "transport.h"

namespace pm::client::detail {

// One connection to a local socket: whole frames out, whole frames in.
class FrameSocket {
 public:
  // What came: a header, its body (valid during the call), and what came along with it.
  struct Frame {
    local::FrameHeader header;
    std::string_view body;
    std::vector<FileDescriptor> descriptors;
  };
  using Sink = std::function<Status(Frame&&)>;

  // Connects; says nothing of who answers. UNAVAILABLE: nobody listens there.
  static Result<std::unique_ptr<FrameSocket>> connect(const std::string& path, Deadline deadline);

  explicit FrameSocket(FileDescriptor socket);

  enum class Sent {
    all,
    nothing,  // Not a byte, as it is broken: what was to be sent has had no effect.
    late,     // Not a byte before the deadline.
    part,     // Broken in the middle, or late there: nothing more can be sent.
  };
  // The body is `first`, then `second`. body_bytes of the header is filled in. While there is no
  // room, `read` is called: it receives what is there, or says that somebody else does (false).
  // [thread-safe]
  Sent send(local::FrameHeader header, std::string_view first, std::string_view second,
            Deadline deadline, const std::function<bool()>& read);

  // Hands on each whole frame that is there, without waiting for any. A status that is not OK ends
  // the connection: its words, or those of `sink`. For one thread at a time.
  Status receive(const Sink& sink);
  // Waits until there is something to receive; false: not before the deadline. [thread-safe]
  bool wait(Deadline deadline) const;
  // Whether the other end is gone. [thread-safe]
  bool is_hung_up() const;
  // Wakes who waits, and lets the other end know. [thread-safe]
  void shut_down() const;

 private:
  Result<std::size_t> read_some();
  Status take_frames(const Sink& sink);
  bool take_descriptors(std::size_t count, std::vector<FileDescriptor>* descriptors);
  int poll_for(short events, Deadline deadline) const;

  const FileDescriptor socket_;
  const ClosedInChildren closed_in_children_;
  std::timed_mutex send_mutex_;
  // Of the one who receives: bytes from begin_ to end_ are not yet taken.
  std::vector<char> buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::deque<FileDescriptor> descriptors_;
};

}  // namespace pm::client::detail
