#include "stream_target.h"

#include <stdexcept>

#include "payload/manager/services/v1/catalog_service.grpc.pb.h"
#include "payload/manager/services/v1/stream_service.grpc.pb.h"

namespace pm::perf {

namespace {

namespace services = payload::manager::services::v1;
namespace catalog = payload::manager::catalog::v1;
namespace runtime = payload::manager::runtime::v1;

constexpr std::uint64_t second_ns = 1'000'000'000;

void must_be_ok(const grpc::Status& status, const char* doing) {
  if (!status.ok()) throw std::runtime_error(std::string(doing) + ": " + status.error_message());
}

std::string put_payload(const std::shared_ptr<grpc::Channel>& channel) {
  const auto stub = services::PayloadCatalogService::NewStub(channel);
  catalog::AllocatePayloadRequest allocate;
  allocate.set_size_bytes(4096);
  allocate.set_preferred_tier(payload::manager::core::v1::TIER_RAM);
  catalog::AllocatePayloadResponse allocated;
  grpc::ClientContext allocating;
  must_be_ok(stub->AllocatePayload(&allocating, allocate, &allocated), "AllocatePayload");
  catalog::CommitPayloadRequest commit;
  *commit.mutable_id() = allocated.payload_descriptor().payload_id();
  catalog::CommitPayloadResponse committed;
  grpc::ClientContext committing;
  must_be_ok(stub->CommitPayload(&committing, commit, &committed), "CommitPayload");
  return commit.id().value();
}

}  // namespace

FanoutTarget make_stream(const std::string& address, const std::string& name) {
  const auto channel = grpc::CreateChannel(address, grpc::InsecureChannelCredentials());
  const auto stub = services::PayloadStreamService::NewStub(channel);
  runtime::CreateStreamRequest create;
  create.mutable_stream()->set_name(name);
  google::protobuf::Empty empty;
  grpc::ClientContext creating;
  must_be_ok(stub->CreateStream(&creating, create, &empty), "CreateStream");
  const std::string payload = put_payload(channel);
  const std::string service = "/payload.manager.services.v1.PayloadStreamService/";
  FanoutTarget target;
  target.address = address;
  target.publish_method = service + "Append";
  target.publish_request = [payload, name](std::uint64_t sent_ns) {
    runtime::AppendRequest append;
    append.mutable_stream()->set_name(name);
    auto& item = *append.add_items();
    item.mutable_payload_id()->set_value(payload);
    item.mutable_event_time()->set_seconds(static_cast<std::int64_t>(sent_ns / second_ns));
    item.mutable_event_time()->set_nanos(static_cast<std::int32_t>(sent_ns % second_ns));
    return append.SerializeAsString();
  };
  target.published_offset = [](const std::string& response) {
    runtime::AppendResponse appended;
    appended.ParseFromString(response);
    return appended.last_offset();
  };
  target.subscribe_method = service + "Subscribe";
  runtime::SubscribeRequest subscribe;
  subscribe.mutable_stream()->set_name(name);
  subscribe.set_from_latest(true);
  target.subscribe_request = subscribe.SerializeAsString();
  target.read_message = [](const std::string& message, std::uint64_t& offset,
                           std::uint64_t& sent_ns) {
    runtime::SubscribeResponse response;
    response.ParseFromString(message);
    offset = response.entry().offset();
    sent_ns = static_cast<std::uint64_t>(response.entry().event_time().seconds()) * second_ns +
              static_cast<std::uint64_t>(response.entry().event_time().nanos());
  };
  return target;
}

}  // namespace pm::perf
