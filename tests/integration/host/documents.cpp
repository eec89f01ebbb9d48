#include "documents.h"

namespace pm::integration {

namespace {

using Catalog = wire_services::PayloadCatalogService::Stub;

template <typename Method, typename Request, typename Response>
grpc::Status call(Wire& wire, Method method, const Request& request, Response* response) {
  Response unused;
  return wire.call(wire.catalog, method, request, response != nullptr ? response : &unused);
}

}  // namespace

grpc::Status Documents::update(const wire_catalog::UpdatePayloadMetadataRequest& request,
                               wire_catalog::UpdatePayloadMetadataResponse* response) {
  return call(wire_, &Catalog::UpdatePayloadMetadata, request, response);
}

grpc::Status Documents::get(const wire_core::PayloadID& id,
                            wire_catalog::GetPayloadMetadataResponse* response) {
  wire_catalog::GetPayloadMetadataRequest request;
  *request.mutable_id() = id;
  return call(wire_, &Catalog::GetPayloadMetadata, request, response);
}

grpc::Status Documents::append(const wire_catalog::AppendPayloadMetadataEventRequest& request,
                               wire_catalog::AppendPayloadMetadataEventResponse* response) {
  return call(wire_, &Catalog::AppendPayloadMetadataEvent, request, response);
}

grpc::Status Documents::events(const wire_catalog::ListPayloadMetadataEventsRequest& request,
                               wire_catalog::ListPayloadMetadataEventsResponse* response) {
  return call(wire_, &Catalog::ListPayloadMetadataEvents, request, response);
}

grpc::Status Documents::link(const wire_catalog::AddLineageRequest& request) {
  google::protobuf::Empty empty;
  return call(wire_, &Catalog::AddLineage, request, &empty);
}

grpc::Status Documents::lineage(const wire_catalog::GetLineageRequest& request,
                                wire_catalog::GetLineageResponse* response) {
  return call(wire_, &Catalog::GetLineage, request, response);
}

grpc::Status Documents::link(const wire_core::PayloadID& child, const wire_core::PayloadID& parent,
                             const std::string& operation) {
  wire_catalog::AddLineageRequest request;
  *request.mutable_child() = child;
  auto& edge = *request.add_parents();
  *edge.mutable_parent() = parent;
  edge.set_operation(operation);
  return link(request);
}

wire_catalog::GetLineageResponse Documents::lineage_of(const wire_core::PayloadID& id,
                                                       bool upstream, std::uint32_t max_depth,
                                                       std::uint32_t edges_max) {
  wire_catalog::GetLineageRequest request;
  *request.mutable_id() = id;
  request.set_upstream(upstream);
  request.set_max_depth(max_depth);
  request.set_edges_max(edges_max);
  wire_catalog::GetLineageResponse response;
  EXPECT_EQ(answer_of(lineage(request, &response)), "OK");
  return response;
}

}  // namespace pm::integration
