#include "core/plugin/plugin_set.h"

namespace pm {

Result<PluginSet> PluginSet::find(const std::vector<std::filesystem::path>& directories) {
  PluginSet plugins;
  auto files = find_plugins(directories);
  if (!files.ok()) return files.status();
  plugins.files_ = *std::move(files);
  for (const auto& directory : directories) {
    plugins.directories_ += (plugins.directories_.empty() ? "" : ", ") + directory.string();
  }
  return plugins;
}

Result<PluginLibrary> PluginSet::load(const std::string& id, const std::string& kind) {
  const PluginFile* file = files_.find(id);
  if (file == nullptr) {
    std::string text = "there is no plugin `" + id + "` in " + directories_ + "; found:";
    for (const PluginFile& other : files_.found) text += " " + other.identity.id;
    if (files_.found.empty()) text += " none";
    for (const RefusedFile& other : files_.refused) text += "; refused: " + other.why.message();
    return Status{Code::not_found, text};
  }
  if (file->identity.kind != kind) {
    return Status{Code::invalid_argument, "the plugin `" + id + "` is a " + file->identity.kind +
                                              ", and a " + kind + " is needed here"};
  }
  if (const auto known = loaded_.find(id); known != loaded_.end()) return known->second;
  auto library = PluginLibrary::load(*file);
  if (library.ok()) loaded_.emplace(id, *library);
  return library;
}

}  // namespace pm
