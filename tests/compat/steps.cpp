#include "steps.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

namespace compat {
namespace {

std::string current_step = "start";

// Maps the whole of what a descriptor names and hands it to `use`.
template <typename Use>
void with_segment(const wire::RamLocation& location, int mode, Use use) {
  const int file = ::shm_open(location.shm_name().c_str(), mode, 0);
  require(file >= 0, "shm_open " + location.shm_name() + ": " + std::strerror(errno));
  struct stat info {};
  require(::fstat(file, &info) == 0, "fstat");
  require(static_cast<std::uint64_t>(info.st_size) >= location.length_bytes(),
          "the segment is shorter than length_bytes");
  const int protection = mode == O_RDWR ? PROT_READ | PROT_WRITE : PROT_READ;
  void* base = ::mmap(nullptr, location.length_bytes(), protection, MAP_SHARED, file, 0);
  require(base != MAP_FAILED, std::string("mmap: ") + std::strerror(errno));
  ::close(file);
  use(static_cast<char*>(base));
  ::munmap(base, location.length_bytes());
}

}  // namespace

void step(const std::string& text) {
  current_step = text;
  std::printf("step: %s\n", text.c_str());
  std::fflush(stdout);
}

void require(bool holds, const std::string& what) {
  if (holds) return;
  std::printf("DIFFERS: %s: %s\n", current_step.c_str(), what.c_str());
  std::fflush(stdout);
  std::exit(1);
}

void require_code(const grpc::Status& status, grpc::StatusCode expected, const std::string& call) {
  require(status.error_code() == expected,
          call + " gave code " + std::to_string(status.error_code()) + " ('" +
              status.error_message() + "'), not " + std::to_string(expected));
}

std::string pattern(std::uint64_t size_bytes, unsigned seed) {
  std::string bytes(size_bytes, '\0');
  for (std::uint64_t i = 0; i < size_bytes; ++i) {
    bytes[i] = static_cast<char>((i * 197 + i / 257 + seed * 31) & 0xff);
  }
  return bytes;
}

void write_segment(const wire::RamLocation& location, const std::string& bytes) {
  with_segment(location, O_RDWR,
               [&](char* base) { std::memcpy(base, bytes.data(), bytes.size()); });
}

std::string read_segment(const wire::RamLocation& location) {
  std::string bytes;
  with_segment(location, O_RDONLY,
               [&](const char* base) { bytes.assign(base, location.length_bytes()); });
  return bytes;
}

bool segment_exists(const std::string& name) {
  const int file = ::shm_open(name.c_str(), O_RDONLY, 0);
  if (file >= 0) ::close(file);
  return file >= 0;
}

void write_file(const wire::DiskLocation& location, const std::string& bytes) {
  require(!location.path().empty() && location.path()[0] == '/',
          "the path '" + location.path() + "' is not absolute");
  const int file = ::open(location.path().c_str(), O_WRONLY | O_CLOEXEC);
  require(file >= 0, "open " + location.path() + " for writing: " + std::strerror(errno));
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count = ::pwrite(file, bytes.data() + done, bytes.size() - done,
                                   static_cast<off_t>(location.offset_bytes() + done));
    require(count > 0, std::string("write: ") + std::strerror(errno));
    done += static_cast<std::size_t>(count);
  }
  ::close(file);
}

std::string read_file(const wire::DiskLocation& location) {
  require(!location.path().empty() && location.path()[0] == '/',
          "the path '" + location.path() + "' is not absolute");
  const int file = ::open(location.path().c_str(), O_RDONLY | O_CLOEXEC);
  require(file >= 0, "open " + location.path() + ": " + std::strerror(errno));
  std::string bytes(location.length_bytes(), '\0');
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count = ::pread(file, bytes.data() + done, bytes.size() - done,
                                  static_cast<off_t>(location.offset_bytes() + done));
    require(count > 0, "the file is shorter than length_bytes");
    done += static_cast<std::size_t>(count);
  }
  ::close(file);
  return bytes;
}

bool file_exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

Server::Server(const std::string& address) {
  auto channel = grpc::CreateChannel(address, grpc::InsecureChannelCredentials());
  catalog_ = wire::PayloadCatalogService::NewStub(channel);
  data_ = wire::PayloadDataService::NewStub(channel);
  admin_ = wire::PayloadAdminService::NewStub(channel);
}

wire::PayloadDescriptor Server::allocate(std::uint64_t size_bytes, wire::Tier tier) {
  wire::AllocatePayloadRequest request;
  request.set_size_bytes(size_bytes);
  request.set_preferred_tier(tier);
  wire::AllocatePayloadResponse reply;
  require_code(
      call(*catalog_, &wire::PayloadCatalogService::Stub::AllocatePayload, request, &reply),
      grpc::StatusCode::OK, "AllocatePayload");
  return reply.payload_descriptor();
}

wire::PayloadDescriptor Server::commit(const wire::PayloadID& id) {
  wire::CommitPayloadRequest request;
  *request.mutable_id() = id;
  wire::CommitPayloadResponse reply;
  require_code(call(*catalog_, &wire::PayloadCatalogService::Stub::CommitPayload, request, &reply),
               grpc::StatusCode::OK, "CommitPayload");
  return reply.payload_descriptor();
}

wire::PayloadDescriptor Server::resolve(const wire::PayloadID& id) {
  wire::ResolveSnapshotRequest request;
  *request.mutable_id() = id;
  wire::ResolveSnapshotResponse reply;
  require_code(call(*data_, &wire::PayloadDataService::Stub::ResolveSnapshot, request, &reply),
               grpc::StatusCode::OK, "ResolveSnapshot");
  return reply.payload_descriptor();
}

wire::AcquireReadLeaseResponse Server::lease(const wire::PayloadID& id, wire::Tier min_tier) {
  wire::AcquireReadLeaseRequest request;
  *request.mutable_id() = id;
  request.set_min_tier(min_tier);
  request.set_promotion_policy(wire::WAIT_POLICY_BLOCKING);
  wire::AcquireReadLeaseResponse reply;
  require_code(call(*data_, &wire::PayloadDataService::Stub::AcquireReadLease, request, &reply),
               grpc::StatusCode::OK, "AcquireReadLease");
  return reply;
}

void Server::release(const wire::LeaseID& id) {
  wire::ReleaseLeaseRequest request;
  *request.mutable_lease_id() = id;
  google::protobuf::Empty reply;
  require_code(call(*data_, &wire::PayloadDataService::Stub::ReleaseLease, request, &reply),
               grpc::StatusCode::OK, "ReleaseLease");
}

wire::SpillResponse Server::spill(const wire::SpillRequest& request) {
  wire::SpillResponse reply;
  require_code(call(*catalog_, &wire::PayloadCatalogService::Stub::Spill, request, &reply),
               grpc::StatusCode::OK, "Spill");
  require(reply.results_size() == request.ids_size(), "Spill gives a result for each id");
  return reply;
}

wire::PayloadDescriptor Server::promote(const wire::PayloadID& id, wire::Tier tier) {
  wire::PromoteRequest request;
  *request.mutable_id() = id;
  request.set_target_tier(tier);
  request.set_policy(wire::WAIT_POLICY_BLOCKING);
  wire::PromoteResponse reply;
  require_code(call(*catalog_, &wire::PayloadCatalogService::Stub::Promote, request, &reply),
               grpc::StatusCode::OK, "Promote");
  return reply.payload_descriptor();
}

wire::StatsResponse Server::stats() {
  wire::StatsResponse reply;
  require_code(call(*admin_, &wire::PayloadAdminService::Stub::Stats, wire::StatsRequest(), &reply),
               grpc::StatusCode::OK, "Stats");
  return reply;
}

wire::PayloadDescriptor Server::put(const std::string& bytes, wire::Tier tier) {
  const wire::PayloadDescriptor descriptor = allocate(bytes.size(), tier);
  if (tier == wire::TIER_RAM) {
    write_segment(descriptor.ram(), bytes);
  } else {
    write_file(descriptor.disk(), bytes);
  }
  return commit(descriptor.payload_id());
}

grpc::Status Server::try_allocate(std::uint64_t size_bytes, wire::Tier tier) {
  wire::AllocatePayloadRequest request;
  request.set_size_bytes(size_bytes);
  request.set_preferred_tier(tier);
  wire::AllocatePayloadResponse reply;
  return call(*catalog_, &wire::PayloadCatalogService::Stub::AllocatePayload, request, &reply);
}

grpc::Status Server::try_commit(const wire::PayloadID& id) {
  wire::CommitPayloadRequest request;
  *request.mutable_id() = id;
  wire::CommitPayloadResponse reply;
  return call(*catalog_, &wire::PayloadCatalogService::Stub::CommitPayload, request, &reply);
}

grpc::Status Server::try_resolve(const wire::PayloadID& id) {
  wire::ResolveSnapshotRequest request;
  *request.mutable_id() = id;
  wire::ResolveSnapshotResponse reply;
  return call(*data_, &wire::PayloadDataService::Stub::ResolveSnapshot, request, &reply);
}

grpc::Status Server::try_lease(const wire::AcquireReadLeaseRequest& request) {
  wire::AcquireReadLeaseResponse reply;
  return call(*data_, &wire::PayloadDataService::Stub::AcquireReadLease, request, &reply);
}

grpc::Status Server::try_promote(const wire::PayloadID& id, wire::Tier tier) {
  wire::PromoteRequest request;
  *request.mutable_id() = id;
  request.set_target_tier(tier);
  wire::PromoteResponse reply;
  return call(*catalog_, &wire::PayloadCatalogService::Stub::Promote, request, &reply);
}

grpc::Status Server::try_delete(const wire::PayloadID& id, bool force) {
  wire::DeleteRequest request;
  *request.mutable_id() = id;
  request.set_force(force);
  google::protobuf::Empty reply;
  return call(*catalog_, &wire::PayloadCatalogService::Stub::Delete, request, &reply);
}

wire::ListPayloadsResponse Server::list(const wire::ListPayloadsRequest& request) {
  wire::ListPayloadsResponse reply;
  require_code(call(*catalog_, &wire::PayloadCatalogService::Stub::ListPayloads, request, &reply),
               grpc::StatusCode::OK, "ListPayloads");
  return reply;
}

std::int64_t now_ms() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
}

void nap() { std::this_thread::sleep_for(std::chrono::milliseconds(10)); }

}  // namespace compat
