#include "peer.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "report.h"

namespace pm::perf {

namespace {

int connect_to(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
  ::close(fd);
  return -1;
}

}  // namespace

Peer::Peer(Kind kind) : kind_(kind) {
  const std::string path = directory_ / "peer.sock";
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(127);
    const int null = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    ::dup2(null, STDOUT_FILENO);
    if (kind == Kind::redis) {
      ::execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", path.c_str(),
               "--save", "", "--appendonly", "no", nullptr);
    } else {
      ::execlp("memcached", "memcached", "-u", "root", "-s", path.c_str(), "-m", "1024", "-I", "8m",
               "-t", "1", nullptr);
    }
    ::_exit(127);
  }
  const double deadline = now_seconds() + 10;
  while ((socket_ = connect_to(path)) < 0) {
    must(now_seconds() < deadline && ::waitpid(pid_, nullptr, WNOHANG) == 0,
         "a peer does not start: install redis-server and memcached");
    ::usleep(10'000);
  }
}

Peer::~Peer() {
  if (socket_ >= 0) ::close(socket_);
  ::kill(pid_, SIGTERM);
  ::waitpid(pid_, nullptr, 0);
}

void Peer::send(const std::string& head, std::span<const std::byte> body) {
  const char end[] = "\r\n";
  iovec parts[3] = {{const_cast<char*>(head.data()), head.size()},
                    {const_cast<std::byte*>(body.data()), body.size()},
                    {const_cast<char*>(end), body.empty() ? 0u : 2u}};
  std::size_t left = head.size() + body.size() + parts[2].iov_len;
  while (left > 0) {
    const ssize_t sent = ::writev(socket_, parts, 3);
    must(sent > 0, "a peer does not take bytes");
    left -= static_cast<std::size_t>(sent);
    auto gone = static_cast<std::size_t>(sent);
    for (iovec& part : parts) {
      const std::size_t of_this = std::min(gone, part.iov_len);
      part.iov_base = static_cast<char*>(part.iov_base) + of_this;
      part.iov_len -= of_this;
      gone -= of_this;
    }
  }
}

void Peer::fill() {
  buffer_.erase(0, taken_);
  taken_ = 0;
  char some[16 << 10];
  const ssize_t count = ::read(socket_, some, sizeof some);
  must(count > 0, "a peer went away");
  buffer_.append(some, static_cast<std::size_t>(count));
}

std::string Peer::line() {
  std::size_t end = 0;
  while ((end = buffer_.find("\r\n", taken_)) == std::string::npos) fill();
  std::string found = buffer_.substr(taken_, end - taken_);
  taken_ = end + 2;
  return found;
}

void Peer::read_exactly(std::byte* target, std::size_t bytes) {
  const std::size_t there = std::min(bytes, buffer_.size() - taken_);
  std::memcpy(target, buffer_.data() + taken_, there);
  taken_ += there;
  for (std::size_t at = there; at < bytes;) {
    const ssize_t count = ::read(socket_, target + at, bytes - at);
    must(count > 0, "a peer went away");
    at += static_cast<std::size_t>(count);
  }
}

void Peer::set(const std::string& key, std::span<const std::byte> value) {
  if (kind_ == Kind::redis) {
    send("*3\r\n$3\r\nSET\r\n$" + std::to_string(key.size()) + "\r\n" + key + "\r\n$" +
             std::to_string(value.size()) + "\r\n",
         value);
    must(line() == "+OK", "SET failed");
  } else {
    send("set " + key + " 0 0 " + std::to_string(value.size()) + "\r\n", value);
    must(line() == "STORED", "set failed");
  }
}

std::span<const std::byte> Peer::get(const std::string& key, std::size_t bytes) {
  value_.resize(bytes);
  if (kind_ == Kind::redis) {
    send("*2\r\n$3\r\nGET\r\n$" + std::to_string(key.size()) + "\r\n" + key + "\r\n", {});
    must(line() == "$" + std::to_string(bytes), "GET found another value");
    read_exactly(value_.data(), bytes);
    line();
  } else {
    send("get " + key + "\r\n", {});
    must(line() == "VALUE " + key + " 0 " + std::to_string(bytes), "get found another value");
    read_exactly(value_.data(), bytes);
    line();
    must(line() == "END", "get did not end");
  }
  return value_;
}

}  // namespace pm::perf
