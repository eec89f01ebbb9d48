#include "touched_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "report.h"

namespace pm::perf {

TouchedMemory::TouchedMemory(std::size_t bytes) : bytes_(bytes) {
  const int fd = memfd_create("pm-perf", MFD_CLOEXEC);
  must(fd >= 0 && ftruncate(fd, static_cast<off_t>(bytes)) == 0, "no shared memory");
  base_ = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
  close(fd);
  must(base_ != MAP_FAILED, "cannot map shared memory");
  std::memset(base_, 1, bytes);
}

TouchedMemory::~TouchedMemory() { munmap(base_, bytes_); }

}  // namespace pm::perf
