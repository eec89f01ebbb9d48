#include "frame_socket.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <utility>

namespace pm::client::detail {
namespace {

using local::FrameHeader;
using local::FrameKind;

constexpr std::size_t buffer_bytes = 64 << 10;
constexpr std::chrono::milliseconds read_by_other_time(10);
constexpr std::size_t waiting_descriptors_max = 64;

std::string error_text(int error) { return std::strerror(error); }  // NOLINT(concurrency-mt-unsafe)

Status broken(const std::string& what) { return {Code::unavailable, what}; }
Status misspoken(const std::string& what) {
  return {Code::unavailable, "the host's frames break the rules: " + what, "BAD_FRAME"};
}

// How many descriptors come with a frame.
std::size_t descriptors_of(const FrameHeader& header) {
  if (header.number != 0) return 0;
  if (header.kind == FrameKind::handle) return 1;
  return header.kind == FrameKind::attached ? 2 : 0;
}

// Sends what is left of `parts`, which it shortens. -1: errno says why.
ssize_t send_parts(int socket, iovec* parts, std::size_t count) {
  msghdr message{};
  while (count > 1 && parts->iov_len == 0) ++parts, --count;
  message.msg_iov = parts;
  message.msg_iovlen = count;
  const ssize_t sent = ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  auto left = static_cast<std::size_t>(std::max<ssize_t>(sent, 0));
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t taken = std::min(left, parts[i].iov_len);
    parts[i].iov_base = static_cast<char*>(parts[i].iov_base) + taken;
    parts[i].iov_len -= taken;
    left -= taken;
  }
  return sent;
}

}  // namespace

Result<std::unique_ptr<FrameSocket>> FrameSocket::connect(const std::string& path,
                                                          Deadline deadline) {
  FileDescriptor made(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (made.get() < 0) {
    return Status(Code::resource_exhausted, "cannot make a socket: " + error_text(errno));
  }
  // A host whose queue of connections is full lets the caller wait.
  if (deadline != Deadline::max()) {
    const auto left = std::max<std::int64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(deadline - Clock::now()).count(), 1);
    const timeval time{left / 1'000'000, left % 1'000'000};
    ::setsockopt(made.get(), SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
  }
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  if (::connect(made.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    const int error = errno;
    const std::string what = "cannot connect to " + path + ": " + error_text(error);
    if (error == EACCES || error == EPERM) {
      return Status(Code::permission_denied, what + "; ask for access to the socket");
    }
    if (error == EAGAIN) return Status(Code::deadline_exceeded, what);
    return Status(Code::unavailable, what + "; is the host running, with a local frontend there?");
  }
  return std::make_unique<FrameSocket>(std::move(made));
}

FrameSocket::FrameSocket(FileDescriptor socket)
    : socket_(std::move(socket)), closed_in_children_(socket_.get()), buffer_(buffer_bytes) {}

FrameSocket::Sent FrameSocket::send(FrameHeader header, std::string_view first,
                                    std::string_view second, Deadline deadline,
                                    const std::function<bool()>& read) {
  header.body_bytes = static_cast<std::uint32_t>(first.size() + second.size());
  iovec parts[3] = {{&header, sizeof header},
                    {const_cast<char*>(first.data()), first.size()},
                    {const_cast<char*>(second.data()), second.size()}};
  std::size_t left = sizeof header + header.body_bytes;
  bool has_begun = false;
  std::unique_lock lock(send_mutex_, std::defer_lock);
  if (deadline == Deadline::max()) {
    lock.lock();
  } else if (!lock.try_lock_until(deadline)) {
    return Sent::late;
  }
  while (left != 0) {
    const ssize_t sent = send_parts(socket_.get(), parts, 3);
    if (sent > 0) {
      has_begun = true;
      left -= static_cast<std::size_t>(sent);
    } else if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      if (Clock::now() >= deadline) return has_begun ? Sent::part : Sent::late;
      // The host may wait for somebody to read what it answers before it reads on.
      const bool is_read_by_other = !read();
      const Deadline slice = Clock::now() + read_by_other_time;
      poll_for(is_read_by_other ? POLLOUT : POLLOUT | POLLIN, std::min(slice, deadline));
    } else if (sent < 0 && errno != EINTR) {
      return has_begun ? Sent::part : Sent::nothing;
    }
  }
  return Sent::all;
}

Status FrameSocket::receive(const Sink& sink) {
  const auto count = read_some();
  if (!count) return count.status();
  return *count == 0 ? Status() : take_frames(sink);
}

Result<std::size_t> FrameSocket::read_some() {
  iovec part{buffer_.data() + end_, buffer_.size() - end_};
  alignas(cmsghdr) char control[CMSG_SPACE(local::descriptors_max * sizeof(int))];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t count = ::recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (count < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return std::size_t{0};
    return broken("the connection to the host broke: " + error_text(errno));
  }
  for (cmsghdr* item = CMSG_FIRSTHDR(&message); item != nullptr;
       item = CMSG_NXTHDR(&message, item)) {
    if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_RIGHTS) continue;
    for (std::size_t at = 0; CMSG_LEN(at + sizeof(int)) <= item->cmsg_len; at += sizeof(int)) {
      int number = -1;
      std::memcpy(&number, CMSG_DATA(item) + at, sizeof number);
      descriptors_.emplace_back(number);
    }
  }
  if ((message.msg_flags & MSG_CTRUNC) != 0 || descriptors_.size() > waiting_descriptors_max) {
    return misspoken("too many descriptors, or this process can have no more of them");
  }
  if (count == 0) {
    return broken(begin_ == end_ ? "the host closed the connection"
                                 : "the host closed the connection in the middle of a frame");
  }
  end_ += static_cast<std::size_t>(count);
  return static_cast<std::size_t>(count);
}

Status FrameSocket::take_frames(const Sink& sink) {
  std::size_t needed = sizeof(FrameHeader);
  while (end_ - begin_ >= sizeof(FrameHeader)) {
    Frame frame;
    std::memcpy(&frame.header, buffer_.data() + begin_, sizeof frame.header);
    if (frame.header.body_bytes > local::body_bytes_max) {
      return misspoken("a body of " + std::to_string(frame.header.body_bytes) + " bytes, at most " +
                       std::to_string(local::body_bytes_max) + " are allowed");
    }
    needed = sizeof(FrameHeader) + frame.header.body_bytes;
    if (end_ - begin_ < needed) break;
    if (!take_descriptors(descriptors_of(frame.header), &frame.descriptors)) {
      return misspoken("a descriptor is missing");
    }
    frame.body = {buffer_.data() + begin_ + sizeof(FrameHeader), frame.header.body_bytes};
    begin_ += needed;
    needed = sizeof(FrameHeader);
    PM_TRY(sink(std::move(frame)));
  }
  if (begin_ == end_ && !descriptors_.empty()) {
    return misspoken("a descriptor that belongs to no frame");
  }
  // The rest of a frame goes to the front, and gets the room that it needs.
  std::copy(buffer_.begin() + static_cast<std::ptrdiff_t>(begin_),
            buffer_.begin() + static_cast<std::ptrdiff_t>(end_), buffer_.begin());
  end_ -= begin_;
  begin_ = 0;
  if (needed > buffer_.size() || end_ == 0) {
    buffer_.resize(std::max(needed, buffer_bytes));
    if (buffer_.capacity() > 16 * buffer_.size()) buffer_.shrink_to_fit();
  }
  return {};
}

bool FrameSocket::take_descriptors(std::size_t count, std::vector<FileDescriptor>* descriptors) {
  if (descriptors_.size() < count) return false;
  for (; count != 0; --count) {
    descriptors->push_back(std::move(descriptors_.front()));
    descriptors_.pop_front();
  }
  return true;
}

int FrameSocket::poll_for(short events, Deadline deadline) const {
  for (;;) {
    int milliseconds = -1;
    if (deadline != Deadline::max()) {
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
      milliseconds = static_cast<int>(std::clamp<std::int64_t>(left, 0, INT_MAX));
    }
    pollfd one{socket_.get(), events, 0};
    const int ready = ::poll(&one, 1, milliseconds);
    if (ready >= 0) return ready;
    if (errno != EINTR) return 1;  // Whatever is next says what is wrong.
  }
}

bool FrameSocket::wait(Deadline deadline) const { return poll_for(POLLIN, deadline) != 0; }

bool FrameSocket::is_hung_up() const {
  pollfd one{socket_.get(), POLLRDHUP, 0};
  return ::poll(&one, 1, 0) > 0;
}

void FrameSocket::shut_down() const { ::shutdown(socket_.get(), SHUT_RDWR); }

}  // namespace pm::client::detail
