#pragma once

#include <filesystem>
#include <pm/cpp/result.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "core/plugin/plugin_note.h"

// Finds plugins without running any of their code.

namespace pm {

struct PluginFile {
  std::filesystem::path path;  // Absolute, symbolic links resolved.
  PluginIdentity identity;     // Of this host's ABI.
};

struct RefusedFile {
  std::filesystem::path path;
  Status why;  // Names the path, and what to do.
};

struct PluginFiles {
  std::vector<PluginFile> found;  // Ordered by id; ids are unique.
  std::vector<RefusedFile> refused;

  const PluginFile* find(std::string_view id) const;
};

// Looks at every *.so in `directories`. A directory must be absolute, owned by root or the host's
// user, and writable by nobody else; so must each file, and a symbolic link must stay within its
// directory. A file that is refused lands in `refused`. Errors: a directory that may not be used
// (permission_denied, not_found, invalid_argument), an id that two files have (already_exists).
Result<PluginFiles> find_plugins(const std::vector<std::filesystem::path>& directories);

}  // namespace pm
