#pragma once

#include <gtest/gtest.h>

#include "answers.h"

// The methods for metadata, events and lineage, as tests call them.

namespace pm::integration {

class Documents {
 public:
  explicit Documents(Wire& wire) : wire_(wire) {}

  grpc::Status update(const wire_catalog::UpdatePayloadMetadataRequest& request,
                      wire_catalog::UpdatePayloadMetadataResponse* response = nullptr);
  grpc::Status get(const wire_core::PayloadID& id,
                   wire_catalog::GetPayloadMetadataResponse* response = nullptr);
  grpc::Status append(const wire_catalog::AppendPayloadMetadataEventRequest& request,
                      wire_catalog::AppendPayloadMetadataEventResponse* response = nullptr);
  grpc::Status events(const wire_catalog::ListPayloadMetadataEventsRequest& request,
                      wire_catalog::ListPayloadMetadataEventsResponse* response = nullptr);
  grpc::Status link(const wire_catalog::AddLineageRequest& request);
  grpc::Status lineage(const wire_catalog::GetLineageRequest& request,
                       wire_catalog::GetLineageResponse* response = nullptr);

  // One edge with this operation.
  grpc::Status link(const wire_core::PayloadID& child, const wire_core::PayloadID& parent,
                    const std::string& operation = "made");
  // The test fails when that is refused.
  wire_catalog::GetLineageResponse lineage_of(const wire_core::PayloadID& id, bool upstream,
                                              std::uint32_t max_depth = 0,
                                              std::uint32_t edges_max = 0);

 private:
  Wire& wire_;
};

inline wire_catalog::UpdatePayloadMetadataRequest update_of(
    const wire_core::PayloadID& id, const std::string& data, const std::string& schema,
    wire_core::MetadataUpdateMode mode = wire_core::METADATA_UPDATE_MODE_REPLACE) {
  wire_catalog::UpdatePayloadMetadataRequest request;
  *request.mutable_id() = id;
  request.set_mode(mode);
  request.mutable_metadata()->set_data(data);
  request.mutable_metadata()->set_schema(schema);
  return request;
}

inline wire_catalog::AppendPayloadMetadataEventRequest event_of(const wire_core::PayloadID& id,
                                                                const std::string& data) {
  wire_catalog::AppendPayloadMetadataEventRequest request;
  *request.mutable_id() = id;
  request.mutable_metadata()->set_data(data);
  return request;
}

// A host with one of the repositories.
class DocumentsTest : public testing::TestWithParam<const char*> {
 protected:
  DocumentsTest() : host_(host_options()) {}

  void SetUp() override { begin(); }
  void TearDown() override {
    ASSERT_TRUE(host_.running() && !host_.wait_exit(std::chrono::milliseconds(0)))
        << "the host ended\n"
        << host_.log();
  }

  static HostOptions host_options() {
    HostOptions options;
    options.repository = GetParam();
    return options;
  }
  bool is_kept() const { return host_.options().repository == "sqlite"; }

  void begin() {
    ASSERT_TRUE(host_.start_ready()) << host_.log();
    wire_ = std::make_unique<Wire>(host_);
    documents_ = std::make_unique<Documents>(*wire_);
  }
  void kill_and_begin() {
    host_.kill();
    begin();
  }
  wire_core::PayloadID make() { return wire_->make(wire_core::TIER_RAM); }
  static wire_core::PayloadID unknown() { return id_of(std::string(16, '\x22')); }

  HostProcess host_;
  std::unique_ptr<Wire> wire_;
  std::unique_ptr<Documents> documents_;
};

}  // namespace pm::integration
