#include "connection.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "fork.h"
#include "methods.h"
#include "payload/manager/catalog/v1/catalog.pb.h"

namespace pm::client::detail {
namespace {

constexpr const char* socket_below_runtime = "/payload-manager/payload-manager.sock";
constexpr std::string_view local_prefix = "local:";
constexpr std::chrono::seconds give_back_time(1);

// Where a host listens unless configured otherwise: one of this user's own, or the machine's.
std::string default_address() {
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");  // NOLINT(concurrency-mt-unsafe)
  if (runtime != nullptr && *runtime == '/') {
    const std::string socket = std::string(runtime) + socket_below_runtime;
    if (::access(socket.c_str(), F_OK) == 0) return "unix:" + socket;
  }
  return std::string("unix:/run") + socket_below_runtime;
}

Result<std::unique_ptr<Transport>> make_transport(const std::string& address,
                                                  const ConnectOptions& options) {
  if (address.starts_with(local_prefix)) {
    return make_local_transport(address.substr(local_prefix.size()), options);
  }
  return make_grpc_transport(address, options);
}

}  // namespace

Result<std::shared_ptr<Connection>> Connection::make(std::string address, ConnectOptions options) {
  if (address.empty()) {
    const char* named = std::getenv("PM_ADDRESS");  // NOLINT(concurrency-mt-unsafe)
    address = named != nullptr && *named != '\0' ? named : default_address();
  }
  auto transport = make_transport(address, options);
  if (!transport) return transport.status();
  auto connection =
      std::make_unique<Connection>(std::move(address), options.deadline_ms, *std::move(transport));
  // A forked child has only a copy of it, which it must leave as it is.
  return std::shared_ptr<Connection>(connection.release(), [](Connection* made) {
    if (!made->is_forked()) delete made;
  });
}

Connection::Connection(std::string address, std::uint64_t deadline_ms,
                       std::unique_ptr<Transport> transport)
    : address_(std::move(address)),
      deadline_ms_(deadline_ms),
      forks_(count_forks()),
      transport_(std::move(transport)) {}

Connection::~Connection() {
  if (transport_->has_sessions()) return;  // The host does it when the session ends.
  static_cast<void>(guarded([&]() -> Status {
    // One deadline for all: a host that does not answer must not hold up who wants to end.
    const Deadline deadline = Clock::now() + give_back_time;
    for (const PayloadId& id : grants_.take_all()) {
      payload::manager::catalog::v1::DeleteRequest request;
      request.mutable_id()->set_value(id.bytes.data(), id.bytes.size());
      static_cast<void>(transport_->call(method::erase, request.SerializeAsString(), deadline));
    }
    return {};
  }));
}

bool Connection::is_forked() const noexcept {
  return forks_ != forks_so_far.load(std::memory_order_relaxed);
}

Status Connection::forked() {
  return {Code::failed_precondition,
          "this client was made by the parent process; a forked child calls exec(2) and connects "
          "by itself",
          "FORKED"};
}

Result<std::string> Connection::call_raw(const std::string& method, const std::string& request) {
  if (is_forked()) return forked();
  return transport_->call(method, request, deadline());
}

Status Connection::call(const char* method, const google::protobuf::MessageLite& request,
                        google::protobuf::MessageLite* reply) {
  const auto bytes = call_raw(method, request.SerializeAsString());
  if (!bytes) return bytes.status();
  if (reply->ParseFromString(*bytes)) return {};
  return {Code::internal, std::string("the answer of ") + method + " cannot be read"};
}

Status Connection::post(const char* method, const google::protobuf::MessageLite& request) {
  if (is_forked()) return forked();
  return transport_->post(method, request.SerializeAsString(), deadline());
}

Status Connection::stream(const std::string& method, const std::string& request,
                          const Transport::Visit& visit) {
  if (is_forked()) return forked();
  return transport_->stream(method, request, visit);
}

Result<MappedBytes> Connection::map(const Descriptor& descriptor, std::uint64_t size_bytes,
                                    Access access, const HandleId& id) {
  if (!transport_->has_sessions()) return mapper_.map(descriptor, size_bytes, access);
  return mapper_.map(descriptor, size_bytes, access, [&] {
    return transport_->open(access == Access::write ? Handle::allocated : Handle::leased, id,
                            deadline());
  });
}

Deadline Connection::deadline() const noexcept {
  if (deadline_ms_ == 0) return Deadline::max();
  // Ten years: longer ones overflow what the clock counts.
  constexpr std::uint64_t deadline_ms_max = 10ULL * 365 * 24 * 3600 * 1000;
  return Clock::now() + std::chrono::milliseconds(std::min(deadline_ms_, deadline_ms_max));
}

}  // namespace pm::client::detail
