#include "outbox.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace pm::frontend_local {
namespace {

// Small frames that wait share a piece of so many bytes.
constexpr std::size_t piece_bytes = 64 << 10;
// Descriptors that a client may leave unread. The kernel counts them all against the host's user,
// and lets it send no more to anybody when there are too many.
constexpr std::size_t unread_max = 16;

bool all_was_read(int fd) {
  int bytes = 0;
  return ::ioctl(fd, SIOCOUTQ, &bytes) == 0 && bytes == 0;
}

// What passes by itself, though the socket could be written: too many descriptors are in flight,
// or the kernel has no memory.
bool passes(int error) { return error == ETOOMANYREFS || error == ENOBUFS || error == ENOMEM; }

// As sendmsg(2); -1 and EAGAIN when the socket takes nothing now.
ssize_t send_parts(int fd, iovec* parts, std::size_t count, const Descriptors& descriptors) {
  alignas(cmsghdr) char control[CMSG_SPACE(local::descriptors_max * sizeof(int))];
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = count;
  if (const auto fds = descriptors.all(); !fds.empty()) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
  }
  ssize_t count_sent = 0;
  do {
    count_sent = ::sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (count_sent < 0 && errno == EINTR);
  return count_sent;
}

}  // namespace

void Descriptors::clear() {
  for (const int fd : all()) ::close(fd);
  count_ = 0;
}

Outbox::Result Outbox::send(int fd, const local::FrameHeader& header, std::span<const iovec> parts,
                            Descriptors descriptors) {
  std::array<iovec, 4> all{};
  all[0] = {const_cast<local::FrameHeader*>(&header), sizeof header};
  std::copy(parts.begin(), parts.end(), all.begin() + 1);
  const std::size_t count = parts.size() + 1;
  const std::size_t total = sizeof header + header.body_bytes;
  std::size_t sent = 0;
  obstacle_ = Result::queued;
  if (queue_.empty()) {
    const ssize_t now = write(fd, all.data(), count, descriptors);
    if (now < 0) return Result::broken;
    sent = static_cast<std::size_t>(now);
    if (sent == total) return Result::sent;
  } else if (total > bytes_max_ || bytes_ > bytes_max_ - total) {
    return Result::overflow;
  }
  keep({all.data(), count}, total, sent, std::move(descriptors));
  return obstacle_;
}

ssize_t Outbox::write(int fd, iovec* parts, std::size_t count, Descriptors& descriptors) {
  const std::size_t fds = descriptors.all().size();
  if (fds != 0 && unread_ + fds > unread_max) {
    if (!all_was_read(fd)) {
      obstacle_ = Result::later;
      return 0;
    }
    unread_ = 0;
  }
  const ssize_t sent = send_parts(fd, parts, count, descriptors);
  if (sent < 0) {
    if (errno != EAGAIN && !passes(errno)) return -1;
    obstacle_ = errno == EAGAIN ? Result::queued : Result::later;
    return 0;
  }
  unread_ += fds;
  descriptors.clear();  // They are with the client.
  return sent;
}

void Outbox::keep(std::span<const iovec> parts, std::size_t total, std::size_t sent,
                  Descriptors descriptors) {
  const bool shares = descriptors.all().empty() && !queue_.empty() &&
                      queue_.back().bytes.size() + total <= piece_bytes;
  if (!shares) queue_.emplace_back();
  Piece& piece = queue_.back();
  std::size_t skipped = sent;
  for (const iovec& part : parts) {
    const std::size_t skip = std::min(skipped, part.iov_len);
    skipped -= skip;
    const auto* bytes = static_cast<const std::uint8_t*>(part.iov_base);
    piece.bytes.insert(piece.bytes.end(), bytes + skip, bytes + part.iov_len);
  }
  descriptors_ += descriptors.all().size();
  if (!shares) piece.descriptors = std::move(descriptors);
  bytes_ += total - sent;
}

Outbox::Result Outbox::flush(int fd) {
  while (!queue_.empty()) {
    Piece& piece = queue_.front();
    iovec rest{piece.bytes.data() + piece.sent, piece.bytes.size() - piece.sent};
    const std::size_t fds = piece.descriptors.all().size();
    const ssize_t now = write(fd, &rest, 1, piece.descriptors);
    if (now < 0) return Result::broken;
    if (now == 0) return obstacle_;
    descriptors_ -= fds;
    piece.sent += static_cast<std::size_t>(now);
    bytes_ -= static_cast<std::size_t>(now);
    if (piece.sent == piece.bytes.size()) queue_.pop_front();
  }
  return Result::sent;
}

void Outbox::clear() {
  queue_.clear();
  bytes_ = 0;
  descriptors_ = 0;
}

}  // namespace pm::frontend_local
