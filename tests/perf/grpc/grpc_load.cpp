#include "grpc_load.h"

#include "report.h"

namespace pm::perf {

namespace {

void must_be_ok(const grpc::Status& status, const char* method) {
  if (!status.ok()) throw Failure(std::string(method) + ": " + status.error_message());
}

}  // namespace

Stubs::Stubs(const std::string& address) {
  const auto channel = grpc::CreateChannel(address, grpc::InsecureChannelCredentials());
  must(channel->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(10)),
       "no server answers at " + address);
  catalog_ = services::PayloadCatalogService::NewStub(channel);
  data_ = services::PayloadDataService::NewStub(channel);
}

std::string Stubs::allocate(std::uint64_t bytes, wire::MemoryLayout layout, Tier tier) const {
  grpc::ClientContext context;
  wire::AllocatePayloadRequest request;
  request.set_size_bytes(bytes);
  request.set_preferred_tier(tier);
  request.set_layout(layout);
  // A time to live, as most payloads have.
  request.set_ttl_ms(24ULL * 3600 * 1000);
  wire::AllocatePayloadResponse response;
  must_be_ok(catalog_->AllocatePayload(&context, request, &response), "AllocatePayload");
  return response.payload_descriptor().payload_id().value();
}

void Stubs::commit(const std::string& id) const {
  grpc::ClientContext context;
  wire::CommitPayloadRequest request;
  request.mutable_id()->set_value(id);
  wire::CommitPayloadResponse response;
  must_be_ok(catalog_->CommitPayload(&context, request, &response), "CommitPayload");
}

runtime::AcquireReadLeaseRequest Stubs::lease_request(const std::string& payload) {
  runtime::AcquireReadLeaseRequest request;
  request.mutable_id()->set_value(payload);
  return request;
}

runtime::ReleaseLeaseRequest Stubs::release_request(const std::string& lease) {
  runtime::ReleaseLeaseRequest request;
  request.mutable_lease_id()->set_value(lease);
  return request;
}

runtime::AcquireReadLeaseResponse Stubs::lease(
    const runtime::AcquireReadLeaseRequest& request) const {
  grpc::ClientContext context;
  runtime::AcquireReadLeaseResponse response;
  must_be_ok(data_->AcquireReadLease(&context, request, &response), "AcquireReadLease");
  return response;
}

std::string Stubs::lease(const std::string& payload) const {
  return lease(lease_request(payload)).lease_id().value();
}

void Stubs::release(const std::string& lease) const {
  grpc::ClientContext context;
  google::protobuf::Empty response;
  must_be_ok(data_->ReleaseLease(&context, release_request(lease), &response), "ReleaseLease");
}

void Stubs::erase(const std::string& id) const {
  grpc::ClientContext context;
  wire::DeleteRequest request;
  request.mutable_id()->set_value(id);
  google::protobuf::Empty response;
  must_be_ok(catalog_->Delete(&context, request, &response), "Delete");
}

}  // namespace pm::perf
