#pragma once

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <memory>
#include <new>
#include <string>

#include "google/rpc/status.pb.h"
#include "grants.h"
#include "mapping.h"
#include "payload/manager/services/v1/admin_service.grpc.pb.h"
#include "payload/manager/services/v1/catalog_service.grpc.pb.h"
#include "payload/manager/services/v1/data_service.grpc.pb.h"
#include "pm/client/client.h"

namespace pm::client::detail {

// The code, the words, and the reason of the google.rpc.ErrorInfo among the details.
Status status_from(const grpc::Status& status);
Status status_from(const google::rpc::Status& status);

// The channel, its stubs and the mappings. Shared by a Client and all that it hands out.
class Connection {
 public:
  static Result<std::shared_ptr<Connection>> make(std::string address, ConnectOptions options);
  Connection(std::string address, ConnectOptions options,
             const std::shared_ptr<grpc::Channel>& channel);
  // Gives back what was granted ahead.
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  const std::string& address() const noexcept { return address_; }
  Mapper& mapper() noexcept { return mapper_; }
  auto& catalog() noexcept { return *catalog_; }
  auto& data() noexcept { return *data_; }
  auto& admin() noexcept { return *admin_; }
  Grants& grants() noexcept { return grants_; }

  // Begins a call of a stub; the stubs' members named Async... are of this type.
  template <typename Stub, typename Request, typename Reply>
  using Begin = std::unique_ptr<grpc::ClientAsyncResponseReader<Reply>> (Stub::*)(
      grpc::ClientContext*, const Request&, grpc::CompletionQueue*);

  // Whether this is another process than the one that made it. Nothing of gRPC may be touched then:
  // its threads are not here, and its locks may be held for ever.
  bool is_forked() const noexcept;

  // Calls a method of `stub` with the deadline of the options, and waits for the answer.
  template <typename Stub, typename Request, typename Reply>
  Status call(Stub& stub, Begin<Stub, Request, Reply> begin, const Request& request, Reply* reply) {
    if (is_forked()) return forked();
    grpc::ClientContext context;
    if (options_.deadline_ms != 0) {
      context.set_deadline(std::chrono::system_clock::now() + deadline());
    }
    grpc::CompletionQueue queue;
    grpc::Status status;
    (stub.*begin)(&context, request, &queue)->Finish(reply, &status, nullptr);
    wait_for_event(queue);
    return status_from(status);
  }
  Status call_raw(const std::string& method, const grpc::ByteBuffer& request,
                  grpc::ByteBuffer* reply);
  grpc::GenericStub& raw() noexcept { return raw_; }
  static Status forked();

 private:
  // Looks for it for the options' spin_us, then sleeps.
  void wait_for_event(grpc::CompletionQueue& queue) const;
  std::chrono::milliseconds deadline() const noexcept;

  const std::string address_;
  const ConnectOptions options_;
  const unsigned forks_;  // Of this process and its parents, when it was made.
  using CatalogStub = payload::manager::services::v1::PayloadCatalogService::Stub;
  using DataStub = payload::manager::services::v1::PayloadDataService::Stub;
  using AdminStub = payload::manager::services::v1::PayloadAdminService::Stub;
  const std::unique_ptr<CatalogStub> catalog_;
  const std::unique_ptr<DataStub> data_;
  const std::unique_ptr<AdminStub> admin_;
  grpc::GenericStub raw_;
  Mapper mapper_;
  Grants grants_;
};

// Runs `body`; what the libraries below throw becomes a Status.
template <typename Body>
auto guarded(Body&& body) noexcept -> decltype(body()) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return Status(Code::resource_exhausted, "no memory");
  } catch (const std::exception& error) {
    return Status(Code::internal, error.what());
  } catch (...) {
    return Status(Code::internal, "a library threw");
  }
}

}  // namespace pm::client::detail
