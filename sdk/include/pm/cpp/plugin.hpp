#pragma once

#include <pm/plugin.h>

#include <exception>
#include <new>
#include <pm/cpp/result.hpp>
#include <string>
#include <utility>

// Glue for plugins written in C++: exceptions stop here, errors become a status and its words.

namespace pm::sdk {

// The host, as a C++ plugin sees it. Copyable; valid as long as the pm_host_t.
class Host {
 public:
  explicit Host(const pm_host_t* host) : host_(host) {}

  void log(pm_log_level level, const std::string& message) const {
    host_->log(host_, level, message.c_str());
  }
  void info(const std::string& message) const { log(PM_LOG_INFO, message); }
  void warn(const std::string& message) const { log(PM_LOG_WARN, message); }
  void error(const std::string& message) const { log(PM_LOG_ERROR, message); }

  // Hands the words of `status` to the host and gives back its code, for `return host.report(s)`.
  pm_status_t report(const Status& status) const {
    if (!status.ok()) host_->set_error(host_, status.message().c_str());
    return static_cast<pm_status_t>(status.code());
  }
  void set_error(const std::string& message) const { host_->set_error(host_, message.c_str()); }

  // NULL when this host does not say.
  const pm_host_identity_t* identity() const {
    return static_cast<const pm_host_identity_t*>(host_->get_extension(host_, PM_HOST_IDENTITY));
  }

 private:
  const pm_host_t* host_;
};

// Runs `body`, which returns Status, and turns whatever it throws into a status too.
template <typename Body>
pm_status_t guarded(const Host& host, Body&& body) noexcept {
  try {
    return host.report(std::forward<Body>(body)());
  } catch (const std::bad_alloc&) {
    host.set_error("out of memory");
    return PM_RESOURCE_EXHAUSTED;
  } catch (const std::exception& error) {
    host.set_error(error.what());
    return PM_INTERNAL;
  } catch (...) {
    host.set_error("an exception of unknown type");
    return PM_INTERNAL;
  }
}

}  // namespace pm::sdk
