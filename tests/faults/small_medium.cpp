#include "small_medium.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <vector>

#include "host_process.h"

namespace pm::faults {

namespace fs = std::filesystem;

std::string cannot_mount() {
  static const std::string why = []() -> std::string {
    if (::geteuid() != 0) return "only root may mount";
    if (::unshare(CLONE_NEWNS) != 0 ||
        ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
      return std::string("no mount namespace: ") + std::strerror(errno);
    }
    return {};
  }();
  return why;
}

std::string SmallMedium::mount_memory(const fs::path& at, std::uint64_t bytes) {
  fs::create_directories(at);
  const std::string options = "mode=1777,size=" + std::to_string(bytes);
  if (::mount("tmpfs", at.c_str(), "tmpfs", 0, options.c_str()) == 0) return {};
  return "no tmpfs: " + std::string(std::strerror(errno));
}

std::string SmallMedium::mount_disk(const fs::path& at, std::uint64_t bytes,
                                    const fs::path& backing, std::uint64_t backing_bytes) {
  if (const std::string why = mount_memory(backing, backing_bytes); !why.empty()) return why;
  const fs::path image = backing / "image";
  std::ofstream(image).close();
  fs::resize_file(image, bytes);
  fs::create_directories(at);
  const std::vector<std::string> commands[] = {
      {"/sbin/mkfs.ext4", "-q", "-F", "-J", "size=1", "-N", "1024", "-E",
       "lazy_itable_init=1,lazy_journal_init=1", image.string()},
      {"/bin/mount", "-o", "loop,noinit_itable", image.string(), at.string()}};
  for (const auto& command : commands) {
    const auto run = integration::run_program(command);
    if (run.exit.code != 0) return command.front() + ": " + run.output;
  }
  return {};
}

void SmallMedium::unmount(const fs::path& at) { ::umount2(at.c_str(), MNT_DETACH); }

Ballast::Ballast(const fs::path& directory) : file_(directory / "ballast") {
  const int fd = ::open(file_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  off_t at = 0;
  for (off_t step = 1 << 20; step >= 1024; step /= 2) {
    while (::posix_fallocate(fd, at, step) == 0) at += step;
  }
  ::close(fd);
}

Ballast::~Ballast() {
  std::error_code ignored;
  fs::remove(file_, ignored);
}

}  // namespace pm::faults
