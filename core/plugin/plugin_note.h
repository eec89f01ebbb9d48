#pragma once

#include <cstdint>
#include <pm/cpp/result.hpp>
#include <string>

// Reads what a plugin says about itself in its ELF note (pm_plugin_note_t in pm/plugin.h), from the
// file's bytes alone: nothing of the file is mapped or run. File layout: elf(5), ELF-64.

namespace pm {

struct PluginIdentity {
  std::uint32_t abi_major = 0;
  std::uint32_t abi_minor = 0;
  std::string kind;  // PM_KIND_TIER, PM_KIND_REPOSITORY or PM_KIND_FRONTEND
  std::string id;    // Reverse DNS: letters, digits, '.', '-' and '_'
};

// `descriptor` is a file open for reading; its offset is not used. Errors (the caller adds the
// path): not_found when the file is a shared library without a note, failed_precondition when the
// file is not a library for this machine, invalid_argument when it is damaged or the note's
// content is not allowed, unavailable when it cannot be read. The ABI's version is not judged.
Result<PluginIdentity> read_plugin_note(int descriptor);

// Refuses every version of the ABI but the host's own.
Status check_abi(std::uint32_t abi_major, std::uint32_t abi_minor);

}  // namespace pm
