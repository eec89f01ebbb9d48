#include "shared_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace pm::directory {

namespace {

Status failed(const char* what) {
  const Code code = errno == ENOMEM || errno == EMFILE || errno == ENFILE || errno == ENOSPC
                        ? Code::resource_exhausted
                        : Code::internal;
  return {code,
          std::string("shared memory for local clients: ") + what + ": " + std::strerror(errno)};
}

}  // namespace

SharedMemory::~SharedMemory() {
  if (base_ != nullptr) ::munmap(base_, bytes_);
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<SharedMemory> SharedMemory::make(const char* name, std::size_t bytes, bool only_here) {
  SharedMemory memory;
  memory.descriptor_ = ::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (memory.descriptor_ < 0) return failed("memfd_create");
  // A memfd's mode is 0777: without this, who has a read-only descriptor could open it again for
  // writing through /proc.
  if (::fchmod(memory.descriptor_, 0400) != 0) return failed("fchmod");
  if (::ftruncate(memory.descriptor_, static_cast<off_t>(bytes)) != 0) return failed("ftruncate");
  void* base = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory.descriptor_, 0);
  if (base == MAP_FAILED) return failed("mmap");
  memory.base_ = base;
  memory.bytes_ = bytes;
  int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
  // The mapping made above stays writable.
  if (only_here) seals |= F_SEAL_FUTURE_WRITE;
  if (::fcntl(memory.descriptor_, F_ADD_SEALS, seals) != 0) return failed("F_ADD_SEALS");
  return memory;
}

Result<int> SharedMemory::share(bool writable) const {
  int descriptor = -1;
  if (writable) {
    descriptor = ::fcntl(descriptor_, F_DUPFD_CLOEXEC, 0);
  } else {
    const std::string path = "/proc/self/fd/" + std::to_string(descriptor_);
    descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  }
  if (descriptor < 0) return failed(writable ? "dup" : "open for reading");
  return descriptor;
}

}  // namespace pm::directory
