#pragma once

#include <sys/types.h>

#include <pm/cpp/result.hpp>
#include <string>
#include <utility>

// The system calls of this plugin, with ownership and errors as values.

namespace pm::disk {

// Owns a file descriptor.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor();

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

// "WHAT: No such file or directory", under the code that fits errno `error`. EIO becomes
// `on_io_error`, because it means lost bytes for a read and a medium to be avoided for a write.
Status errno_status(int error, const std::string& what, Code on_io_error = Code::unavailable);

// Opens `path` below `directory`, following no symbolic link in any component (openat2(2) with
// RESOLVE_NO_SYMLINKS; on kernels that refuse that call only the last component is guarded).
// Returns -1 and errno. O_CLOEXEC is added.
int open_beneath(int directory, const char* path, int flags, mode_t mode = 0);

// The same for a regular file; anything else of that name is PM_FAILED_PRECONDITION, and a FIFO
// does not block. `shown` is the name for messages.
Result<Descriptor> open_regular(int directory, const char* path, int flags,
                                const std::string& shown);

// fsync(2), once: after a failure the kernel forgets which pages were lost and says yes to the
// next call, so a failure is PM_DATA_LOSS and must not be repeated.
Status sync(int fd, const std::string& shown);

// Where built with failpoints: reads PM_TIER_DISK_FAIL_FSYNC and starts counting calls of sync()
// from one; the call of that number fails with EIO. stop_failpoints() lets all calls through.
void start_failpoints();
void stop_failpoints();

// 64 bits of the kernel's randomness as 16 hexadecimal digits.
Result<std::string> random_hex();

}  // namespace pm::disk
