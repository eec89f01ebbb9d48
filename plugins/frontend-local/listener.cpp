#include "listener.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

namespace pm::frontend_local {
namespace {

using boost::asio::local::stream_protocol;

constexpr int clients_per_turn = 64;
// Until a process that has no descriptors left tries again.
constexpr auto pause_time = std::chrono::milliseconds(100);

}  // namespace

Listener::Listener(boost::asio::io_context& loop, Service& service, const std::string& path,
                   OnClient on_client)
    : service_(service),
      address_("unix:" + path),
      on_client_(std::move(on_client)),
      acceptor_(loop),
      timer_(loop) {}

Result<std::unique_ptr<Listener>> Listener::open(boost::asio::io_context& loop, Service& service,
                                                 const std::string& path, mode_t mode,
                                                 OnClient on_client) {
  std::unique_ptr<Listener> listener(new Listener(loop, service, path, std::move(on_client)));
  PM_TRY(listener->bind(path, mode));
  return listener;
}

Status Listener::bind(const std::string& path, mode_t mode) {
  auto reserved = sdk::UnixSocket::reserve(path);
  if (!reserved.ok()) return reserved.status();
  const auto failed = [&path](const char* what) {
    return Status(Code::unavailable,
                  "cannot " + std::string(what) + " unix:" + path + ": " + std::strerror(errno));
  };
  // Made here and not by Asio, whose sockets would be inherited by programs that the host starts.
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return failed("make a socket for");
  acceptor_.assign(stream_protocol(), fd);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  (*reserved)->bind_path().copy(address.sun_path, sizeof address.sun_path - 1);
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return failed("bind");
  }
  if (::listen(fd, SOMAXCONN) != 0) return failed("listen at");
  PM_TRY((*reserved)->publish(mode));
  place_ = std::move(*reserved);
  return {};
}

void Listener::accept() {
  acceptor_.async_wait(stream_protocol::acceptor::wait_read, [this](const auto& error) {
    if (!error) take_clients();
  });
}

void Listener::take_clients() {
  if (!acceptor_.is_open()) return;
  for (int i = 0; i < clients_per_turn; ++i) {
    const int fd =
        ::accept4(acceptor_.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
      on_client_(fd);
    } else if (errno == EAGAIN) {
      break;
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      service_.log.warn("cannot accept a client at " + address_ + ": " + std::strerror(errno));
      return pause();
    }
  }
  accept();
}

void Listener::pause() {
  timer_.expires_after(pause_time);
  timer_.async_wait([this](const auto& error) {
    if (!error && acceptor_.is_open()) accept();
  });
}

void Listener::close() {
  boost::system::error_code ignored;
  acceptor_.close(ignored);
  timer_.cancel();
}

}  // namespace pm::frontend_local
