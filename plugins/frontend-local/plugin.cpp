#include <pm/frontend.h>

#include <cstring>
#include <memory>
#include <pm/cpp/plugin.hpp>
#include <utility>

#include "configuration.h"
#include "server.h"

// The C face of the local frontend.

namespace pm::frontend_local {
namespace {

class Frontend {
 public:
  Frontend(Configuration configuration, sdk::Host host)
      : configuration_(std::move(configuration)), host_(host) {
    face_ = {this, start, drain, stop, get_extension, destroy};
  }
  const pm_frontend_t* face() const { return &face_; }

 private:
  static Frontend& of(const pm_frontend_t* face) {
    return *static_cast<Frontend*>(face->frontend_data);
  }

  static pm_status_t start(const pm_frontend_t* face, const pm_engine_t* engine) {
    auto& self = of(face);
    return sdk::guarded(self.host_, [&]() -> Status {
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
  const sdk::Host host_;
  std::unique_ptr<Server> server_;
  pm_frontend_t face_{};
};

const void* create(const pm_host_t* c_host, const char* config_json) {
  const sdk::Host host(c_host);
  const pm_frontend_t* face = nullptr;
  sdk::guarded(host, [&]() -> Status {
    auto configuration = parse_configuration(config_json);
    if (!configuration.ok()) return configuration.status();
    face = (new Frontend(*std::move(configuration), host))->face();
    return {};
  });
  return face;
}

const pm_plugin_descriptor_t descriptor{sizeof(pm_plugin_descriptor_t),
                                        0,
                                        "org.payload-manager.frontend-local",
                                        "Local frontend",
                                        "1.0.0",
                                        PM_KIND_FRONTEND,
                                        configuration_schema};

PM_PLUGIN_NOTE(PM_KIND_FRONTEND, "org.payload-manager.frontend-local");

}  // namespace
}  // namespace pm::frontend_local

const pm_plugin_entry_t pm_plugin_entry_v1{
    PM_ABI_MAJOR, PM_ABI_MINOR, &pm::frontend_local::descriptor, pm::frontend_local::create};
