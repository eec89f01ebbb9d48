#include "posix.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <pm/cpp/failpoint.hpp>
#include <system_error>

namespace pm::disk {

namespace {

Code code_of(int error, Code on_io_error) {
  switch (error) {
    case ENOENT: return Code::not_found;
    case EEXIST: return Code::already_exists;
    case EACCES:
    case EPERM: return Code::permission_denied;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case EMFILE:
    case ENFILE:
    case ENOMEM: return Code::resource_exhausted;
    case EROFS:
    case ELOOP:
    case EISDIR:
    case ENOTDIR: return Code::failed_precondition;
    case EIO: return on_io_error;
    case ESTALE:
    case ENXIO:
    case ENODEV: return Code::unavailable;
    case EINVAL: return Code::invalid_argument;
    default: return Code::internal;
  }
}

#if PM_FAILPOINTS
std::atomic<std::uint64_t> fail_fsync_number{0};
std::atomic<std::uint64_t> fsync_count{0};
#endif

}  // namespace

Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

Status errno_status(int error, const std::string& what, Code on_io_error) {
  return {code_of(error, on_io_error), what + ": " + std::generic_category().message(error)};
}

int open_beneath(int directory, const char* path, int flags, mode_t mode) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC | O_NOFOLLOW);
  how.mode = mode;
  how.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  const long fd = ::syscall(SYS_openat2, directory, path, &how, sizeof(how));
  if (fd >= 0) return static_cast<int>(fd);
  // Old kernels lack the call (ENOSYS), and old container profiles refuse it (EPERM).
  if (errno != ENOSYS && errno != EPERM) return -1;
  return ::openat(directory, path, flags | O_CLOEXEC | O_NOFOLLOW, mode);
}

Result<Descriptor> open_regular(int directory, const char* path, int flags,
                                const std::string& shown) {
  Descriptor file(open_beneath(directory, path, flags | O_NONBLOCK));
  if (!file) return errno_status(errno, "cannot open " + shown);
  struct stat state {};
  if (::fstat(file.get(), &state) != 0) return errno_status(errno, "cannot stat " + shown);
  if (!S_ISREG(state.st_mode))
    return Status(Code::failed_precondition,
                  shown + " is not a regular file, so this tier did not make it; move it away");
  // O_NONBLOCK was for FIFOs. io_uring would answer EAGAIN for a file that still has it.
  if (::fcntl(file.get(), F_SETFL, flags & O_DIRECT) != 0)
    return errno_status(errno, "cannot set the flags of " + shown);
  return file;
}

Status sync(int fd, const std::string& shown) {
  int error = 0;
  PM_FAILPOINT("disk.before_sync");
#if PM_FAILPOINTS
  if (fsync_count.fetch_add(1) + 1 == fail_fsync_number.load()) error = EIO;
#endif
  if (error == 0 && ::fsync(fd) != 0) error = errno;
  PM_FAILPOINT("disk.after_sync");
  if (error == 0) return {};
  return {Code::data_loss,
          "fsync of " + shown + ": " + std::generic_category().message(error) +
              "; what this tier has not synced before cannot be trusted, and a second fsync "
              "would not tell; check the device",
          "FSYNC_FAILED"};
}

void start_failpoints() {
#if PM_FAILPOINTS
  const char* number = std::getenv("PM_TIER_DISK_FAIL_FSYNC");
  fsync_count = 0;
  fail_fsync_number = number == nullptr ? 0 : std::strtoull(number, nullptr, 10);
#endif
}

void stop_failpoints() {
#if PM_FAILPOINTS
  fail_fsync_number = 0;
#endif
}

Result<std::string> random_hex() {
  std::uint64_t bits = 0;
  if (::getrandom(&bits, sizeof(bits), 0) != static_cast<ssize_t>(sizeof(bits)))
    return errno_status(errno, "cannot draw random bits");
  char text[17];
  std::snprintf(text, sizeof(text), "%016" PRIx64, bits);
  return std::string(text);
}

}  // namespace pm::disk
