#include "shm_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <vector>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U  // Linux 6.3; the C library of Debian 12 does not know it.
#endif

namespace pm::shm {
namespace {

// Small enough that a cancelled reservation ends soon, large enough that the calls do not count.
constexpr std::uint64_t reserve_step_bytes = 64 << 20;

Code code_of(int error) {
  switch (error) {
    case ENOENT: return Code::not_found;
    case EEXIST: return Code::already_exists;
    case ENOSPC:
    case ENOMEM:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case EFBIG: return Code::resource_exhausted;
    case EACCES:
    case EPERM:
    case ELOOP: return Code::permission_denied;
    default: return Code::internal;
  }
}

bool cancelled(const pm_call_context_t* context) {
  return context != nullptr && context->size >= sizeof *context &&
         context->is_cancelled != nullptr && context->is_cancelled(context);
}

// Of the file system; more than anyone asks for when it does not say.
std::uint64_t free_bytes(int descriptor) {
  struct statvfs file_system {};
  if (::fstatvfs(descriptor, &file_system) != 0 || file_system.f_blocks == 0) return UINT64_MAX;
  return std::uint64_t{file_system.f_bavail} * file_system.f_frsize;
}

Status no_room(int error, std::uint64_t length) {
  return errno_status(error, "no room for " + std::to_string(length) + " bytes in /dev/shm");
}

}  // namespace

Status errno_status(int error, const std::string& what) {
  return {code_of(error), what + ": " + std::generic_category().message(error)};
}

ShmFile::~ShmFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<ShmFile> ShmFile::open(const std::string& name, int flags) {
  // O_NONBLOCK: whoever put a FIFO under our name must not make us wait.
  ShmFile file(::shm_open(name.c_str(), flags | O_NONBLOCK, 0));
  if (file.get() < 0) return errno_status(errno, "cannot open shared memory " + name);
  const auto status = file.stat();
  if (!status.ok()) return status.status();
  if (!S_ISREG(status->st_mode) || status->st_uid != ::geteuid()) {
    return Status(Code::permission_denied,
                  "shared memory " + name + " was made by another user; remove it");
  }
  return file;
}

Result<ShmFile> ShmFile::create(const std::string& name, mode_t mode) {
  ShmFile file(::shm_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, mode));
  if (file.get() < 0) return errno_status(errno, "cannot create shared memory " + name);
  const auto status = file.stat();
  if (!status.ok()) return status.status();
  // The umask may have taken away what the operator asked for; it never adds anything.
  if ((status->st_mode & 0777) != mode) {
    if (const Status changed = file.set_mode(mode); !changed.ok()) {
      ::shm_unlink(name.c_str());
      return changed;
    }
  }
  return file;
}

Result<ShmFile> ShmFile::create_nameless(const std::string& label, mode_t mode) {
  constexpr unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  ShmFile file(::memfd_create(label.c_str(), flags | MFD_NOEXEC_SEAL));
  if (file.get() < 0 && errno == EINVAL) {
    file = ShmFile(::memfd_create(label.c_str(), flags));  // An older kernel.
  }
  if (file.get() < 0) return errno_status(errno, "cannot create a memfd");
  PM_TRY(file.set_mode(mode));
  return file;
}

int ShmFile::add_seals(int seals) const {
  return ::fcntl(descriptor_, F_ADD_SEALS, seals) == 0 ? 0 : errno;
}

Result<int> ShmFile::seals() const {
  const int seals = ::fcntl(descriptor_, F_GET_SEALS);
  if (seals < 0) return errno_status(errno, "cannot read the seals of a memfd");
  return seals;
}

Result<int> ShmFile::open_again(int flags) const {
  const std::string path = "/proc/self/fd/" + std::to_string(descriptor_);
  const int again = ::open(path.c_str(), flags | O_CLOEXEC);
  if (again >= 0) return again;
  const Status failed = errno_status(errno, "cannot open a memfd again by " + path);
  if (failed.code() != Code::not_found) return failed;
  return Status(Code::internal, failed.message() + "; is /proc mounted?");
}

Status ShmFile::set_mode(mode_t mode) const {
  if (::fchmod(descriptor_, mode) == 0) return {};
  return errno_status(errno, "cannot change the mode of shared memory");
}

Result<int> ShmFile::hand_over() {
  // open() asked for O_NONBLOCK, which io_uring takes at its word.
  if (::fcntl(descriptor_, F_SETFL, 0) != 0) return errno_status(errno, "fcntl of shared memory");
  return std::exchange(descriptor_, -1);
}

Result<struct stat> ShmFile::stat() const {
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0) return errno_status(errno, "fstat of shared memory");
  return status;
}

Status ShmFile::reserve(std::uint64_t length, const pm_call_context_t* context) const {
  // A large object that cannot fit must not first fill the memory of the machine.
  if (length > reserve_step_bytes && length > free_bytes(descriptor_)) {
    return no_room(ENOSPC, length);
  }
  for (std::uint64_t done = 0; done < length;) {
    if (cancelled(context)) return {Code::cancelled, "the allocation was cancelled"};
    const std::uint64_t step = std::min(length - done, reserve_step_bytes);
    const int error =
        ::posix_fallocate(descriptor_, static_cast<off_t>(done), static_cast<off_t>(step));
    if (error == EINTR) continue;
    if (error != 0) return no_room(error, length);
    done += step;
  }
  return {};
}

Status ShmFile::set_length(std::uint64_t length) const {
  if (length > free_bytes(descriptor_)) return no_room(ENOSPC, length);
  if (::ftruncate(descriptor_, static_cast<off_t>(length)) != 0) return no_room(errno, length);
  return {};
}

Result<std::uint64_t> ShmFile::read(std::uint64_t offset, void* target,
                                    std::uint64_t length) const {
  std::uint64_t done = 0;
  while (done < length) {
    const ssize_t count = ::pread(descriptor_, static_cast<char*>(target) + done, length - done,
                                  static_cast<off_t>(offset + done));
    if (count == 0) break;
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno_status(errno, "cannot read shared memory");
    done += static_cast<std::uint64_t>(count);
  }
  return done;
}

Status ShmFile::write(std::uint64_t offset, const void* source, std::uint64_t length) const {
  for (std::uint64_t done = 0; done < length;) {
    const ssize_t count = ::pwrite(descriptor_, static_cast<const char*>(source) + done,
                                   length - done, static_cast<off_t>(offset + done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno_status(errno, "cannot write shared memory");
    done += static_cast<std::uint64_t>(count);
  }
  return {};
}

Status ShmFile::write_zeros(std::uint64_t offset, std::uint64_t length) const {
  static const std::vector<char> zeros(256 << 10);
  for (std::uint64_t done = 0; done < length;) {
    const std::uint64_t step = std::min<std::uint64_t>(length - done, zeros.size());
    PM_TRY(write(offset + done, zeros.data(), step));
    done += step;
  }
  return {};
}

}  // namespace pm::shm
