#include "fake_server.h"

#include <fcntl.h>
#include <google/protobuf/util/json_util.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <random>

#include "payload/manager/admin/v1/policy.pb.h"
#include "payload/manager/services/v1/admin_service.grpc.pb.h"
#include "payload/manager/services/v1/catalog_service.grpc.pb.h"
#include "payload/manager/services/v1/data_service.grpc.pb.h"
#include "pm/client/client.h"

namespace pm::test {

namespace admin = payload::manager::admin::v1;
namespace catalog = payload::manager::catalog::v1;
namespace core = payload::manager::core::v1;
namespace runtime = payload::manager::runtime::v1;
namespace services = payload::manager::services::v1;
using google::protobuf::Empty;
using grpc::ServerContext;
using grpc::StatusCode;

namespace {

constexpr std::uint64_t slab_bytes = std::uint64_t{8} << 20;

std::string text_of(const std::string& id) {
  client::PayloadId parsed;
  std::copy_n(id.begin(), 16, parsed.bytes.begin());
  return parsed.to_string();
}

bool make_object(bool memory, const std::string& name, std::uint64_t size_bytes) {
  const int file = memory ? ::shm_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600)
                          : ::open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) return false;
  const bool made = ::posix_fallocate(file, 0, static_cast<off_t>(size_bytes)) == 0;
  ::close(file);
  return made;
}

std::string read_place(const core::PayloadDescriptor& descriptor) {
  const bool memory = descriptor.has_ram();
  const int file = memory ? ::shm_open(descriptor.ram().shm_name().c_str(), O_RDONLY, 0)
                          : ::open(descriptor.disk().path().c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return {};
  std::string bytes(descriptor.size_bytes(), '\0');
  const auto offset = memory ? descriptor.ram().offset_bytes() : descriptor.disk().offset_bytes();
  const ssize_t count = ::pread(file, bytes.data(), bytes.size(), static_cast<off_t>(offset));
  ::close(file);
  bytes.resize(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
  return bytes;
}

bool write_place(const core::PayloadDescriptor& descriptor, const std::string& bytes) {
  const int file = descriptor.has_ram()
                       ? ::shm_open(descriptor.ram().shm_name().c_str(), O_RDWR, 0)
                       : ::open(descriptor.disk().path().c_str(), O_RDWR | O_CLOEXEC);
  if (file < 0) return false;
  const ssize_t count = ::pwrite(file, bytes.data(), bytes.size(), 0);
  ::close(file);
  return count == static_cast<ssize_t>(bytes.size());
}

}  // namespace

class FakeServer::Catalog final : public services::PayloadCatalogService::Service {
 public:
  explicit Catalog(FakeServer& server) : server_(server) {}

  grpc::Status AllocatePayload(ServerContext*, const catalog::AllocatePayloadRequest* request,
                               catalog::AllocatePayloadResponse* reply) override {
    const std::lock_guard lock(server_.mutex_);
    if (auto status = server_.enter("AllocatePayload"); !status.ok()) return status;
    server_.last_allocation_.clear();
    (void)google::protobuf::util::MessageToJsonString(*request, &server_.last_allocation_);
    return allocate(*request, reply->mutable_payload_descriptor());
  }

  // Under the lock.
  grpc::Status allocate(const catalog::AllocatePayloadRequest& request,
                        core::PayloadDescriptor* descriptor) {
    if (request.size_bytes() == 0) return {StatusCode::INVALID_ARGUMENT, "size_bytes is 0"};
    Payload payload;
    payload.descriptor.mutable_payload_id()->set_value(server_.new_id());
    payload.descriptor.set_state(core::PAYLOAD_STATE_ALLOCATED);
    payload.descriptor.set_version(1);
    payload.descriptor.set_size_bytes(request.size_bytes());
    payload.created_ms = 1'700'000'000'000 + server_.next_id_;
    const bool slab = request.layout() == catalog::MEMORY_LAYOUT_SLAB;
    auto placed =
        server_.place(&payload.descriptor, request.preferred_tier(), request.size_bytes(), slab);
    if (!placed.ok()) return placed;
    *descriptor = server_.shown(payload);
    const std::string& id = payload.descriptor.payload_id().value();
    server_.order_.insert(server_.order_.begin(), id);
    server_.payloads_[id] = payload;
    return grpc::Status::OK;
  }

  grpc::Status CommitPayload(ServerContext*, const catalog::CommitPayloadRequest* request,
                             catalog::CommitPayloadResponse* reply) override {
    const std::lock_guard lock(server_.mutex_);
    if (auto status = server_.enter("CommitPayload"); !status.ok()) return status;
    Payload* payload = server_.find(request->id().value());
    if (payload == nullptr) return {StatusCode::NOT_FOUND, "no such payload"};
    if (payload->descriptor.state() != core::PAYLOAD_STATE_ALLOCATED) {
      return {StatusCode::FAILED_PRECONDITION, "already committed"};
    }
    payload->descriptor.set_state(payload->descriptor.has_disk() ? core::PAYLOAD_STATE_DURABLE
                                                                 : core::PAYLOAD_STATE_ACTIVE);
    payload->descriptor.set_version(2);
    *reply->mutable_payload_descriptor() = server_.shown(*payload);
    if (request->has_next() && server_.enter("next").ok()) {
      return allocate(request->next(), reply->mutable_next_descriptor());
    }
    return grpc::Status::OK;
  }

  grpc::Status Delete(ServerContext*, const catalog::DeleteRequest* request, Empty*) override {
    const std::lock_guard lock(server_.mutex_);
    if (auto status = server_.enter("Delete"); !status.ok()) return status;
    const std::string& id = request->id().value();
    Payload* payload = server_.find(id);
    if (payload == nullptr) return {StatusCode::NOT_FOUND, "no such payload"};
    const bool leased = std::any_of(server_.leases_.begin(), server_.leases_.end(),
                                    [&id](const auto& lease) { return lease.second == id; });
    if (leased && !request->force()) return {StatusCode::ABORTED, "leased"};
    server_.remove_bytes(payload->descriptor);
    server_.payloads_.erase(id);
    std::erase(server_.order_, id);
    return grpc::Status::OK;
  }

  grpc::Status Promote(ServerContext*, const catalog::PromoteRequest* request,
                       catalog::PromoteResponse* reply) override {
    const std::lock_guard lock(server_.mutex_);
    if (auto status = server_.enter("Promote"); !status.ok()) return status;
    Payload* payload = server_.find(request->id().value());
    if (payload == nullptr) return {StatusCode::NOT_FOUND, "no such payload"};
    if (auto status = server_.move(payload, request->target_tier()); !status.ok()) return status;
    *reply->mutable_payload_descriptor() = server_.shown(*payload);
    return grpc::Status::OK;
  }

  grpc::Status Spill(ServerContext*, const catalog::SpillRequest* request,
                     catalog::SpillResponse* reply) override {
    const std::lock_guard lock(server_.mutex_);
    if (auto status = server_.enter("Spill"); !status.ok()) return status;
    for (const core::PayloadID& id : request->ids()) {
      catalog::SpillResult* result = reply->add_results();
      *result->mutable_id() = id;
      Payload* payload = server_.find(id.value());
      if (payload == nullptr) {
        result->set_error_message("no such payload");
        result->set_error_code(StatusCode::NOT_FOUND);
        result->set_error_reason("PAYLOAD_NOT_FOUND");
        continue;
      }
      const auto status = server_.move(payload, core::TIER_DISK);
      result->set_ok(status.ok());
      if (request->policy() != core::SPILL_POLICY_BEST_EFFORT) {
        *result->mutable_payload_descriptor() = server_.shown(*payload);
      }
    }
    return grpc::Status::OK;
  }

  grpc::Status ListPayloads(ServerContext*, const catalog::ListPayloadsRequest* request,
                            catalog::ListPayloadsResponse* reply) override {
    const std::lock_guard lock(server_.mutex_);
    if (auto status = server_.enter("ListPayloads"); !status.ok()) return status;
    const std::size_t page =
        request->page_size() == 0 ? 50 : static_cast<std::size_t>(request->page_size());
    const std::string& token = request->page_token();
    std::size_t at = token.empty() ? 0 : std::stoul(token.substr(1));
    const std::size_t end = std::min(at + page, server_.order_.size());
    for (; at < end; ++at) {
      const Payload& payload = server_.payloads_[server_.order_[at]];
      catalog::PayloadSummary* summary = reply->add_payloads();
      *summary->mutable_id() = payload.descriptor.payload_id();
      summary->set_tier(payload.descriptor.tier());
      summary->set_state(payload.descriptor.state());
      summary->set_size_bytes(payload.descriptor.size_bytes());
      summary->set_created_at_ms(payload.created_ms);
      summary->set_version(payload.descriptor.version());
    }
    if (end < server_.order_.size()) reply->set_next_page_token("p" + std::to_string(end));
    reply->set_total_count(static_cast<int>(server_.order_.size()));
    return grpc::Status::OK;
  }

 private:
  FakeServer& server_;
};

class FakeServer::Data final : public services::PayloadDataService::Service {
 public:
  explicit Data(FakeServer& server) : server_(server) {}

  grpc::Status ResolveSnapshot(ServerContext*, const runtime::ResolveSnapshotRequest* request,
                               runtime::ResolveSnapshotResponse* reply) override {
    const std::lock_guard lock(server_.mutex_);
    if (auto status = server_.enter("ResolveSnapshot"); !status.ok()) return status;
    Payload* payload = server_.find(request->id().value());
    if (payload == nullptr) return {StatusCode::NOT_FOUND, "no such payload"};
    *reply->mutable_payload_descriptor() = server_.shown(*payload);
    return grpc::Status::OK;
  }

  grpc::Status AcquireReadLease(ServerContext*, const runtime::AcquireReadLeaseRequest* request,
                                runtime::AcquireReadLeaseResponse* reply) override {
    const std::lock_guard lock(server_.mutex_);
    if (auto status = server_.enter("AcquireReadLease"); !status.ok()) return status;
    Payload* payload = server_.find(request->id().value());
    if (payload == nullptr) return {StatusCode::NOT_FOUND, "no such payload"};
    if (payload->descriptor.state() == core::PAYLOAD_STATE_ALLOCATED) {
      return {StatusCode::FAILED_PRECONDITION, "not committed"};
    }
    const std::string lease = server_.new_id();
    server_.leases_[lease] = request->id().value();
    reply->mutable_lease_id()->set_value(lease);
    *reply->mutable_payload_descriptor() = server_.shown(*payload);
    const std::uint64_t duration_ms =
        request->min_lease_duration_ms() == 0 ? 20'000 : request->min_lease_duration_ms();
    reply->set_lease_duration_ms(duration_ms);
    reply->mutable_lease_expires_at()->set_seconds(1'800'000'000);
    return grpc::Status::OK;
  }

  grpc::Status ReleaseLease(ServerContext*, const runtime::ReleaseLeaseRequest* request,
                            Empty*) override {
    const std::lock_guard lock(server_.mutex_);
    if (auto status = server_.enter("ReleaseLease"); !status.ok()) return status;
    server_.leases_.erase(request->lease_id().value());
    return grpc::Status::OK;
  }

 private:
  FakeServer& server_;
};

class FakeServer::Admin final : public services::PayloadAdminService::Service {
 public:
  explicit Admin(FakeServer& server) : server_(server) {}

  grpc::Status Stats(ServerContext*, const admin::StatsRequest*,
                     admin::StatsResponse* reply) override {
    const std::lock_guard lock(server_.mutex_);
    if (auto status = server_.enter("Stats"); !status.ok()) return status;
    reply->set_payloads_ram(server_.payloads_.size());
    reply->set_leases_active(server_.leases_.size());
    reply->set_policy_rules(3);
    reply->set_policy_failures(4);
    reply->add_policy_suspended("spill lru (lru.lua:12)");
    admin::TierStats* tier = reply->add_tiers();
    tier->set_name("fast memory");
    tier->set_number(core::TIER_RAM);
    tier->set_bytes_charged(4096);
    tier->set_bytes_capacity(UINT64_MAX);
    tier->set_copies(server_.payloads_.size());
    tier->set_health("ok");
    return grpc::Status::OK;
  }

  grpc::Status GetPolicies(ServerContext*, const admin::GetPoliciesRequest*,
                           admin::GetPoliciesResponse* reply) override {
    const std::lock_guard lock(server_.mutex_);
    if (auto status = server_.enter("GetPolicies"); !status.ok()) return status;
    fill(*reply);
    return grpc::Status::OK;
  }
  grpc::Status ReloadPolicies(ServerContext*, const admin::ReloadPoliciesRequest*,
                              admin::ReloadPoliciesResponse* reply) override {
    const std::lock_guard lock(server_.mutex_);
    if (auto status = server_.enter("ReloadPolicies"); !status.ok()) return status;
    fill(*reply->mutable_policies());
    return grpc::Status::OK;
  }

 private:
  // Two rules, one of which is suspended.
  static void fill(admin::GetPoliciesResponse& policies) {
    policies.add_files("lru.lua");
    policies.add_files("mine.lua");
    admin::PolicyRule* rule = policies.add_rules();
    rule->set_hook("place");
    rule->set_name("mine");
    rule->set_where("mine.lua:2");
    rule->set_asked(7);
    rule->set_answered(3);
    rule->set_failed(4);
    rule->set_suspended(true);
    rule->set_last_error("mine.lua:3: too many steps");
    rule = policies.add_rules();
    rule->set_hook("spill");
    rule->set_name("lru");
    rule->set_where("lru.lua:20");
    policies.set_questions(10);
    policies.set_defaults(5);
    policies.set_dropped(1);
    policies.set_loads(2);
    policies.set_last_error("mine.lua:9: no Lua");
  }

  FakeServer& server_;
};

FakeServer::FakeServer() {
  std::string folder = (std::filesystem::temp_directory_path() / "pm-fake-XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) std::abort();
  folder_ = folder;
  shm_prefix_ = "/pm-fake-" + std::to_string(::getpid()) + "-" + folder.substr(folder.size() - 6);
  catalog_ = std::make_unique<Catalog>(*this);
  data_ = std::make_unique<Data>(*this);
  admin_ = std::make_unique<Admin>(*this);
  grpc::ServerBuilder builder;
  builder.AddListeningPort(address(), grpc::InsecureServerCredentials());
  builder.RegisterService(catalog_.get());
  builder.RegisterService(data_.get());
  builder.RegisterService(admin_.get());
  server_ = builder.BuildAndStart();
  if (!server_) std::abort();
}

FakeServer::~FakeServer() {
  die();
  for (const auto& [id, payload] : payloads_) remove_bytes(payload.descriptor);
  ::shm_unlink((shm_prefix_ + "-slab").c_str());
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

std::string FakeServer::address() const { return "unix:" + folder_ + "/fake.sock"; }

void FakeServer::distort_descriptors(std::function<void(Descriptor&)> distort) {
  const std::lock_guard lock(mutex_);
  distort_ = std::move(distort);
}

void FakeServer::fail(const std::string& method, const grpc::Status& status) {
  const std::lock_guard lock(mutex_);
  failures_[method] = status;
}

void FakeServer::die() {
  if (!server_) return;
  server_->Shutdown(std::chrono::system_clock::now());
  server_->Wait();
  server_.reset();
}

std::size_t FakeServer::payloads() const {
  const std::lock_guard lock(mutex_);
  return payloads_.size();
}

std::size_t FakeServer::leases() const {
  const std::lock_guard lock(mutex_);
  return leases_.size();
}

int FakeServer::calls(const std::string& method) const {
  const std::lock_guard lock(mutex_);
  const auto found = calls_.find(method);
  return found == calls_.end() ? 0 : found->second;
}

std::string FakeServer::last_allocation() const {
  const std::lock_guard lock(mutex_);
  return last_allocation_;
}

std::string FakeServer::bytes_of(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  const auto found = payloads_.find(id);
  return found == payloads_.end() ? std::string() : read_place(found->second.descriptor);
}

grpc::Status FakeServer::enter(const std::string& method) {
  ++calls_[method];
  const auto failure = failures_.find(method);
  return failure == failures_.end() ? grpc::Status::OK : failure->second;
}

FakeServer::Descriptor FakeServer::shown(const Payload& payload) const {
  Descriptor descriptor = payload.descriptor;
  if (distort_) distort_(descriptor);
  return descriptor;
}

FakeServer::Payload* FakeServer::find(const std::string& id) {
  const auto found = payloads_.find(id);
  return found == payloads_.end() ? nullptr : &found->second;
}

grpc::Status FakeServer::place(Descriptor* descriptor, int tier, std::uint64_t size_bytes,
                               bool slab) {
  descriptor->set_tier(static_cast<core::Tier>(tier));
  const std::string text = text_of(descriptor->payload_id().value());
  if (tier == core::TIER_DISK) {
    core::DiskLocation* disk = descriptor->mutable_disk();
    disk->set_path(folder_ + "/" + text);
    disk->set_length_bytes(size_bytes);
    if (make_object(false, disk->path(), size_bytes)) return grpc::Status::OK;
  } else if (tier == core::TIER_GPU) {
    descriptor->mutable_gpu()->set_length_bytes(size_bytes);
    return grpc::Status::OK;
  } else if (tier == core::TIER_RAM && slab) {
    const std::string name = shm_prefix_ + "-slab";
    if (slab_used_bytes_ == 0 && !make_object(true, name, slab_bytes))
      return grpc::Status::CANCELLED;
    if (size_bytes > slab_bytes - slab_used_bytes_) return {StatusCode::RESOURCE_EXHAUSTED, "full"};
    core::RamLocation* ram = descriptor->mutable_ram();
    ram->set_shm_name(name);
    ram->set_block_index(slab_used_bytes_ / 64);
    ram->set_offset_bytes(slab_used_bytes_);
    ram->set_length_bytes(size_bytes);
    ram->set_mapping_bytes(slab_bytes);
    slab_used_bytes_ += (size_bytes + 63) / 64 * 64;
    return grpc::Status::OK;
  } else if (tier == core::TIER_RAM) {
    core::RamLocation* ram = descriptor->mutable_ram();
    ram->set_shm_name(shm_prefix_ + "-" + text);
    ram->set_length_bytes(size_bytes);
    ram->set_mapping_bytes(size_bytes);
    if (make_object(true, ram->shm_name(), size_bytes)) return grpc::Status::OK;
  }
  return {StatusCode::FAILED_PRECONDITION, "no such tier"};
}

void FakeServer::remove_bytes(const Descriptor& descriptor) {
  if (descriptor.has_disk()) ::unlink(descriptor.disk().path().c_str());
  const std::string& name = descriptor.ram().shm_name();
  if (descriptor.has_ram() && name != shm_prefix_ + "-slab") ::shm_unlink(name.c_str());
}

grpc::Status FakeServer::move(Payload* payload, int tier) {
  const std::string bytes = read_place(payload->descriptor);
  Descriptor moved = payload->descriptor;
  moved.clear_location();
  if (auto status = place(&moved, tier, bytes.size(), false); !status.ok()) return status;
  if (!write_place(moved, bytes)) return {StatusCode::INTERNAL, "cannot write"};
  remove_bytes(payload->descriptor);
  moved.set_state(moved.has_disk() ? core::PAYLOAD_STATE_DURABLE : core::PAYLOAD_STATE_ACTIVE);
  moved.set_version(moved.version() + 1);
  payload->descriptor = moved;
  return grpc::Status::OK;
}

std::string FakeServer::new_id() {
  std::string id(16, '\0');
  static thread_local std::mt19937_64 random(std::random_device{}());
  for (char& byte : id) byte = static_cast<char>(random() & 0xff);
  ++next_id_;
  return id;
}

}  // namespace pm::test
