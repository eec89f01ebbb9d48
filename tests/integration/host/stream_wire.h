#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "answers.h"
#include "payload/manager/runtime/v1/stream.pb.h"

namespace pm::integration {

// The methods of streams, with the requests that most tests send.
class StreamWire : public Wire {
 public:
  explicit StreamWire(const HostProcess& host) : Wire(host) {}
  using StreamStub = wire_services::PayloadStreamService::Stub;

  static wire_runtime::StreamID named(const std::string& name, const std::string& space = {});

  grpc::Status create(const wire_runtime::StreamID& id, std::uint64_t entries_max = 0,
                      std::uint64_t age_max_s = 0, const std::string& request_id = {});
  grpc::Status remove(const wire_runtime::StreamID& id, const std::string& request_id = {});
  grpc::Status append(const wire_runtime::AppendRequest& request,
                      wire_runtime::AppendResponse* response = nullptr);
  // `count` entries with the same payload.
  grpc::Status append(const wire_runtime::StreamID& id, const wire_core::PayloadID& payload,
                      int count = 1, wire_runtime::AppendResponse* response = nullptr);
  grpc::Status read(const wire_runtime::ReadRequest& request,
                    wire_runtime::ReadResponse* response = nullptr);
  grpc::Status range(const wire_runtime::StreamID& id, std::uint64_t start, std::uint64_t end,
                     wire_runtime::GetRangeResponse* response = nullptr);
  grpc::Status commit_offset(const wire_runtime::StreamID& id, const std::string& group,
                             std::uint64_t offset, bool allow_rewind = false,
                             const std::string& request_id = {});
  grpc::Status committed(const wire_runtime::StreamID& id, const std::string& group,
                         wire_runtime::GetCommittedResponse* response = nullptr);
  grpc::Status list_streams(const wire_runtime::ListStreamsRequest& request,
                            wire_runtime::ListStreamsResponse* response = nullptr);

  // All that is kept, as one Read shows it.
  wire_runtime::ReadResponse all(const wire_runtime::StreamID& id, std::uint64_t start = 0);
};

// One Subscribe call, read by hand.
class Follower {
 public:
  Follower(StreamWire& wire, const wire_runtime::SubscribeRequest& request);
  ~Follower() { context_.TryCancel(); }

  // False: the call has ended, or 20 s have passed.
  bool next(wire_runtime::StreamEntry& entry);
  // The offsets of the next entries; fewer when the call ends before.
  std::vector<std::uint64_t> offsets(std::size_t count);
  // Waits for the end.
  std::string end();
  void cancel() { context_.TryCancel(); }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<wire_runtime::SubscribeResponse>> reader_;
};

}  // namespace pm::integration
