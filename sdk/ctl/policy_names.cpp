#include "policy_names.h"

#include <filesystem>
#include <utility>

namespace pm::ctl {

namespace {

namespace fs = std::filesystem;

fs::path shipped_directory() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  const fs::path beside =
      program.parent_path().parent_path() / "share" / "payload-manager" / "policies";
  return !error && fs::is_directory(beside, error) ? beside : fs::path(PM_POLICY_DIRECTORY);
}

}  // namespace

Result<policy::SourceFile> find_policy(const std::string& name) {
  if (name.find('/') != std::string::npos || name.ends_with(".lua")) {
    return policy::read_script(name, name);
  }
  const std::string file = name + ".lua";
  return policy::read_script((shipped_directory() / file).string(), file);
}

Result<std::vector<policy::SourceFile>> find_policies(const std::vector<std::string>& names) {
  std::vector<policy::SourceFile> files;
  for (const std::string& name : names) {
    auto file = find_policy(name);
    if (!file.ok()) return file.status();
    files.push_back(*std::move(file));
  }
  return files;
}

}  // namespace pm::ctl
