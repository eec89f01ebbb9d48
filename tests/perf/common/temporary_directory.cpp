#include "temporary_directory.h"

#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>

#include "report.h"

namespace pm::perf {
namespace fs = std::filesystem;

TemporaryDirectory::TemporaryDirectory() {
  const char* base = std::getenv("TMPDIR");
  path_ = std::string(base == nullptr ? "/tmp" : base) + "/pm-perf-XXXXXX";
  must(mkdtemp(path_.data()) != nullptr, "cannot make " + path_);
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

ShmPrefix::ShmPrefix() {
  static std::atomic<unsigned> count{0};
  text_ = "pm-perf-" + std::to_string(getpid()) + "-" + std::to_string(count++);
}

ShmPrefix::~ShmPrefix() {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/dev/shm", ignored)) {
    if (entry.path().filename().string().starts_with(text_ + "-")) {
      fs::remove(entry.path(), ignored);
    }
  }
}

}  // namespace pm::perf
