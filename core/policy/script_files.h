#pragma once

#include <pm/cpp/result.hpp>
#include <string>
#include <vector>

#include "rules.h"

namespace pm::policy {

// Where scripts come from.
struct ScriptPlaces {
  std::string shipped_directory;
  std::vector<std::string> use;  // Of those that ship, in this order: "lru" is lru.lua.
  std::string directory;         // All of its .lua files, by name, after them; empty: none.
};

// Names of files stand in errors as they are in their directory: "lru.lua". NOT_FOUND,
// FAILED_PRECONDITION or INVALID_ARGUMENT says which file, and why.
Result<std::vector<SourceFile>> read_scripts(const ScriptPlaces& places);

// One file, which may lie anywhere; `name` stands in errors.
Result<SourceFile> read_script(const std::string& path, const std::string& name);

// Another text when a file was written, came or went: made of names, sizes and times only.
std::string fingerprint_of(const ScriptPlaces& places);

}  // namespace pm::policy
