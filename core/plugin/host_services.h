#pragma once

#include <pm/host.h>

#include <memory>
#include <optional>
#include <pm/cpp/result.hpp>
#include <string>

namespace pm {

// Who the host is, for media that outlive it (pm_host_identity_t).
struct HostIdentity {
  std::string instance_id;      // 16 hex digits, from the repository.
  std::string boot_id;          // read_boot_id()
  std::string state_directory;  // Absolute.
};

// The kernel's /proc/sys/kernel/random/boot_id, without its newline. Empty when it cannot be read.
std::string read_boot_id();

// What the host offers to one instance of a plugin. Lines that the plugin logs carry `name`; its
// errors begin with it. Its address must not change while the instance lives.
class HostServices {
 public:
  // Without an identity, the extension PM_HOST_IDENTITY is not there: a repository is created
  // before the instance's id is known.
  HostServices(std::string name, std::optional<HostIdentity> identity);
  HostServices(const HostServices&) = delete;
  HostServices& operator=(const HostServices&) = delete;

  const pm_host_t* abi() const { return &host_; }
  const std::string& name() const { return name_; }

 private:
  static const void* get_extension(const pm_host_t* host, const char* id) noexcept;
  static void set_error(const pm_host_t* host, const char* message) noexcept;
  static void log(const pm_host_t* host, std::int32_t level, const char* message) noexcept;

  std::string name_;
  std::optional<HostIdentity> identity_;
  pm_host_identity_t identity_abi_{};
  pm_host_t host_{};
};

// Turns what a plugin returned on this thread into a Status with the words that it has left by
// set_error on this thread since the last take_error, if any. Call it after every synchronous call
// into a plugin, also a successful one, so that no words are left over for the next.
Status take_error(pm_status_t returned);

// The words alone, and forgets them; empty when there are none.
std::string take_error_text();

}  // namespace pm
