#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "google/rpc/status.pb.h"
#include "host_process.h"
#include "payload/manager/services/v1/admin_service.grpc.pb.h"
#include "payload/manager/services/v1/catalog_service.grpc.pb.h"
#include "payload/manager/services/v1/data_service.grpc.pb.h"
#include "payload/manager/services/v1/stream_service.grpc.pb.h"

// The wire itself, by generated stubs: every field can be set, also to what no client would send.

namespace pm::integration {

namespace wire_core = payload::manager::core::v1;
namespace wire_catalog = payload::manager::catalog::v1;
namespace wire_runtime = payload::manager::runtime::v1;
namespace wire_services = payload::manager::services::v1;

// "OK", "ABORTED PAYLOAD_LEASED": a status code and the reason of its ErrorInfo.
std::string answer_of(const grpc::Status& status);
// The same of an item's outcome.
std::string answer_of(const google::rpc::Status& details);

// The test fails when the call was refused.
void expect_ok(const grpc::Status& status);

class Wire {
 public:
  explicit Wire(const HostProcess& host);

  // Calls a method of a stub with a deadline of 20 s.
  template <typename Stub, typename Method, typename Request, typename Response>
  grpc::Status call(const std::unique_ptr<Stub>& stub, Method method, const Request& request,
                    Response* response) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    return (stub.get()->*method)(&context, request, response);
  }

  // Calls a method that must be answered with OK.
  template <typename Stub, typename Request, typename Response>
  Response ask(const std::unique_ptr<Stub>& stub,
               grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
               const Request& request = {}) {
    Response response;
    expect_ok(call(stub, method, request, &response));
    return response;
  }

  grpc::Status allocate(const wire_catalog::AllocatePayloadRequest& request,
                        wire_core::PayloadDescriptor* descriptor = nullptr);
  grpc::Status commit(const wire_core::PayloadID& id, const std::string& request_id = {},
                      wire_core::PayloadDescriptor* descriptor = nullptr);
  grpc::Status erase(const wire_core::PayloadID& id, bool force = false);
  grpc::Status resolve(const wire_core::PayloadID& id,
                       wire_core::PayloadDescriptor* descriptor = nullptr);
  grpc::Status lease(const wire_runtime::AcquireReadLeaseRequest& request,
                     wire_runtime::AcquireReadLeaseResponse* response = nullptr);
  grpc::Status release(const wire_core::LeaseID& id);
  grpc::Status promote(const wire_catalog::PromoteRequest& request,
                       wire_core::PayloadDescriptor* descriptor = nullptr);
  // The outcome of the only payload, or the call's own failure.
  grpc::Status spill(const wire_catalog::SpillRequest& request);
  grpc::Status list(const wire_catalog::ListPayloadsRequest& request,
                    wire_catalog::ListPayloadsResponse* response = nullptr);

  // Allocates and, for `committed`, commits; the test fails when that is refused.
  wire_core::PayloadID make(wire_core::Tier tier, bool committed = true,
                            const wire_core::EvictionPolicy& policy = {});

  std::unique_ptr<wire_services::PayloadCatalogService::Stub> catalog;
  std::unique_ptr<wire_services::PayloadDataService::Stub> data;
  std::unique_ptr<wire_services::PayloadAdminService::Stub> admin;
  std::unique_ptr<wire_services::PayloadStreamService::Stub> stream;
};

wire_core::PayloadID id_of(const std::string& bytes);

}  // namespace pm::integration
