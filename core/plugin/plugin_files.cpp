#include "core/plugin/plugin_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace pm {
namespace fs = std::filesystem;
namespace {

class Descriptor {
 public:
  explicit Descriptor(int descriptor) : descriptor_(descriptor) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  int get() const { return descriptor_; }

 private:
  int descriptor_;
};

// Whoever can write a plugin, or the directory it lies in, is the host.
Status check_owner(const fs::path& path, const struct stat& status) {
  if (status.st_uid != 0 && status.st_uid != geteuid()) {
    return {Code::permission_denied,
            path.string() + ": belongs to user " + std::to_string(status.st_uid) +
                ", and plugins are loaded only from root or the host's user " +
                std::to_string(geteuid()) + "; change its owner",
            "PLUGIN_OWNER"};
  }
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return {Code::permission_denied,
            path.string() + ": may be written by its group or by others; run chmod go-w on it",
            "PLUGIN_WRITABLE"};
  }
  return {};
}

Status check_directory(const fs::path& directory) {
  if (!directory.is_absolute()) {
    return {Code::invalid_argument,
            "plugins.directories: `" + directory.string() + "` is not an absolute path"};
  }
  struct stat status {};
  if (stat(directory.c_str(), &status) != 0) {
    return {Code::not_found, directory.string() + ": " + std::strerror(errno)};
  }
  if (!S_ISDIR(status.st_mode)) {
    return {Code::invalid_argument, directory.string() + ": is not a directory"};
  }
  return check_owner(directory, status);
}

bool is_within(const fs::path& path, const fs::path& directory) {
  const auto [end, rest] =
      std::mismatch(directory.begin(), directory.end(), path.begin(), path.end());
  return end == directory.end() && rest != path.end();
}

// `path` has no symbolic link left in it.
Result<PluginFile> inspect(const fs::path& path) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (file.get() < 0) return Status{Code::unavailable, path.string() + ": " + strerror(errno)};
  struct stat status {};
  if (fstat(file.get(), &status) != 0) {
    return Status{Code::unavailable, path.string() + ": " + strerror(errno)};
  }
  PM_TRY(check_owner(path, status));
  auto identity = read_plugin_note(file.get());
  Status why =
      identity.ok() ? check_abi(identity->abi_major, identity->abi_minor) : identity.status();
  if (!why.ok()) {
    return Status{why.code(), path.string() + ": " + why.message(), why.reason()};
  }
  return PluginFile{path, *std::move(identity)};
}

bool seen(const PluginFiles& files, const fs::path& path) {
  const auto same = [&](const auto& file) { return file.path == path; };
  return std::any_of(files.found.begin(), files.found.end(), same) ||
         std::any_of(files.refused.begin(), files.refused.end(), same);
}

void add_file(const fs::path& entry, const fs::path& directory, PluginFiles& files) {
  std::error_code error;
  const fs::path path = fs::canonical(entry, error);
  if (error) {
    files.refused.push_back(
        {entry, Status{Code::not_found, entry.string() + ": " + error.message()}});
    return;
  }
  if (!is_within(path, directory)) {
    files.refused.push_back(
        {entry,
         Status{Code::permission_denied,
                entry.string() + ": is a symbolic link that leads out of its directory, to " +
                    path.string() + "; add that directory to plugins.directories instead",
                "PLUGIN_LINK"}});
    return;
  }
  if (seen(files, path)) return;
  auto plugin = inspect(path);
  if (plugin.ok()) {
    files.found.push_back(*std::move(plugin));
  } else {
    files.refused.push_back({path, plugin.status()});
  }
}

Status add_directory(const fs::path& configured, PluginFiles& files) {
  PM_TRY(check_directory(configured));
  std::error_code error;
  const fs::path directory = fs::canonical(configured, error);
  std::vector<fs::path> entries;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    if (entry->path().extension() == ".so") entries.push_back(entry->path());
  }
  if (error) return {Code::unavailable, configured.string() + ": " + error.message()};
  std::sort(entries.begin(), entries.end());
  for (const fs::path& entry : entries) add_file(entry, directory, files);
  return {};
}

Status check_ids(const std::vector<PluginFile>& sorted) {
  const auto same_id = [](const PluginFile& a, const PluginFile& b) {
    return a.identity.id == b.identity.id;
  };
  const auto twin = std::adjacent_find(sorted.begin(), sorted.end(), same_id);
  if (twin == sorted.end()) return {};
  return {Code::already_exists,
          "two plugins have the id " + twin->identity.id + ": " + twin->path.string() + " and " +
              std::next(twin)->path.string() + "; remove one",
          "PLUGIN_DUPLICATE"};
}

}  // namespace

const PluginFile* PluginFiles::find(std::string_view id) const {
  for (const PluginFile& file : found) {
    if (file.identity.id == id) return &file;
  }
  return nullptr;
}

Result<PluginFiles> find_plugins(const std::vector<fs::path>& directories) {
  try {
    PluginFiles files;
    for (const fs::path& directory : directories) PM_TRY(add_directory(directory, files));
    std::sort(files.found.begin(), files.found.end(),
              [](const auto& a, const auto& b) { return a.identity.id < b.identity.id; });
    PM_TRY(check_ids(files.found));
    return files;
  } catch (const fs::filesystem_error& error) {
    return Status{Code::unavailable, error.what()};
  }
}

}  // namespace pm
