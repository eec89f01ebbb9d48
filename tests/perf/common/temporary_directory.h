#pragma once

#include <string>

namespace pm::perf {

// A directory of its own under $TMPDIR or /tmp, removed with its contents.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// A prefix for a tier's names under /dev/shm that nobody else has; what is left under it is removed
// at the end.
class ShmPrefix {
 public:
  ShmPrefix();
  ~ShmPrefix();
  ShmPrefix(const ShmPrefix&) = delete;
  ShmPrefix& operator=(const ShmPrefix&) = delete;

  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace pm::perf
