#pragma once

#include <atomic>
#include <pm/cpp/result.hpp>
#include <set>
#include <string>
#include <string_view>

namespace pm::frontend {

// grpc.health.v1 (https://github.com/grpc/grpc/blob/master/doc/health-checking.md): "" and every
// service of the contract serve until the frontend drains. Thread-safe once set up.
class Health {
 public:
  void add_service(const std::string& name) { services_.insert(name); }
  void set_serving(bool serving) { serving_.store(serving, std::memory_order_relaxed); }

  // A HealthCheckResponse to a HealthCheckRequest. NOT_FOUND: no such service.
  Result<std::string> check(std::string_view request) const;

  // The same for Watch, which answers SERVICE_UNKNOWN instead.
  Result<std::string> watch(std::string_view request) const;

  static std::string not_serving();

 private:
  Result<int> status_of(std::string_view request) const;

  std::set<std::string, std::less<>> services_{""};
  std::atomic<bool> serving_{true};
};

}  // namespace pm::frontend
