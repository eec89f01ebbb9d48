#pragma once

#include <pm/cpp/result.hpp>
#include <string>

namespace pm::repository_sqlite {

// The place of the store: makes its directories (0700) and file (0600), and holds the exclusive
// lock on PATH.lock for its own life. The kernel drops the lock when the process ends, however it
// ends; the small file itself stays, because unlinking it would race with the next host.
class StoreFile {
 public:
  // aborted: another instance holds the store; the words name its process.
  static Result<StoreFile> claim(const std::string& path);

  StoreFile(StoreFile&& other) noexcept
      : path_(std::move(other.path_)),
        lock_fd_(other.lock_fd_),
        is_same_boot_(other.is_same_boot_) {
    other.lock_fd_ = -1;
  }
  StoreFile& operator=(StoreFile&& other) noexcept;
  ~StoreFile();

  const std::string& path() const { return path_; }  // Absolute.

  // The machine has run without a break since note_boot() of the last one.
  bool is_same_boot() const { return is_same_boot_; }
  // The store is open: what a loss of power may have done to it has been put right.
  void note_boot() const;

  // Makes the names of the file and of its directories survive loss of power.
  Status sync_directories() const;

 private:
  StoreFile(std::string path, int lock_fd, bool is_same_boot)
      : path_(std::move(path)), lock_fd_(lock_fd), is_same_boot_(is_same_boot) {}

  std::string path_;
  int lock_fd_ = -1;
  bool is_same_boot_ = false;
};

}  // namespace pm::repository_sqlite
