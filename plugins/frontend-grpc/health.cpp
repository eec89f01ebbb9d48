#include "health.h"

#include "wire.h"

namespace pm::frontend {
namespace {

// Values of HealthCheckResponse.ServingStatus.
enum ServingStatus : int { kServing = 1, kNotServing = 2, kServiceUnknown = 3 };

std::string encode(int status) {
  std::string response;
  append_number(response, 1, static_cast<std::uint64_t>(status));
  return response;
}

}  // namespace

Result<int> Health::status_of(std::string_view request) const {
  std::string_view service;
  FieldReader reader(request);
  while (reader.next()) {
    if (reader.field() == 1) service = reader.bytes();
  }
  if (reader.malformed()) {
    return Status(Code::invalid_argument, "the request is no HealthCheckRequest");
  }
  if (services_.find(service) == services_.end()) return static_cast<int>(kServiceUnknown);
  const bool serving = serving_.load(std::memory_order_relaxed);
  return static_cast<int>(serving ? kServing : kNotServing);
}

Result<std::string> Health::check(std::string_view request) const {
  const auto status = status_of(request);
  if (!status.ok()) return status.status();
  if (*status == kServiceUnknown) {
    return Status(Code::not_found, "no such service; ask for \"\" or one that reflection lists");
  }
  return encode(*status);
}

Result<std::string> Health::watch(std::string_view request) const {
  const auto status = status_of(request);
  if (!status.ok()) return status.status();
  return encode(*status);
}

std::string Health::not_serving() { return encode(kNotServing); }

}  // namespace pm::frontend
