#include "store_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>

namespace pm::repository_sqlite {

namespace {

Status system_failure(const std::string& doing, const std::string& path, int error) {
  Code code = Code::unavailable;
  if (error == EACCES || error == EPERM || error == EROFS) code = Code::permission_denied;
  if (error == ENOTDIR || error == EISDIR || error == ELOOP || error == ENAMETOOLONG)
    code = Code::failed_precondition;
  return {code, doing + " " + path + ": " + std::strerror(error)};
}

Status make_directories(const std::filesystem::path& directory) {
  std::filesystem::path made;
  for (const auto& part : directory) {
    made /= part;
    if (::mkdir(made.c_str(), 0700) != 0 && errno != EEXIST) {
      const int error = errno;
      // A parent that exists may still refuse mkdir with EACCES or EROFS; that alone is no harm.
      struct stat found;
      if (::stat(made.c_str(), &found) != 0)
        return system_failure("making directory", made.string(), error);
    }
  }
  return {};
}

// "process 4711", from what the holder wrote into the file.
std::string holder_of(int fd) {
  char text[32] = {};
  const ssize_t length = ::pread(fd, text, sizeof text - 1, 0);
  const long pid = length > 0 ? std::strtol(text, nullptr, 10) : 0;
  return pid > 0 ? "process " + std::to_string(pid) : std::string("another process");
}

std::string read_boot_id() {
  char id[64] = {};
  std::FILE* file = std::fopen("/proc/sys/kernel/random/boot_id", "re");
  if (file == nullptr) return {};
  const bool is_read = std::fgets(id, sizeof id, file) != nullptr;
  std::fclose(file);
  if (!is_read) return {};
  id[std::strcspn(id, "\n")] = '\0';
  return id;
}

// A holder that cannot write this still holds the lock.
void write_holder(int fd, const std::string& boot) {
  const std::string words = std::to_string(::getpid()) + "\n" + boot + "\n";
  if (::ftruncate(fd, 0) != 0 || ::pwrite(fd, words.data(), words.size(), 0) < 0) errno = 0;
}

struct Lock {
  int fd;
  bool is_same_boot;
};

// The file tells who holds it, for people, and on which boot of the machine it was opened last.
Result<Lock> lock(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return system_failure("opening", path, errno);
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    Status status = error == EWOULDBLOCK
                        ? Status(Code::aborted, holder_of(fd) + " holds " + path +
                                                    "; stop it, or give this host a store of "
                                                    "its own")
                        : system_failure("locking", path, error);
    ::close(fd);
    return status;
  }
  char text[128] = {};
  const ssize_t length = ::pread(fd, text, sizeof text - 1, 0);
  const char* line = length > 0 ? std::strchr(text, '\n') : nullptr;
  const std::string last_boot =
      line != nullptr ? std::string(line + 1, std::strcspn(line + 1, "\n")) : std::string();
  write_holder(fd, last_boot);
  return Lock{fd, !last_boot.empty() && last_boot == read_boot_id()};
}

}  // namespace

Result<StoreFile> StoreFile::claim(const std::string& path) {
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error);
  if (error || !absolute.has_filename())
    return Status(Code::invalid_argument, "path '" + path + "' does not name a file");
  PM_TRY(make_directories(absolute.parent_path()));
  Result<Lock> locked = lock(absolute.string() + ".lock");
  if (!locked.ok()) return locked.status();
  StoreFile result(absolute.string(), locked->fd, locked->is_same_boot);

  // SQLite gives its -wal and -shm files the mode of this one.
  const int fd = ::open(result.path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return system_failure("opening", result.path_, errno);
  struct stat found;
  const bool is_file = ::fstat(fd, &found) == 0 && S_ISREG(found.st_mode);
  ::close(fd);
  if (!is_file) return Status(Code::failed_precondition, result.path_ + " is not a regular file");
  return result;
}

StoreFile& StoreFile::operator=(StoreFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(lock_fd_, other.lock_fd_);
  std::swap(is_same_boot_, other.is_same_boot_);
  return *this;
}

StoreFile::~StoreFile() {
  if (lock_fd_ >= 0) ::close(lock_fd_);
}

void StoreFile::note_boot() const { write_holder(lock_fd_, read_boot_id()); }

Status StoreFile::sync_directories() const {
  // Which of them this process made is not worth remembering: once per start, up to the root.
  std::filesystem::path directory = std::filesystem::path(path_).parent_path();
  for (bool nearest = true;; nearest = false) {
    const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    // A distant parent that this process may not read was not made by it either.
    if (fd < 0 && nearest) return system_failure("opening", directory.string(), errno);
    if (fd >= 0) {
      const int result = ::fsync(fd);
      const int error = errno;
      ::close(fd);
      // EINVAL: a file system that has nothing to sync for a directory.
      if (result != 0 && nearest && error != EINVAL)
        return {Code::data_loss,
                "syncing directory " + directory.string() + ": " + std::strerror(error)};
    }
    if (directory == directory.parent_path()) return {};
    directory = directory.parent_path();
  }
}

}  // namespace pm::repository_sqlite
