#include "core/plugin/plugin_library.h"

#include <boost/dll/shared_library.hpp>
#include <exception>
#include <string>
#include <vector>

namespace pm {
namespace {

Status mismatch(const PluginFile& file, const std::string& what) {
  return {Code::invalid_argument, file.path.string() + ": " + what, "PLUGIN_ENTRY"};
}

// Operators and their tools are shown these texts: in logs, in ListPlugins.
bool is_plain(const char* text) {
  std::size_t length = 0;
  while (text[length] >= 0x20 && text[length] <= 0x7e) {
    if (++length == kPluginTextBytesMax) return false;
  }
  return length > 0 && text[length] == '\0';
}

Status check_entry(const PluginFile& file, const pm_plugin_entry_t& entry) {
  const PluginIdentity& note = file.identity;
  if (entry.abi_major != note.abi_major || entry.abi_minor != note.abi_minor) {
    return mismatch(file, "its entry names another version of the ABI than its note");
  }
  if (entry.descriptor == nullptr) return mismatch(file, "its entry has no `descriptor`");
  if (entry.create == nullptr) return mismatch(file, "its entry has no `create`");
  const pm_plugin_descriptor_t& descriptor = *entry.descriptor;
  if (descriptor.size != sizeof descriptor) {
    return mismatch(file, "its descriptor has " + std::to_string(descriptor.size) + " bytes, not " +
                              std::to_string(sizeof descriptor));
  }
  const struct {
    const char* name;
    const char* value;
  } texts[] = {{"id", descriptor.id},
               {"name", descriptor.name},
               {"version", descriptor.version},
               {"kind", descriptor.kind}};
  for (const auto& text : texts) {
    if (text.value == nullptr) {
      return mismatch(file, std::string("its descriptor has no `") + text.name + "`");
    }
    if (!is_plain(text.value)) {
      return mismatch(file, std::string("the `") + text.name +
                                "` of its descriptor is not 1 to 255 printable ASCII characters");
    }
  }
  if (note.id != descriptor.id || note.kind != descriptor.kind) {
    return mismatch(file, "its descriptor says " + std::string(descriptor.kind) + " " +
                              descriptor.id + ", and its note says " + note.kind + " " + note.id);
  }
  return {};
}

// Keeps the library loaded for good. The list is never destroyed: a plugin's code may still run
// while static objects are.
void keep(boost::dll::shared_library library) {
  static auto* const kept = new std::vector<boost::dll::shared_library>;
  kept->push_back(std::move(library));
}

}  // namespace

Result<PluginLibrary> PluginLibrary::from_entry(const PluginFile& file,
                                                const pm_plugin_entry_t& entry) {
  PM_TRY(check_entry(file, entry));
  return PluginLibrary(&entry, file.path);
}

Result<PluginLibrary> PluginLibrary::load(const PluginFile& file) {
  try {
    namespace dll = boost::dll;
    // This overload throws, and its words carry those of dlerror(3); the other's do not.
    dll::shared_library library(file.path, dll::load_mode::rtld_now | dll::load_mode::rtld_local);
    if (!library.has(PM_PLUGIN_ENTRY_SYMBOL)) {
      return mismatch(file, "does not export `" PM_PLUGIN_ENTRY_SYMBOL "`");
    }
    const auto* entry = &library.get<const pm_plugin_entry_t>(PM_PLUGIN_ENTRY_SYMBOL);
    keep(std::move(library));
    return from_entry(file, *entry);
  } catch (const std::exception& error) {
    return Status{Code::unavailable, file.path.string() + ": cannot be loaded: " + error.what(),
                  "PLUGIN_LOAD"};
  }
}

}  // namespace pm
