#pragma once

#include <pm/frontend.h>

#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "plugin.hpp"

namespace pm::sdk {

// The C face of a frontend that is a Server between start() and stop(). A Server is made from
// (const Configuration&, Host), and has `Status start(const pm_engine_t*)`, `drain(deadline_ns)`
// and `addresses()`; its destructor ends every connection and thread.
template <typename Configuration, typename Server>
class Frontend {
 public:
  // What a plugin's create() returns: `parse` makes a Result<Configuration> of the JSON.
  template <typename Parse>
  static const void* create(const pm_host_t* c_host, const char* config_json, Parse parse) {
    const Host host(c_host);
    const pm_frontend_t* face = nullptr;
    guarded(host, [&]() -> Status {
      auto configuration = parse(config_json);
      if (!configuration.ok()) return configuration.status();
      face = &(new Frontend(*std::move(configuration), host))->face_;
      return {};
    });
    return face;
  }

 private:
  Frontend(Configuration configuration, Host host)
      : configuration_(std::move(configuration)), host_(host) {
    face_ = {this, start, drain, stop, get_extension, destroy};
  }

  static Frontend& of(const pm_frontend_t* face) {
    return *static_cast<Frontend*>(face->frontend_data);
  }

  static pm_status_t start(const pm_frontend_t* face, const pm_engine_t* engine) {
    auto& self = of(face);
    return guarded(self.host_, [&]() -> Status {
      auto server = std::make_unique<Server>(self.configuration_, self.host_);
      PM_TRY(server->start(engine));
      for (const auto& address : server->addresses()) self.host_.info("listening on " + address);
      self.server_ = std::move(server);
      return {};
    });
  }

  static void drain(const pm_frontend_t* face, uint64_t deadline_ns) {
    if (const auto& server = of(face).server_) server->drain(deadline_ns);
  }

  static void stop(const pm_frontend_t* face) { of(face).server_.reset(); }

  static const void* get_extension(const pm_frontend_t*, const char* id) {
    static constexpr pm_frontend_addresses_t addresses{get_address};
    return std::strcmp(id, PM_FRONTEND_ADDRESSES) == 0 ? &addresses : nullptr;
  }

  static const char* get_address(const pm_frontend_t* face, uint32_t n) {
    const auto& server = of(face).server_;
    if (server == nullptr || n >= server->addresses().size()) return nullptr;
    return server->addresses()[n].c_str();
  }

  static void destroy(const pm_frontend_t* face) { delete &of(face); }

  const Configuration configuration_;
  const Host host_;
  std::unique_ptr<Server> server_;
  pm_frontend_t face_{};
};

}  // namespace pm::sdk
