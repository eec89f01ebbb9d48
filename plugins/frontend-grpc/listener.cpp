#include "listener.h"

#include <grpc/grpc_security.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

namespace pm::frontend {
namespace {

struct CredentialsRelease {
  void operator()(grpc_server_credentials* credentials) const {
    grpc_server_credentials_release(credentials);
  }
};
using Credentials = std::unique_ptr<grpc_server_credentials, CredentialsRelease>;

Result<std::string> read_file(const char* key, const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  if (!file || !(content << file.rdbuf())) {
    return Status(Code::failed_precondition,
                  std::string(key) + ": cannot read " + path + ": " + std::strerror(errno));
  }
  return content.str();
}

Result<Credentials> make_credentials(const TlsFiles& tls) {
  if (!tls.configured()) return Credentials(grpc_insecure_server_credentials_create());
  const auto certificate = read_file("tls.certificate", tls.certificate);
  if (!certificate.ok()) return certificate.status();
  const auto key = read_file("tls.key", tls.key);
  if (!key.ok()) return key.status();
  Result<std::string> client_ca = std::string();
  if (!tls.client_ca.empty()) client_ca = read_file("tls.client_ca", tls.client_ca);
  if (!client_ca.ok()) return client_ca.status();
  const grpc_ssl_pem_key_cert_pair pair{key->c_str(), certificate->c_str()};
  auto* config = grpc_ssl_server_certificate_config_create(
      tls.client_ca.empty() ? nullptr : client_ca->c_str(), &pair, 1);
  auto* options = grpc_ssl_server_credentials_create_options_using_config(
      tls.client_ca.empty() ? GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE
                            : GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY,
      config);
  auto* made = grpc_ssl_server_credentials_create_with_options(options);
  if (made == nullptr) {
    return Status(Code::failed_precondition, "tls: gRPC refuses the certificate or the key");
  }
  return Credentials(made);
}

// gRPC says only that it failed; trying once more tells why. Empty: it would work, so the address
// is not what it failed on.
std::string why_not_bind(const Address& address) {
  std::string host = address.host;
  if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const int rc = getaddrinfo(host.c_str(), std::to_string(address.port).c_str(), &hints, &found);
  if (rc != 0) return gai_strerror(rc);
  std::string reason;
  const int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  if (fd >= 0) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (fd < 0 || bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, 1) != 0) {
    reason = std::strerror(errno);
  }
  if (fd >= 0) ::close(fd);
  freeaddrinfo(found);
  return reason;
}

}  // namespace

Status Listeners::open(grpc_server* server, const Configuration& configuration) {
  for (const auto& address : configuration.listen) {
    PM_TRY(address.is_unix ? open_unix(server, address.path)
                           : open_tcp(server, address, configuration.tls));
  }
  return {};
}

Status Listeners::open_unix(grpc_server* server, const std::string& path) {
  auto reserved = sdk::UnixSocket::reserve(path);
  if (!reserved.ok()) return reserved.status();
  const Credentials credentials(grpc_insecure_server_credentials_create());
  const std::string target = "unix:" + (*reserved)->bind_path();
  if (grpc_server_add_http2_port(server, target.c_str(), credentials.get()) == 0) {
    return {Code::unavailable, "cannot listen at unix:" + path};
  }
  // Published at once: the lock on the directory is held no longer than it takes to bind.
  PM_TRY((*reserved)->publish());
  sockets_.push_back(std::move(*reserved));
  addresses_.push_back("unix:" + path);
  return {};
}

Status Listeners::open_tcp(grpc_server* server, const Address& address, const TlsFiles& tls) {
  const auto credentials = make_credentials(tls);
  if (!credentials.ok()) return credentials.status();
  const std::string target = address.host + ":" + std::to_string(address.port);
  const int port = grpc_server_add_http2_port(server, target.c_str(), credentials->get());
  if (port == 0) {
    const std::string reason = why_not_bind(address);
    if (!reason.empty()) return {Code::unavailable, "cannot listen on " + target + ": " + reason};
    return {Code::failed_precondition, "cannot listen on " + target +
                                           ": check that tls.certificate, tls.key and " +
                                           "tls.client_ca are PEM and belong together"};
  }
  addresses_.push_back(address.host + ":" + std::to_string(port));
  return {};
}

}  // namespace pm::frontend
