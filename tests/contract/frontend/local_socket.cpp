#include "local_socket.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace pm::frontend_contract {

using local::FrameHeader;
using local::FrameKind;

std::unique_ptr<LocalSocket> LocalSocket::connect(const std::string& path) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  std::unique_ptr<LocalSocket> socket(new LocalSocket(fd));
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) return nullptr;
  socket->set_receive_time(std::chrono::seconds(20));
  auto hello = socket->receive();
  if (!hello || hello->header.kind != FrameKind::hello) return nullptr;
  socket->hello_ = *hello;
  return socket;
}

LocalSocket::~LocalSocket() { ::close(fd_); }

void LocalSocket::set_receive_time(std::chrono::milliseconds time) const {
  const timeval wanted{time.count() / 1000, time.count() % 1000 * 1000};
  ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &wanted, sizeof wanted);
}

bool LocalSocket::send_bytes(const std::string& bytes) const {
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t count = ::send(fd_, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    done += static_cast<std::size_t>(count);
  }
  return true;
}

bool LocalSocket::send(FrameHeader header, const std::string& body) const {
  header.body_bytes = static_cast<std::uint32_t>(body.size());
  return send_bytes(std::string(reinterpret_cast<const char*>(&header), sizeof header) + body);
}

std::string call_frame(std::uint64_t number, const std::string& method, const std::string& request,
                       std::uint32_t credit, std::uint8_t flags, std::uint64_t nanoseconds) {
  FrameHeader header{};
  header.kind = FrameKind::call;
  header.flags = flags;
  header.method_bytes = static_cast<std::uint16_t>(method.size());
  header.call = number;
  header.value = nanoseconds;
  header.number = credit;
  header.body_bytes = static_cast<std::uint32_t>(method.size() + request.size());
  return std::string(reinterpret_cast<const char*>(&header), sizeof header) + method + request;
}

bool LocalSocket::call(std::uint64_t number, const std::string& method, const std::string& request,
                       std::uint32_t credit, std::uint8_t flags, std::uint64_t nanoseconds) const {
  return send_bytes(call_frame(number, method, request, credit, flags, nanoseconds));
}

bool LocalSocket::cancel(std::uint64_t number) const {
  FrameHeader header{};
  header.kind = FrameKind::cancel;
  header.call = number;
  return send(header);
}

bool LocalSocket::credit(std::uint64_t number, std::uint32_t replies) const {
  FrameHeader header{};
  header.kind = FrameKind::credit;
  header.call = number;
  header.number = replies;
  return send(header);
}

bool LocalSocket::receive_exactly(void* target, std::size_t length,
                                  std::vector<int>* descriptors) const {
  for (std::size_t done = 0; done < length;) {
    iovec part{static_cast<char*>(target) + done, length - done};
    alignas(cmsghdr) char control[CMSG_SPACE(local::descriptors_max * sizeof(int))];
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t count = ::recvmsg(fd_, &message, MSG_CMSG_CLOEXEC);
    if (count < 0 && errno == EINTR) continue;
    if (count == 0) errno = ECONNRESET;
    if (count <= 0) return false;
    done += static_cast<std::size_t>(count);
    const cmsghdr* header = CMSG_FIRSTHDR(&message);
    if (header == nullptr || descriptors == nullptr) continue;
    descriptors->resize((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    std::memcpy(descriptors->data(), CMSG_DATA(header), descriptors->size() * sizeof(int));
  }
  return true;
}

std::optional<LocalFrame> LocalSocket::receive() const {
  LocalFrame frame;
  if (!receive_exactly(&frame.header, sizeof frame.header, &frame.descriptors)) return {};
  frame.body.resize(frame.header.body_bytes);
  if (!receive_exactly(frame.body.data(), frame.body.size(), nullptr)) return {};
  return frame;
}

bool LocalSocket::ends() const {
  while (receive()) {
  }
  return errno == ECONNRESET;
}

bool send_open(const LocalSocket& socket, std::uint64_t call, local::OpenWhat what,
               const std::string& id, std::uint64_t slab) {
  FrameHeader header{};
  header.kind = FrameKind::open;
  header.call = call;
  header.number = static_cast<std::uint32_t>(what);
  header.value = slab;
  return socket.send(header, id);
}

bool send_bare(const LocalSocket& socket, FrameKind kind, std::uint64_t call) {
  FrameHeader header{};
  header.kind = kind;
  header.call = call;
  return socket.send(header);
}

std::size_t open_descriptors() {
  const std::filesystem::directory_iterator entries("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(entries), end(entries)));
}

}  // namespace pm::frontend_contract
