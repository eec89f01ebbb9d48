#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "payload/manager/services/v1/catalog_service.grpc.pb.h"
#include "payload/manager/services/v1/data_service.grpc.pb.h"

namespace pm::perf {

namespace services = payload::manager::services::v1;
namespace wire = payload::manager::catalog::v1;
namespace runtime = payload::manager::runtime::v1;
using payload::manager::core::v1::Tier;

// Generated stubs on one connection, the calls that the figures are made of, and nothing besides:
// what the client library adds is not measured here. [thread-safe]
class Stubs {
 public:
  explicit Stubs(const std::string& address);

  // The new payload's id; throws Failure when a call fails, as all do.
  std::string allocate(std::uint64_t bytes, wire::MemoryLayout layout,
                       Tier tier = payload::manager::core::v1::TIER_RAM) const;
  void commit(const std::string& id) const;
  std::string lease(const std::string& payload) const;  // The lease's id.
  void release(const std::string& lease) const;
  void erase(const std::string& id) const;

  // The messages of a lease and its release.
  static runtime::AcquireReadLeaseRequest lease_request(const std::string& payload);
  static runtime::ReleaseLeaseRequest release_request(const std::string& lease);
  runtime::AcquireReadLeaseResponse lease(const runtime::AcquireReadLeaseRequest& request) const;

 private:
  std::unique_ptr<services::PayloadCatalogService::Stub> catalog_;
  std::unique_ptr<services::PayloadDataService::Stub> data_;
};

}  // namespace pm::perf
