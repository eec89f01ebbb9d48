#include <sys/stat.h>

#include <fstream>
#include <sstream>
#include <stdexcept>

#include "replay.h"

namespace pm::power {

namespace fs = std::filesystem;

namespace {

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::uint64_t inode_of(const fs::path& path) {
  struct stat found {};
  return ::lstat(path.c_str(), &found) == 0 ? found.st_ino : 0;
}

}  // namespace

Tree Tree::read(const fs::path& root) {
  Tree tree;
  if (!fs::exists(root)) return tree;
  const fs::path above = root.parent_path();
  tree.directories.insert(root.lexically_relative(above).string());
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    const std::string path = entry.path().lexically_relative(above).string();
    if (entry.is_directory()) {
      tree.directories.insert(path);
    } else if (!path.ends_with("-shm")) {
      tree.files.emplace(path, read_file(entry.path()));
    }
  }
  return tree;
}

void Tree::write_below(const fs::path& directory) const {
  for (const std::string& path : directories) fs::create_directories(directory / path);
  for (const auto& [path, bytes] : files) {
    std::ofstream file(directory / path, std::ios::binary);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    if (!file.flush()) throw std::runtime_error("cannot write " + (directory / path).string());
    fs::permissions(directory / path, fs::perms::owner_read | fs::perms::owner_write);
  }
}

std::string difference(const Tree& expected, const Tree& found) {
  std::string words;
  for (const std::string& path : expected.directories) {
    if (found.directories.count(path) == 0) words += path + "/ is missing; ";
  }
  for (const std::string& path : found.directories) {
    if (expected.directories.count(path) == 0) words += path + "/ is too much; ";
  }
  for (const auto& [path, bytes] : expected.files) {
    const auto other = found.files.find(path);
    if (other == found.files.end()) {
      words += path + " is missing; ";
    } else if (other->second != bytes) {
      words += path + " differs (" + std::to_string(bytes.size()) + " and " +
               std::to_string(other->second.size()) + " bytes); ";
    }
  }
  for (const auto& [path, bytes] : found.files) {
    if (expected.files.count(path) == 0) words += path + " is too much; ";
  }
  return words;
}

std::map<std::string, std::uint64_t> inodes_below(const fs::path& root) {
  std::map<std::string, std::uint64_t> inodes;
  if (!fs::exists(root)) return inodes;
  const fs::path above = root.parent_path();
  inodes[root.lexically_relative(above).string()] = inode_of(root);
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    inodes[entry.path().lexically_relative(above).string()] = inode_of(entry.path());
  }
  return inodes;
}

}  // namespace pm::power
