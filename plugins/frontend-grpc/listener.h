#pragma once

#include <grpc/grpc.h>

#include <memory>
#include <pm/cpp/result.hpp>
#include <pm/cpp/unix_socket.hpp>
#include <string>
#include <vector>

#include "configuration.h"

namespace pm::frontend {

// The addresses of one server: sockets, permissions, certificates.
class Listeners {
 public:
  // Binds every address. Clients that connect from now on wait until the server starts.
  // UNAVAILABLE: one is taken.
  Status open(grpc_server* server, const Configuration& configuration);

  // Removes the Unix sockets.
  void close() { sockets_.clear(); }

  // As a client would be given them.
  const std::vector<std::string>& addresses() const { return addresses_; }

 private:
  Status open_unix(grpc_server* server, const std::string& path);
  Status open_tcp(grpc_server* server, const Address& address, const TlsFiles& tls);

  std::vector<std::unique_ptr<sdk::UnixSocket>> sockets_;
  std::vector<std::string> addresses_;
};

}  // namespace pm::frontend
