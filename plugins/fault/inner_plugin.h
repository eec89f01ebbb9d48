#pragma once

#include <pm/plugin.h>

#include <boost/json.hpp>
#include <string>

namespace pm::fault {

// Loads the plugin that faults are put into and creates an instance of it, as the host would: its
// schema's defaults are filled in and unknown and missing keys refused (sizes must be plain
// integers). `plugin` is a path, or the name of a file without its .so in this plugin's folder or
// the one of production plugins beside it. Returns NULL after set_error(). The plugin stays loaded
// for good. [control-thread]
const void* create_inner(const pm_host_t* host, const char* kind, const std::string& plugin,
                         boost::json::object config);

}  // namespace pm::fault
