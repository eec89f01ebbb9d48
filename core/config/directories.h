#pragma once

#include "core/config/config.h"

namespace pm::config {

// Puts host.state_directory and host.runtime_directory into `root`, from the options, else as they
// stand there, else their defaults (XDG Base Directory Specification, version 0.8), and expands the
// variables of the whole tree, which may name both.
void resolve_directories(const ConfigSources& sources, Value& root, Errors& errors);

// Where plugins are when plugins.directories does not say: beside the host's executable
// (../lib/payload-manager) when that is there, else the directory of the installation.
std::vector<std::string> default_plugin_directories(const ConfigSources& sources);
// The same for the policies that ship (../share/payload-manager/policies).
std::filesystem::path default_policy_directory(const ConfigSources& sources);

}  // namespace pm::config
