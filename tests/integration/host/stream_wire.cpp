#include "stream_wire.h"

#include <gtest/gtest.h>

namespace pm::integration {

namespace {

template <typename Response>
Response* or_unused(Response* wanted, Response& unused) {
  return wanted != nullptr ? wanted : &unused;
}

}  // namespace

wire_runtime::StreamID StreamWire::named(const std::string& name, const std::string& space) {
  wire_runtime::StreamID id;
  id.set_name(name);
  id.set_namespace_(space);
  return id;
}

grpc::Status StreamWire::create(const wire_runtime::StreamID& id, std::uint64_t entries_max,
                                std::uint64_t age_max_s, const std::string& request_id) {
  wire_runtime::CreateStreamRequest request;
  *request.mutable_stream() = id;
  request.set_retention_max_entries(entries_max);
  request.set_retention_max_age_sec(age_max_s);
  request.set_request_id(request_id);
  google::protobuf::Empty response;
  return call(stream, &StreamStub::CreateStream, request, &response);
}

grpc::Status StreamWire::remove(const wire_runtime::StreamID& id, const std::string& request_id) {
  wire_runtime::DeleteStreamRequest request;
  *request.mutable_stream() = id;
  request.set_request_id(request_id);
  google::protobuf::Empty response;
  return call(stream, &StreamStub::DeleteStream, request, &response);
}

grpc::Status StreamWire::append(const wire_runtime::AppendRequest& request,
                                wire_runtime::AppendResponse* response) {
  wire_runtime::AppendResponse unused;
  return call(stream, &StreamStub::Append, request, or_unused(response, unused));
}

grpc::Status StreamWire::append(const wire_runtime::StreamID& id,
                                const wire_core::PayloadID& payload, int count,
                                wire_runtime::AppendResponse* response) {
  wire_runtime::AppendRequest request;
  *request.mutable_stream() = id;
  for (int item = 0; item < count; ++item) *request.add_items()->mutable_payload_id() = payload;
  return append(request, response);
}

grpc::Status StreamWire::read(const wire_runtime::ReadRequest& request,
                              wire_runtime::ReadResponse* response) {
  wire_runtime::ReadResponse unused;
  return call(stream, &StreamStub::Read, request, or_unused(response, unused));
}

grpc::Status StreamWire::range(const wire_runtime::StreamID& id, std::uint64_t start,
                               std::uint64_t end, wire_runtime::GetRangeResponse* response) {
  wire_runtime::GetRangeRequest request;
  *request.mutable_stream() = id;
  request.set_start_offset(start);
  request.set_end_offset(end);
  wire_runtime::GetRangeResponse unused;
  return call(stream, &StreamStub::GetRange, request, or_unused(response, unused));
}

grpc::Status StreamWire::commit_offset(const wire_runtime::StreamID& id, const std::string& group,
                                       std::uint64_t offset, bool allow_rewind,
                                       const std::string& request_id) {
  wire_runtime::CommitRequest request;
  *request.mutable_stream() = id;
  request.set_consumer_group(group);
  request.set_offset(offset);
  request.set_allow_rewind(allow_rewind);
  request.set_request_id(request_id);
  google::protobuf::Empty response;
  return call(stream, &StreamStub::Commit, request, &response);
}

grpc::Status StreamWire::committed(const wire_runtime::StreamID& id, const std::string& group,
                                   wire_runtime::GetCommittedResponse* response) {
  wire_runtime::GetCommittedRequest request;
  *request.mutable_stream() = id;
  request.set_consumer_group(group);
  wire_runtime::GetCommittedResponse unused;
  return call(stream, &StreamStub::GetCommitted, request, or_unused(response, unused));
}

grpc::Status StreamWire::list_streams(const wire_runtime::ListStreamsRequest& request,
                                      wire_runtime::ListStreamsResponse* response) {
  wire_runtime::ListStreamsResponse unused;
  return call(stream, &StreamStub::ListStreams, request, or_unused(response, unused));
}

wire_runtime::ReadResponse StreamWire::all(const wire_runtime::StreamID& id, std::uint64_t start) {
  wire_runtime::ReadRequest request;
  *request.mutable_stream() = id;
  request.set_start_offset(start);
  wire_runtime::ReadResponse response;
  EXPECT_EQ(answer_of(read(request, &response)), "OK");
  return response;
}

Follower::Follower(StreamWire& wire, const wire_runtime::SubscribeRequest& request) {
  context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  reader_ = wire.stream->Subscribe(&context_, request);
}

bool Follower::next(wire_runtime::StreamEntry& entry) {
  wire_runtime::SubscribeResponse response;
  if (!reader_->Read(&response)) return false;
  entry = std::move(*response.mutable_entry());
  return true;
}

std::vector<std::uint64_t> Follower::offsets(std::size_t count) {
  std::vector<std::uint64_t> offsets;
  wire_runtime::StreamEntry entry;
  while (offsets.size() < count && next(entry)) offsets.push_back(entry.offset());
  return offsets;
}

std::string Follower::end() {
  wire_runtime::StreamEntry entry;
  while (next(entry)) {
  }
  return answer_of(reader_->Finish());
}

}  // namespace pm::integration
