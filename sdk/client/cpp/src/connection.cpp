#include "connection.h"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>
#include <utility>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace pm::client::detail {
namespace {

constexpr const char* socket_below_runtime = "/payload-manager/payload-manager.sock";
// A host that restarts is found again within this time.
constexpr int reconnect_backoff_min_ms = 100;
constexpr int reconnect_backoff_max_ms = 1000;
constexpr std::uint32_t spin_us_max = 1000;
constexpr std::chrono::seconds give_back_time(1);

// Cheaper to ask than getpid(2), and no number comes twice.
std::atomic<unsigned> forks_so_far{0};

unsigned count_forks() {
  static const int registered = ::pthread_atfork(
      nullptr, nullptr, [] { forks_so_far.fetch_add(1, std::memory_order_relaxed); });
  static_cast<void>(registered);
  return forks_so_far.load(std::memory_order_relaxed);
}

// Where a host listens unless configured otherwise: one of this user's own, or the machine's.
std::string default_address() {
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");  // NOLINT(concurrency-mt-unsafe)
  if (runtime != nullptr && *runtime == '/') {
    const std::string socket = std::string(runtime) + socket_below_runtime;
    if (::access(socket.c_str(), F_OK) == 0) return "unix:" + socket;
  }
  return std::string("unix:/run") + socket_below_runtime;
}

Result<std::string> read_file(const std::string& path) {
  if (path.empty()) return std::string();
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (file) text << file.rdbuf();
  if (!file || !text) return Status(Code::invalid_argument, "cannot read TLS file " + path);
  return text.str();
}

Result<std::shared_ptr<grpc::ChannelCredentials>> credentials(const ConnectOptions& options) {
  if (options.tls_certificate_file.empty() != options.tls_key_file.empty()) {
    return Status(Code::invalid_argument,
                  "a TLS certificate and its key go together: give both or neither");
  }
  if (options.tls_ca_file.empty() && options.tls_key_file.empty()) {
    return grpc::InsecureChannelCredentials();
  }
  grpc::SslCredentialsOptions tls;
  for (const auto& [path, text] : {std::pair(&options.tls_ca_file, &tls.pem_root_certs),
                                   std::pair(&options.tls_certificate_file, &tls.pem_cert_chain),
                                   std::pair(&options.tls_key_file, &tls.pem_private_key)}) {
    auto content = read_file(*path);
    if (!content) return content.status();
    *text = *std::move(content);
  }
  return grpc::SslCredentials(tls);
}

}  // namespace

Status status_from(const grpc::Status& status) {
  if (status.ok()) return {};
  google::rpc::Status details;
  if (!details.ParseFromString(status.error_details())) details.Clear();
  details.set_code(status.error_code());
  details.set_message(status.error_message());
  return status_from(details);
}

Status status_from(const google::rpc::Status& status) {
  if (status.code() == 0) return {};
  std::string reason;
  google::rpc::ErrorInfo info;
  for (const google::protobuf::Any& detail : status.details()) {
    if (detail.UnpackTo(&info)) reason = info.reason();
  }
  const bool is_known = status.code() > 0 && status.code() <= 16;
  const Code code = is_known ? static_cast<Code>(status.code()) : Code::internal;
  return {code, status.message(), std::move(reason)};
}

Result<std::shared_ptr<Connection>> Connection::make(std::string address, ConnectOptions options) {
  if (address.empty()) {
    const char* named = std::getenv("PM_ADDRESS");  // NOLINT(concurrency-mt-unsafe)
    address = named != nullptr && *named != '\0' ? named : default_address();
  }
  auto chosen = credentials(options);
  if (!chosen) return chosen.status();
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, reconnect_backoff_min_ms);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, reconnect_backoff_max_ms);
  // Each client has a connection of its own, so that one does not wait for another's backoff.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  auto channel = grpc::CreateCustomChannel(address, *chosen, arguments);
  auto connection = std::make_unique<Connection>(std::move(address), std::move(options), channel);
  // A forked child has only a copy of it, which it must leave as it is.
  return std::shared_ptr<Connection>(connection.release(), [](Connection* made) {
    if (!made->is_forked()) delete made;
  });
}

Connection::Connection(std::string address, ConnectOptions options,
                       const std::shared_ptr<grpc::Channel>& channel)
    : address_(std::move(address)),
      options_(std::move(options)),
      forks_(count_forks()),
      catalog_(payload::manager::services::v1::PayloadCatalogService::NewStub(channel)),
      data_(payload::manager::services::v1::PayloadDataService::NewStub(channel)),
      admin_(payload::manager::services::v1::PayloadAdminService::NewStub(channel)),
      raw_(channel) {}

Connection::~Connection() {
  static_cast<void>(guarded([&]() -> Status {
    // One deadline for all: a host that does not answer must not hold up who wants to end.
    const auto deadline = std::chrono::system_clock::now() + give_back_time;
    for (const PayloadId& id : grants_.take_all()) {
      payload::manager::catalog::v1::DeleteRequest request;
      request.mutable_id()->set_value(id.bytes.data(), id.bytes.size());
      google::protobuf::Empty reply;
      grpc::ClientContext context;
      context.set_deadline(deadline);
      static_cast<void>(catalog_->Delete(&context, request, &reply));
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

Status Connection::call_raw(const std::string& method, const grpc::ByteBuffer& request,
                            grpc::ByteBuffer* reply) {
  if (is_forked()) return forked();
  grpc::ClientContext context;
  if (options_.deadline_ms != 0) {
    context.set_deadline(std::chrono::system_clock::now() + deadline());
  }
  grpc::CompletionQueue queue;
  grpc::Status status;
  const auto call = raw_.PrepareUnaryCall(&context, method, request, &queue);
  call->StartCall();
  call->Finish(reply, &status, nullptr);
  wait_for_event(queue);
  return status_from(status);
}

void Connection::wait_for_event(grpc::CompletionQueue& queue) const {
  void* tag = nullptr;
  bool ok = false;
  if (options_.spin_us != 0) {
    const auto spin = std::chrono::microseconds(std::min(options_.spin_us, spin_us_max));
    const auto end = std::chrono::steady_clock::now() + spin;
    do {
      const auto now = gpr_time_0(GPR_CLOCK_MONOTONIC);
      if (queue.AsyncNext(&tag, &ok, now) == grpc::CompletionQueue::GOT_EVENT) return;
      // Whoever waits for this processor may be the one who makes the answer.
      std::this_thread::yield();
    } while (std::chrono::steady_clock::now() < end);
  }
  queue.Next(&tag, &ok);
}

std::chrono::milliseconds Connection::deadline() const noexcept {
  // Ten years: longer ones overflow what the clock counts.
  constexpr std::uint64_t deadline_ms_max = 10ULL * 365 * 24 * 3600 * 1000;
  return std::chrono::milliseconds(std::min(options_.deadline_ms, deadline_ms_max));
}

}  // namespace pm::client::detail
