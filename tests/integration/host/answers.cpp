#include "answers.h"

#include <gtest/gtest.h>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace pm::integration {

namespace {

using Catalog = wire_services::PayloadCatalogService::Stub;
using Data = wire_services::PayloadDataService::Stub;

const char* code_name(int code) {
  static constexpr const char* names[] = {"OK",
                                          "CANCELLED",
                                          "UNKNOWN",
                                          "INVALID_ARGUMENT",
                                          "DEADLINE_EXCEEDED",
                                          "NOT_FOUND",
                                          "ALREADY_EXISTS",
                                          "PERMISSION_DENIED",
                                          "RESOURCE_EXHAUSTED",
                                          "FAILED_PRECONDITION",
                                          "ABORTED",
                                          "OUT_OF_RANGE",
                                          "UNIMPLEMENTED",
                                          "INTERNAL",
                                          "UNAVAILABLE",
                                          "DATA_LOSS",
                                          "UNAUTHENTICATED"};
  return code >= 0 && code < static_cast<int>(std::size(names)) ? names[code] : "NO SUCH CODE";
}

template <typename Response>
void take(Response& response, wire_core::PayloadDescriptor* descriptor) {
  if (descriptor != nullptr) *descriptor = std::move(*response.mutable_payload_descriptor());
}

}  // namespace

std::string answer_of(const grpc::Status& status) {
  google::rpc::Status details;
  if (!details.ParseFromString(status.error_details())) details.Clear();
  details.set_code(status.error_code());
  return answer_of(details);
}

std::string answer_of(const google::rpc::Status& details) {
  std::string answer = code_name(details.code());
  google::rpc::ErrorInfo info;
  google::rpc::RetryInfo retry;
  bool says_when = false;
  for (const google::protobuf::Any& detail : details.details()) {
    if (detail.UnpackTo(&info)) answer += " " + info.reason();
    says_when = detail.UnpackTo(&retry) || says_when;
  }
  // What may be tried again says when: a tier that is out of service is tried out once a second.
  const bool may_retry = details.code() == grpc::StatusCode::UNAVAILABLE ||
                         details.code() == grpc::StatusCode::ABORTED ||
                         details.code() == grpc::StatusCode::RESOURCE_EXHAUSTED;
  // Not of what is only told in the fields of a batch's result.
  EXPECT_TRUE(info.domain().empty() || says_when == may_retry) << answer;
  EXPECT_TRUE(info.reason() != "TIER_DEGRADED" || retry.retry_delay().seconds() >= 1);
  return answer;
}

wire_core::PayloadID id_of(const std::string& bytes) {
  wire_core::PayloadID id;
  id.set_value(bytes);
  return id;
}

void expect_ok(const grpc::Status& status) { EXPECT_EQ(answer_of(status), "OK"); }

Wire::Wire(const HostProcess& host) {
  const auto channel = host.channel();
  catalog = wire_services::PayloadCatalogService::NewStub(channel);
  data = wire_services::PayloadDataService::NewStub(channel);
  admin = wire_services::PayloadAdminService::NewStub(channel);
  stream = wire_services::PayloadStreamService::NewStub(channel);
}

grpc::Status Wire::allocate(const wire_catalog::AllocatePayloadRequest& request,
                            wire_core::PayloadDescriptor* descriptor) {
  wire_catalog::AllocatePayloadResponse response;
  grpc::Status status = call(catalog, &Catalog::AllocatePayload, request, &response);
  take(response, descriptor);
  return status;
}

grpc::Status Wire::commit(const wire_core::PayloadID& id, const std::string& request_id,
                          wire_core::PayloadDescriptor* descriptor) {
  wire_catalog::CommitPayloadRequest request;
  *request.mutable_id() = id;
  request.set_request_id(request_id);
  wire_catalog::CommitPayloadResponse response;
  grpc::Status status = call(catalog, &Catalog::CommitPayload, request, &response);
  take(response, descriptor);
  return status;
}

grpc::Status Wire::erase(const wire_core::PayloadID& id, bool force) {
  wire_catalog::DeleteRequest request;
  *request.mutable_id() = id;
  request.set_force(force);
  google::protobuf::Empty response;
  return call(catalog, &Catalog::Delete, request, &response);
}

grpc::Status Wire::resolve(const wire_core::PayloadID& id,
                           wire_core::PayloadDescriptor* descriptor) {
  wire_runtime::ResolveSnapshotRequest request;
  *request.mutable_id() = id;
  wire_runtime::ResolveSnapshotResponse response;
  grpc::Status status = call(data, &Data::ResolveSnapshot, request, &response);
  take(response, descriptor);
  return status;
}

grpc::Status Wire::lease(const wire_runtime::AcquireReadLeaseRequest& request,
                         wire_runtime::AcquireReadLeaseResponse* response) {
  wire_runtime::AcquireReadLeaseResponse unused;
  return call(data, &Data::AcquireReadLease, request, response != nullptr ? response : &unused);
}

grpc::Status Wire::release(const wire_core::LeaseID& id) {
  wire_runtime::ReleaseLeaseRequest request;
  *request.mutable_lease_id() = id;
  google::protobuf::Empty response;
  return call(data, &Data::ReleaseLease, request, &response);
}

grpc::Status Wire::promote(const wire_catalog::PromoteRequest& request,
                           wire_core::PayloadDescriptor* descriptor) {
  wire_catalog::PromoteResponse response;
  grpc::Status status = call(catalog, &Catalog::Promote, request, &response);
  take(response, descriptor);
  return status;
}

grpc::Status Wire::spill(const wire_catalog::SpillRequest& request) {
  wire_catalog::SpillResponse response;
  const grpc::Status status = call(catalog, &Catalog::Spill, request, &response);
  if (!status.ok()) return status;
  if (response.results_size() != 1) {
    return {grpc::StatusCode::UNKNOWN,
            "there are " + std::to_string(response.results_size()) + " results"};
  }
  const wire_catalog::SpillResult& result = response.results(0);
  if (result.ok() != (result.error_code() == 0)) {
    return {grpc::StatusCode::UNKNOWN, "ok and error_code contradict each other"};
  }
  google::rpc::ErrorInfo info;
  info.set_reason(result.error_reason());
  google::rpc::Status details;
  if (!result.ok()) details.add_details()->PackFrom(info);
  return {static_cast<grpc::StatusCode>(result.error_code()), result.error_message(),
          details.SerializeAsString()};
}

grpc::Status Wire::list(const wire_catalog::ListPayloadsRequest& request,
                        wire_catalog::ListPayloadsResponse* response) {
  wire_catalog::ListPayloadsResponse unused;
  return call(catalog, &Catalog::ListPayloads, request, response != nullptr ? response : &unused);
}

wire_core::PayloadID Wire::make(wire_core::Tier tier, bool committed,
                                const wire_core::EvictionPolicy& policy) {
  wire_catalog::AllocatePayloadRequest request;
  request.set_size_bytes(5'000);
  request.set_preferred_tier(tier);
  *request.mutable_eviction_policy() = policy;
  wire_core::PayloadDescriptor descriptor;
  EXPECT_EQ(answer_of(allocate(request, &descriptor)), "OK");
  if (committed) {
    EXPECT_EQ(answer_of(commit(descriptor.payload_id())), "OK");
  }
  return descriptor.payload_id();
}

}  // namespace pm::integration
