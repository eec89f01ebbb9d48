#include "plugin_subject.h"

#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

namespace pm::contract {

const pm_plugin_entry_t* load_plugin(const std::string& name, const std::string& folder) {
  const char* build = std::getenv("PM_BUILD_DIR");
  const std::string path =
      std::string(build == nullptr ? "." : build) + "/lib/" + folder + "/" + name + ".so";
  void* library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (library == nullptr) {
    std::fprintf(stderr, "%s\n", ::dlerror());
    return nullptr;
  }
  return static_cast<const pm_plugin_entry_t*>(::dlsym(library, PM_PLUGIN_ENTRY_SYMBOL));
}

TemporaryFolder::TemporaryFolder(const std::string& parent) {
  const std::filesystem::path place =
      parent.empty() ? std::filesystem::temp_directory_path() : std::filesystem::path(parent);
  std::string pattern = (place / "pm-repository-XXXXXX").string();
  if (::mkdtemp(pattern.data()) != nullptr) path_ = pattern;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

std::string sqlite_config(const std::string& path) {
  return R"({"path": ")" + path +
         R"(", "busy_timeout_ms": 5000, "cache_bytes": 16777216,)"
         R"( "wal_autocheckpoint_pages": 4000})";
}

namespace {

Subject subject_of(const std::string& plugin, std::string config, bool is_persistent,
                   const std::string& folder = "payload-manager") {
  return {[plugin, folder, config = std::move(config)]() -> const pm_repository_t* {
            const pm_plugin_entry_t* entry = load_plugin(plugin, folder);
            if (entry == nullptr) return nullptr;
            return static_cast<const pm_repository_t*>(entry->create(test_host(), config.c_str()));
          },
          is_persistent};
}

}  // namespace

Subject memory_subject() { return subject_of("repository-memory", "{}", false); }

Subject sqlite_subject(const std::string& path) {
  return subject_of("repository-sqlite", sqlite_config(path), true);
}

namespace {

Subject behind_faults(const std::string& plugin, const std::string& config, bool is_persistent,
                      const std::string& schedule_file) {
  return subject_of("repository-fault",
                    R"({"plugin": ")" + plugin + R"(", "fault": [], "schedule_file": ")" +
                        schedule_file + R"(", "config": )" + config + "}",
                    is_persistent, "payload-manager-test");
}

}  // namespace

Subject memory_behind_faults_subject() {
  return behind_faults("repository-memory", "{}", false, {});
}

Subject sqlite_behind_faults_subject(const std::string& path, const std::string& schedule_file) {
  return behind_faults("repository-sqlite", sqlite_config(path), true, schedule_file);
}

}  // namespace pm::contract
