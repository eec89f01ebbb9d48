#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace pm::test {

inline std::filesystem::path fixture(const std::string& name) {
  return std::filesystem::path(std::getenv("PM_FIXTURES")) / (name + ".so");
}

inline std::string read_all(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream out;
  out << file.rdbuf();
  return out.str();
}

// A directory of its own that plugins may be loaded from, removed at the end.
class Scratch : public testing::Test {
 protected:
  Scratch() {
    char name[] = "/tmp/pm-plugin-test.XXXXXX";
    directory_ = mkdtemp(name);
  }
  ~Scratch() override { std::filesystem::remove_all(directory_); }

  // Puts a fixture there, writable by its owner alone.
  std::filesystem::path put(const std::string& name) { return put(name, read_all(fixture(name))); }

  std::filesystem::path put(const std::string& name, const std::string& bytes) {
    const std::filesystem::path path = directory_ / (name + ".so");
    std::filesystem::remove(path);  // It may be loaded, and must not change under the loader.
    std::ofstream(path, std::ios::binary) << bytes;
    std::filesystem::permissions(path, std::filesystem::perms(0600));
    return path;
  }

  std::filesystem::path directory_;
};

}  // namespace pm::test
