#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace pm::policy::test {

// A directory for scripts, which is gone at the end.
class ScriptDirectory {
 public:
  ScriptDirectory() {
    std::string name = std::filesystem::temp_directory_path() / "pm-policy-XXXXXX";
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    path_ = name;
  }
  ~ScriptDirectory() { std::filesystem::remove_all(path_); }
  ScriptDirectory(const ScriptDirectory&) = delete;
  ScriptDirectory& operator=(const ScriptDirectory&) = delete;

  const std::filesystem::path& path() const { return path_; }
  // Put in the place of what was there, as whoever deploys files should.
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / (name + ".new")) << text;
    std::filesystem::rename(path_ / (name + ".new"), path_ / name);
  }

 private:
  std::filesystem::path path_;
};

}  // namespace pm::policy::test
