#pragma once

#include <grpcpp/grpcpp.h>

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "payload/manager/core/v1/descriptor.pb.h"

namespace pm::test {

// A fake of the host: the contract's services with the simplest thing behind them that has real
// memory and real files. It has no leases that expire, no durability, no admission and no
// concurrency worth the name. What the client and payloadctl do with its answers is under test,
// never the fake itself.
class FakeServer {
 public:
  using Descriptor = payload::manager::core::v1::PayloadDescriptor;

  FakeServer();
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;
  ~FakeServer();

  // For Client::connect.
  std::string address() const;
  // A folder of this server's own, for files of a test. Removed at the end.
  const std::string& folder() const { return folder_; }

  // From now on every descriptor goes through `distort` on its way out.
  void distort_descriptors(std::function<void(Descriptor&)> distort);
  // From now on calls of `method` ("CommitPayload") fail; an OK status ends that. "next" is the
  // allocation that a commit asks for.
  void fail(const std::string& method, const grpc::Status& status);
  // As a host that dies does: every connection breaks. Bytes stay where they are.
  void die();

  // Counts of what was asked and what is there.
  std::size_t payloads() const;
  std::size_t leases() const;
  int calls(const std::string& method) const;
  // What the last AllocatePayload asked for, as JSON of protobuf.
  std::string last_allocation() const;
  // The bytes of the payload with this 16-byte id.
  std::string bytes_of(const std::string& id) const;

 private:
  class Catalog;
  class Data;
  class Admin;
  struct Payload {
    Descriptor descriptor;
    std::uint64_t created_ms = 0;
  };

  grpc::Status enter(const std::string& method);
  Descriptor shown(const Payload& payload) const;
  Payload* find(const std::string& id);
  grpc::Status place(Descriptor* descriptor, int tier, std::uint64_t size_bytes, bool slab);
  void remove_bytes(const Descriptor& descriptor);
  grpc::Status move(Payload* payload, int tier);
  std::string new_id();

  mutable std::mutex mutex_;
  std::string folder_;
  std::string shm_prefix_;
  std::uint64_t slab_used_bytes_ = 0;
  std::uint64_t next_id_ = 1;
  std::vector<std::string> order_;
  std::map<std::string, Payload> payloads_;
  std::map<std::string, std::string> leases_;
  std::map<std::string, int> calls_;
  std::map<std::string, grpc::Status> failures_;
  std::string last_allocation_;
  std::function<void(Descriptor&)> distort_;
  std::unique_ptr<Catalog> catalog_;
  std::unique_ptr<Data> data_;
  std::unique_ptr<Admin> admin_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace pm::test
