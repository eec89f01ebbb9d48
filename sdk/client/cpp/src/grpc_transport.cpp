// The contract over gRPC.

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <thread>
#include <utility>
#include <vector>

#include "status.h"
#include "transport.h"

namespace pm::client::detail {
namespace {

// A host that restarts is found again within this time.
constexpr int reconnect_backoff_min_ms = 100;
constexpr int reconnect_backoff_max_ms = 1000;
constexpr std::uint32_t spin_us_max = 1000;

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

Status status_of(const grpc::Status& status) {
  return status_from(status.error_code(), status.error_message(), status.error_details());
}

grpc::ByteBuffer buffer_of(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return {&slice, 1};
}

Result<std::string> bytes_of(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  if (!buffer.Dump(&slices).ok()) return Status(Code::internal, "an answer that cannot be read");
  std::string bytes;
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

// A streaming call whose steps are waited for one at a time.
class StreamReader {
 public:
  StreamReader(grpc::GenericStub& stub, const std::string& method)
      : call_(stub.PrepareCall(&context_, method, &queue_)) {}
  ~StreamReader() {
    if (!finished_) {
      context_.TryCancel();
      static_cast<void>(finish());
    }
    queue_.Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) {
    }
  }
  StreamReader(const StreamReader&) = delete;
  StreamReader& operator=(const StreamReader&) = delete;

  bool send(const std::string& request) {
    call_->StartCall(nullptr);
    if (!step()) return false;
    call_->WriteLast(buffer_of(request), grpc::WriteOptions(), nullptr);
    return step();
  }
  bool read(grpc::ByteBuffer* reply) {
    call_->Read(reply, nullptr);
    return step();
  }
  Status finish() {
    finished_ = true;
    grpc::Status status;
    call_->Finish(&status, nullptr);
    step();
    return status_of(status);
  }

 private:
  bool step() {
    void* tag = nullptr;
    bool ok = false;
    return queue_.Next(&tag, &ok) && ok;
  }

  grpc::ClientContext context_;
  grpc::CompletionQueue queue_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> call_;
  bool finished_ = false;
};

class GrpcTransport final : public Transport {
 public:
  GrpcTransport(const std::shared_ptr<grpc::Channel>& channel, std::uint32_t spin_us)
      : spin_us_(std::min(spin_us, spin_us_max)), stub_(channel) {}

  Result<std::string> call(const std::string& method, const std::string& request,
                           Deadline deadline) override {
    grpc::ClientContext context;
    if (deadline != Deadline::max()) {
      context.set_deadline(
          std::chrono::system_clock::now() +
          std::chrono::duration_cast<std::chrono::system_clock::duration>(deadline - Clock::now()));
    }
    grpc::CompletionQueue queue;
    grpc::Status status;
    grpc::ByteBuffer reply;
    const auto call = stub_.PrepareUnaryCall(&context, method, buffer_of(request), &queue);
    call->StartCall();
    call->Finish(&reply, &status, nullptr);
    wait_for_event(queue);
    if (!status.ok()) return status_of(status);
    return bytes_of(reply);
  }

  Status stream(const std::string& method, const std::string& request,
                const Visit& visit) override {
    StreamReader reader(stub_, method);
    if (!reader.send(request)) return reader.finish();
    grpc::ByteBuffer reply;
    while (reader.read(&reply)) {
      const auto bytes = bytes_of(reply);
      if (!bytes) return bytes.status();
      if (!visit(*bytes)) return {};
    }
    return reader.finish();
  }

 private:
  // Looks for it for the options' spin_us, then sleeps.
  void wait_for_event(grpc::CompletionQueue& queue) const {
    void* tag = nullptr;
    bool ok = false;
    if (spin_us_ != 0) {
      const auto end = Clock::now() + std::chrono::microseconds(spin_us_);
      do {
        const auto now = gpr_time_0(GPR_CLOCK_MONOTONIC);
        if (queue.AsyncNext(&tag, &ok, now) == grpc::CompletionQueue::GOT_EVENT) return;
        // Whoever waits for this processor may be the one who makes the answer.
        std::this_thread::yield();
      } while (Clock::now() < end);
    }
    queue.Next(&tag, &ok);
  }

  const std::uint32_t spin_us_;
  grpc::GenericStub stub_;
};

}  // namespace

Result<std::unique_ptr<Transport>> make_grpc_transport(const std::string& address,
                                                       const ConnectOptions& options) {
  auto chosen = credentials(options);
  if (!chosen) return chosen.status();
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, reconnect_backoff_min_ms);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, reconnect_backoff_max_ms);
  // Each client has a connection of its own, so that one does not wait for another's backoff.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  const auto channel = grpc::CreateCustomChannel(address, *chosen, arguments);
  std::unique_ptr<Transport> made = std::make_unique<GrpcTransport>(channel, options.spin_us);
  return made;
}

}  // namespace pm::client::detail
