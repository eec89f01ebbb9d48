#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <pm/cpp/result.hpp>
#include <pm/cpp/unix_socket.hpp>
#include <string>

#include "service.h"

namespace pm::frontend_local {

// One address: the socket's place in the file system, and who comes in there.
class Listener {
 public:
  // Gets each client's socket, which is its own from then on; on the loop's thread.
  using OnClient = std::function<void(int fd)>;

  // Clients that connect from now on wait until accept(). UNAVAILABLE: the address is taken.
  static Result<std::unique_ptr<Listener>> open(boost::asio::io_context& loop, Service& service,
                                                const std::string& path, mode_t mode,
                                                OnClient on_client);

  // On the loop's thread, or before it runs.
  void accept();
  void close();

  // As a client would be given it.
  const std::string& address() const { return address_; }

 private:
  Listener(boost::asio::io_context& loop, Service& service, const std::string& path,
           OnClient on_client);
  Status bind(const std::string& path, mode_t mode);
  void take_clients();
  void pause();

  Service& service_;
  const std::string address_;
  const OnClient on_client_;
  std::unique_ptr<sdk::UnixSocket> place_;
  boost::asio::local::stream_protocol::acceptor acceptor_;
  boost::asio::steady_timer timer_;
};

}  // namespace pm::frontend_local
