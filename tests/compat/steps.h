#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "upstream.grpc.pb.h"

// What every step of the compatibility client uses. A difference ends the program.

namespace compat {

namespace wire = payload::manager::services::v1;

// Prints "step: TEXT"; what follows belongs to it.
void step(const std::string& text);
// Ends the program with status 1 and the step's name unless `holds`.
void require(bool holds, const std::string& what);
// The same for a call's outcome.
void require_code(const grpc::Status& status, grpc::StatusCode expected, const std::string& call);
// Waits up to 10 s for `holds` to become true.
template <typename Condition>
void require_soon(Condition holds, const std::string& what);

// A repeatable pattern that differs from payload to payload.
std::string pattern(std::uint64_t size_bytes, unsigned seed);

// Shared memory and files, opened as clients of the other system do: by the name in the
// descriptor alone, read-write to fill, read-only to read.
void write_segment(const wire::RamLocation& location, const std::string& bytes);
std::string read_segment(const wire::RamLocation& location);
bool segment_exists(const std::string& name);
void write_file(const wire::DiskLocation& location, const std::string& bytes);
std::string read_file(const wire::DiskLocation& location);
bool file_exists(const std::string& path);

// The stubs, with a deadline for each call.
class Server {
 public:
  explicit Server(const std::string& address);

  template <typename Stub, typename Request, typename Reply>
  grpc::Status call(Stub& stub,
                    grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Reply*),
                    const Request& request, Reply* reply) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    return (stub.*method)(&context, request, reply);
  }

  // Each of these requires OK.
  wire::PayloadDescriptor allocate(std::uint64_t size_bytes, wire::Tier tier);
  wire::PayloadDescriptor commit(const wire::PayloadID& id);
  wire::PayloadDescriptor resolve(const wire::PayloadID& id);
  wire::AcquireReadLeaseResponse lease(const wire::PayloadID& id,
                                       wire::Tier min_tier = wire::TIER_UNSPECIFIED);
  void release(const wire::LeaseID& id);
  wire::SpillResponse spill(const wire::SpillRequest& request);
  wire::PayloadDescriptor promote(const wire::PayloadID& id, wire::Tier tier);
  wire::StatsResponse stats();
  // Writes, commits, and returns the descriptor of a new payload.
  wire::PayloadDescriptor put(const std::string& bytes, wire::Tier tier);

  // These return what came.
  grpc::Status try_allocate(std::uint64_t size_bytes, wire::Tier tier);
  grpc::Status try_commit(const wire::PayloadID& id);
  grpc::Status try_resolve(const wire::PayloadID& id);
  grpc::Status try_lease(const wire::AcquireReadLeaseRequest& request);
  grpc::Status try_promote(const wire::PayloadID& id, wire::Tier tier);
  grpc::Status try_delete(const wire::PayloadID& id, bool force);
  wire::ListPayloadsResponse list(const wire::ListPayloadsRequest& request);

 private:
  std::unique_ptr<wire::PayloadCatalogService::Stub> catalog_;
  std::unique_ptr<wire::PayloadDataService::Stub> data_;
  std::unique_ptr<wire::PayloadAdminService::Stub> admin_;
};

// Milliseconds since an arbitrary moment, and a nap.
std::int64_t now_ms();
void nap();

template <typename Condition>
void require_soon(Condition holds, const std::string& what) {
  const std::int64_t until_ms = now_ms() + 10'000;
  while (!holds()) {
    require(now_ms() < until_ms, what + " (within 10 s)");
    nap();
  }
}

}  // namespace compat
