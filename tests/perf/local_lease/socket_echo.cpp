#include "socket_echo.h"

#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "report.h"

namespace pm::perf {
namespace {

constexpr std::size_t message_bytes = 32;

bool exchange(int socket, bool is_first) {
  char bytes[message_bytes] = {};
  if (is_first && ::send(socket, bytes, sizeof bytes, MSG_NOSIGNAL) != sizeof bytes) return false;
  if (::recv(socket, bytes, sizeof bytes, MSG_WAITALL) != sizeof bytes) return false;
  return is_first || ::send(socket, bytes, sizeof bytes, MSG_NOSIGNAL) == sizeof bytes;
}

}  // namespace

void pin(int processor) {
  const auto last = static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN)) - 1;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(std::min(processor, last), &set);
  // Where it is not allowed the figures are rougher, and no less true.
  static_cast<void>(::sched_setaffinity(0, sizeof set, &set));
}

SocketEcho::SocketEcho() {
  int ends[2];
  must(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, "socketpair failed");
  pid_ = ::fork();
  if (pid_ == 0) {
    ::close(ends[0]);
    pin(1);
    while (exchange(ends[1], false)) {
    }
    ::_exit(0);
  }
  ::close(ends[1]);
  socket_ = ends[0];
  must(pid_ > 0, "fork failed");
}

SocketEcho::~SocketEcho() {
  ::close(socket_);
  if (pid_ > 0) ::waitpid(pid_, nullptr, 0);
}

void SocketEcho::round_trip() const { must(exchange(socket_, true), "the echo has gone"); }

}  // namespace pm::perf
