#include <pm/cpp/frontend.hpp>

#include "configuration.h"
#include "server.h"

// The C face of the gRPC frontend.

namespace pm::frontend {
namespace {

const void* create(const pm_host_t* host, const char* config_json) {
  return sdk::Frontend<Configuration, Server>::create(host, config_json, parse_configuration);
}

const pm_plugin_descriptor_t descriptor{sizeof(pm_plugin_descriptor_t),
                                        0,
                                        "org.payload-manager.frontend-grpc",
                                        "gRPC frontend",
                                        "1.0.0",
                                        PM_KIND_FRONTEND,
                                        configuration_schema};

PM_PLUGIN_NOTE(PM_KIND_FRONTEND, "org.payload-manager.frontend-grpc");

}  // namespace
}  // namespace pm::frontend

const pm_plugin_entry_t pm_plugin_entry_v1{PM_ABI_MAJOR, PM_ABI_MINOR, &pm::frontend::descriptor,
                                           pm::frontend::create};
