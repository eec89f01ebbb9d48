#pragma once

#include <pm/plugin.h>

#include <cstddef>
#include <filesystem>
#include <pm/cpp/result.hpp>

#include "core/plugin/plugin_files.h"

namespace pm {

// Of a plugin's id, name, version and kind, with the NUL.
inline constexpr std::size_t kPluginTextBytesMax = 256;

// A plugin in this process. It is never unloaded, so that no pointer into it can dangle; copies
// are cheap and stay valid as long as the process.
class PluginLibrary {
 public:
  // Loads `file` and compares what it exports with its note. Its constructors run, create() does
  // not. Errors name the path: unavailable when the dynamic linker refuses it, invalid_argument
  // when the entry is missing, incomplete or tells another story than the note. [control-thread]
  static Result<PluginLibrary> load(const PluginFile& file);

  // The check alone, of an entry that is in memory and stays there. Of the texts of its descriptor
  // it reads at most kPluginTextBytesMax bytes each, as nothing says that they end.
  static Result<PluginLibrary> from_entry(const PluginFile& file, const pm_plugin_entry_t& entry);

  const pm_plugin_entry_t& entry() const { return *entry_; }
  const pm_plugin_descriptor_t& descriptor() const { return *entry_->descriptor; }
  const std::filesystem::path& path() const { return path_; }

 private:
  PluginLibrary(const pm_plugin_entry_t* entry, std::filesystem::path path)
      : entry_(entry), path_(std::move(path)) {}

  const pm_plugin_entry_t* entry_;
  std::filesystem::path path_;
};

}  // namespace pm
