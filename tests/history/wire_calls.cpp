#include "wire_calls.h"

#include "payload/manager/services/v1/catalog_service.pb.h"
#include "payload/manager/services/v1/data_service.pb.h"
#include "payload/manager/services/v1/stream_service.pb.h"

namespace pm::history {

namespace wire = payload::manager::catalog::v1;
namespace core = payload::manager::core::v1;
namespace runtime = payload::manager::runtime::v1;

namespace {

constexpr char catalog[] = "Catalog";
constexpr char data[] = "Data";
constexpr char streams[] = "Stream";

template <typename Reply>
Status call(client::Client& client, const char* service, const char* method,
            const google::protobuf::MessageLite& request, Reply& reply) {
  const auto answer = client.call(
      std::string("/payload.manager.services.v1.Payload") + service + "Service/" + method,
      request.SerializeAsString());
  if (!answer) return answer.status();
  if (!reply.ParseFromString(*answer)) return {Code::internal, "a reply that is no message"};
  return {};
}

template <typename Kind>
std::string bytes_of(const client::Id<Kind>& id) {
  return {reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()};
}

}  // namespace

Status call_pin(client::Client& client, Operation& operation, const client::PayloadId& id) {
  google::protobuf::Empty reply;
  if (operation.kind == Kind::unpin) {
    wire::UnpinRequest request;
    request.mutable_id()->set_value(bytes_of(id));
    request.set_request_id(operation.request);
    return call(client, catalog, "Unpin", request, reply);
  }
  wire::PinRequest request;
  request.mutable_id()->set_value(bytes_of(id));
  request.set_request_id(operation.request);
  return call(client, catalog, "Pin", request, reply);
}

Status call_abort(client::Client& client, Operation& operation, const client::PayloadId& id) {
  wire::AbortAllocationRequest request;
  request.mutable_id()->set_value(bytes_of(id));
  request.set_request_id(operation.request);
  google::protobuf::Empty reply;
  return call(client, catalog, "AbortAllocation", request, reply);
}

Status call_labels(client::Client& client, Operation& operation, const client::PayloadId& id) {
  wire::UpdateLabelsRequest request;
  request.mutable_id()->set_value(bytes_of(id));
  request.set_request_id(operation.request);
  for (const auto& [key, value] : operation.asked.set) (*request.mutable_set())[key] = value;
  for (const std::string& key : operation.asked.remove) request.add_remove(key);
  wire::UpdateLabelsResponse reply;
  const Status status = call(client, catalog, "UpdateLabels", request, reply);
  operation.seen.labels.insert(reply.labels().begin(), reply.labels().end());
  operation.seen.revision = reply.version();
  return status;
}

Status call_metadata(client::Client& client, Operation& operation, const client::PayloadId& id) {
  const Asked& asked = operation.asked;
  Seen& seen = operation.seen;
  if (operation.kind == Kind::add_event) {
    wire::AppendPayloadMetadataEventRequest request;
    request.mutable_id()->set_value(bytes_of(id));
    request.set_request_id(operation.request);
    request.mutable_metadata()->set_data(asked.data);
    wire::AppendPayloadMetadataEventResponse reply;
    const Status status = call(client, catalog, "AppendPayloadMetadataEvent", request, reply);
    seen.number = reply.number();
    return status;
  }
  if (operation.kind == Kind::get_metadata) {
    wire::GetPayloadMetadataRequest request;
    request.mutable_id()->set_value(bytes_of(id));
    wire::GetPayloadMetadataResponse reply;
    const Status status = call(client, catalog, "GetPayloadMetadata", request, reply);
    seen.data = reply.metadata().data();
    seen.schema = reply.metadata().schema();
    return status;
  }
  wire::UpdatePayloadMetadataRequest request;
  request.mutable_id()->set_value(bytes_of(id));
  request.set_request_id(operation.request);
  request.set_mode(asked.merge ? core::METADATA_UPDATE_MODE_MERGE
                               : core::METADATA_UPDATE_MODE_REPLACE);
  request.mutable_metadata()->set_data(asked.data);
  request.mutable_metadata()->set_schema(asked.schema);
  wire::UpdatePayloadMetadataResponse reply;
  const Status status = call(client, catalog, "UpdatePayloadMetadata", request, reply);
  seen.data = reply.metadata().data();
  seen.schema = reply.metadata().schema();
  return status;
}

Status call_renew(client::Client& client, Operation& operation) {
  runtime::RenewLeaseRequest request;
  const auto id = client::LeaseId::parse(operation.asked.lease);
  if (!id) return id.status();
  request.mutable_lease_id()->set_value(bytes_of(*id));
  request.set_min_lease_duration_ms(
      static_cast<std::uint64_t>(operation.asked.duration_ns / 1'000'000));
  runtime::RenewLeaseResponse reply;
  return call(client, data, "RenewLease", request, reply);
}

Status call_stream(client::Client& client, Operation& operation) {
  runtime::StreamID stream;
  stream.set_namespace_("history");
  stream.set_name(operation.subject);
  if (operation.kind == Kind::create_stream) {
    runtime::CreateStreamRequest request;
    *request.mutable_stream() = stream;
    request.set_request_id(operation.request);
    google::protobuf::Empty reply;
    return call(client, streams, "CreateStream", request, reply);
  }
  Seen& seen = operation.seen;
  if (operation.kind == Kind::append) {
    runtime::AppendRequest request;
    const auto payload = client::PayloadId::parse(operation.asked.payload);
    if (!payload) return payload.status();
    *request.mutable_stream() = stream;
    request.set_request_id(operation.request);
    for (const std::string& item : operation.asked.items) {
      auto& entry = *request.add_items();
      entry.mutable_payload_id()->set_value(bytes_of(*payload));
      (*entry.mutable_tags())["item"] = item;
    }
    runtime::AppendResponse reply;
    const Status status = call(client, streams, "Append", request, reply);
    seen.number = reply.first_offset();
    return status;
  }
  runtime::ReadRequest request;
  *request.mutable_stream() = stream;
  request.set_start_offset(operation.asked.offset);
  runtime::ReadResponse reply;
  const Status status = call(client, streams, "Read", request, reply);
  seen.number = operation.asked.offset;
  seen.next_offset = reply.next_offset();
  for (const auto& entry : reply.entries()) seen.items.push_back(entry.tags().at("item"));
  return status;
}

}  // namespace pm::history
