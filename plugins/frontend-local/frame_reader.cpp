#include "frame_reader.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace pm::frontend_local {
namespace {

using local::FrameHeader;
using local::FrameKind;

// A burst of small calls fits; a connection that is idle touches none of its pages.
constexpr std::size_t buffer_bytes = 64 << 10;

// Closes what came; true when anything did.
bool close_descriptors(msghdr& message) {
  bool came = (message.msg_flags & MSG_CTRUNC) != 0;
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
       part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    came = true;
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof fd);
      ::close(fd);
    }
  }
  return came;
}

bool comes_from_clients(FrameKind kind) {
  return kind >= FrameKind::call && kind <= FrameKind::released;
}

}  // namespace

bool FrameReader::make_room() {
  if (buffer_ == nullptr) {
    buffer_ = std::make_unique_for_overwrite<std::uint8_t[]>(buffer_bytes);
    capacity_ = buffer_bytes;
  }
  if (begin_ == end_) begin_ = end_ = 0;
  if (begin_ > 0 && capacity_ - end_ < capacity_ / 2) {
    std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (end_ < capacity_) return true;
  // Room grows with what has come, not with what a header claims will come.
  return grow(std::max(std::min(frame_bytes_, capacity_ * 4), capacity_ + 1));
}

bool FrameReader::grow(std::size_t wanted) {
  if (budget_ != nullptr) {
    if (!budget_->take(wanted - taken_)) return false;
    taken_ = wanted;
  }
  auto larger = std::make_unique_for_overwrite<std::uint8_t[]>(wanted);
  std::memcpy(larger.get(), buffer_.get(), end_);
  buffer_ = std::move(larger);
  capacity_ = wanted;
  return true;
}

// What one large request needed is not kept until the connection's next one.
void FrameReader::shrink() {
  const std::size_t left = end_ - begin_;
  if (capacity_ <= buffer_bytes || left >= buffer_bytes) return;
  auto smaller = std::make_unique_for_overwrite<std::uint8_t[]>(buffer_bytes);
  std::memcpy(smaller.get(), buffer_.get() + begin_, left);
  clear();
  buffer_ = std::move(smaller);
  capacity_ = buffer_bytes;
  end_ = left;
}

void FrameReader::clear() {
  buffer_.reset();
  capacity_ = begin_ = end_ = 0;
  if (budget_ != nullptr) budget_->give_back(std::exchange(taken_, 0));
}

FrameReader::Got FrameReader::receive(int fd) {
  if (!make_room()) return Got::too_much;
  iovec part{buffer_.get() + end_, capacity_ - end_};
  // Room for a few descriptors; the kernel closes what does not fit.
  alignas(cmsghdr) char control[CMSG_SPACE(4 * sizeof(int))];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t count = 0;
  do {
    count = ::recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (count < 0 && errno == EINTR);
  if (count < 0) return errno == EAGAIN ? Got::nothing : Got::ended;
  if (close_descriptors(message)) return Got::descriptors;
  if (count == 0) return Got::ended;
  took_all_ = static_cast<std::size_t>(count) < part.iov_len;
  end_ += static_cast<std::size_t>(count);
  return Got::bytes;
}

FrameReader::Cut FrameReader::next(Frame& frame) {
  frame_bytes_ = 0;
  if (end_ - begin_ < sizeof(FrameHeader)) {
    shrink();
    return Cut::incomplete;
  }
  FrameHeader& header = frame.header;
  std::memcpy(&header, buffer_.get() + begin_, sizeof header);
  if (!comes_from_clients(header.kind)) {
    wrong_ = "a frame of no kind that clients send";
  } else if (header.body_bytes > local::body_bytes_max) {
    wrong_ = "a body of more than body_bytes_max";
  } else if (header.method_bytes > header.body_bytes) {
    wrong_ = "a method that is longer than its body";
  } else {
    frame_bytes_ = sizeof header + header.body_bytes;
    if (end_ - begin_ < frame_bytes_) {
      shrink();
      return Cut::incomplete;
    }
    frame.body = {buffer_.get() + begin_ + sizeof header, header.body_bytes};
    begin_ += frame_bytes_;
    return Cut::frame;
  }
  return Cut::broken;
}

}  // namespace pm::frontend_local
