#include "outbox.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace pm::frontend_local {
namespace {

// Small frames that wait share a piece of so many bytes.
constexpr std::size_t piece_bytes = 64 << 10;

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
  if (queue_.empty()) {
    const ssize_t now = send_parts(fd, all.data(), count, descriptors);
    if (now < 0 && errno != EAGAIN) return Result::broken;
    sent = now < 0 ? 0 : static_cast<std::size_t>(now);
    if (sent == total) return Result::sent;
    if (sent > 0) descriptors.clear();  // They are with the client.
  } else if (total > bytes_max_ || bytes_ > bytes_max_ - total) {
    return Result::overflow;
  }
  keep({all.data(), count}, total, sent, std::move(descriptors));
  return Result::queued;
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
  if (!shares) piece.descriptors = std::move(descriptors);
  bytes_ += total - sent;
}

Outbox::Result Outbox::flush(int fd) {
  while (!queue_.empty()) {
    Piece& piece = queue_.front();
    iovec rest{piece.bytes.data() + piece.sent, piece.bytes.size() - piece.sent};
    const ssize_t now = send_parts(fd, &rest, 1, piece.descriptors);
    if (now < 0) return errno == EAGAIN ? Result::queued : Result::broken;
    piece.descriptors.clear();
    piece.sent += static_cast<std::size_t>(now);
    bytes_ -= static_cast<std::size_t>(now);
    if (piece.sent == piece.bytes.size()) queue_.pop_front();
  }
  return Result::sent;
}

void Outbox::clear() {
  queue_.clear();
  bytes_ = 0;
}

}  // namespace pm::frontend_local
