#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/config.h"

namespace pm::test {

// The least that a configuration needs; line 1 to 7.
inline const char* const kMinimal =
    "[repository]\n"
    "plugin = \"org.example.store\"\n"
    "[[tier]]\n"
    "name = \"void\"\n"
    "plugin = \"org.example.void\"\n"
    "number = 5\n"
    "[tier.config]\n";

// A configuration file of its own, removed at the end, and what it loads as.
class Loaded {
 public:
  explicit Loaded(const std::string& text,
                  std::vector<std::pair<std::string, std::string>> environment = {}) {
    char name[] = "/tmp/pm-config-test.XXXXXX";
    directory_ = mkdtemp(name);
    std::ofstream(file()) << text;
    sources.file = file();
    sources.environment = std::move(environment);
    sources.environment.emplace_back("HOME", "/home/someone");
    config = load_config(sources, errors);
  }
  Loaded(const Loaded&) = delete;
  Loaded& operator=(const Loaded&) = delete;
  ~Loaded() { std::filesystem::remove_all(directory_); }

  std::string file() const { return directory_ + "/host.toml"; }

  // All errors, the file's path shortened to FILE.
  std::string text() const {
    std::string out;
    for (std::string line : errors.texts()) {
      const std::size_t at = line.find(file());
      if (at != std::string::npos) line.replace(at, file().size(), "FILE");
      out += line + "\n";
    }
    return out;
  }

  ConfigSources sources;
  HostConfig config;
  config::Errors errors;

 private:
  std::string directory_;
};

}  // namespace pm::test
