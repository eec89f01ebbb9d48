#pragma once

#include <filesystem>
#include <map>
#include <pm/cpp/result.hpp>
#include <string>
#include <vector>

#include "core/plugin/plugin_files.h"
#include "core/plugin/plugin_library.h"

namespace pm {

// The plugins of some directories: found all, loaded as they are asked for. [control-thread]
class PluginSet {
 public:
  // Errors as find_plugins().
  static Result<PluginSet> find(const std::vector<std::filesystem::path>& directories);

  // Errors: not_found, with what was looked for, where, and what was refused there;
  // invalid_argument when the plugin is of another kind; else as PluginLibrary::load().
  Result<PluginLibrary> load(const std::string& id, const std::string& kind);

  const PluginFiles& files() const { return files_; }

 private:
  PluginFiles files_;
  std::string directories_;  // For errors.
  std::map<std::string, PluginLibrary> loaded_;
};

}  // namespace pm
