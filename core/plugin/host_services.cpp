#include "core/plugin/host_services.h"

#include <cstring>
#include <fstream>
#include <string_view>
#include <utility>

#include "core/observe/log.h"

namespace pm {
namespace {

constexpr std::size_t kErrorBytesMax = 4096;

// One slot for each thread is enough: a call into a plugin is taken before the next one starts.
std::string& error_slot() {
  thread_local std::string slot;
  return slot;
}

log::Level to_level(std::int32_t level) {
  switch (level) {
    case PM_LOG_DEBUG: return log::Level::debug;
    case PM_LOG_INFO: return log::Level::info;
    case PM_LOG_WARN: return log::Level::warn;
    default: return log::Level::error;
  }
}

const HostServices& services(const pm_host_t* host) {
  return *static_cast<const HostServices*>(host->host_data);
}

}  // namespace

std::string read_boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string line;
  std::getline(file, line);
  return line;
}

HostServices::HostServices(std::string name, std::optional<HostIdentity> identity)
    : name_(std::move(name)), identity_(std::move(identity)) {
  if (identity_.has_value()) {
    identity_abi_ = {sizeof(pm_host_identity_t), 0, identity_->instance_id.c_str(),
                     identity_->boot_id.c_str(), identity_->state_directory.c_str()};
  }
  host_ = {PM_ABI_MAJOR, PM_ABI_MINOR, "pm-host", PM_VERSION, this, get_extension, set_error, log};
}

const void* HostServices::get_extension(const pm_host_t* host, const char* id) noexcept {
  if (host == nullptr || id == nullptr) return nullptr;
  const HostServices& self = services(host);
  const bool asked = std::strcmp(id, PM_HOST_IDENTITY) == 0;
  return asked && self.identity_.has_value() ? &self.identity_abi_ : nullptr;
}

void HostServices::set_error(const pm_host_t* host, const char* message) noexcept {
  if (host == nullptr || message == nullptr) return;
  try {
    error_slot() =
        services(host).name_ + ": " + std::string(message, strnlen(message, kErrorBytesMax));
  } catch (...) {
    // Without memory for the words the status still goes its way.
  }
}

void HostServices::log(const pm_host_t* host, std::int32_t level, const char* message) noexcept {
  if (host == nullptr || message == nullptr) return;
  pm::log::write(to_level(level), services(host).name_, message);
}

std::string take_error_text() { return std::exchange(error_slot(), {}); }

Status take_error(pm_status_t returned) {
  std::string text = take_error_text();
  if (returned == PM_OK) return {};
  return Status::from_abi(returned, std::move(text));
}

}  // namespace pm
