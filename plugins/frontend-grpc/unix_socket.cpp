#include "unix_socket.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace pm::frontend {
namespace {

constexpr const char* kPrivatePrefix = ".pm-bind-";
constexpr int kLockTries = 200;
constexpr useconds_t kLockPauseMicroseconds = 10'000;

Status failed(Code code, const std::string& what, int error) {
  return {code, what + ": " + std::strerror(error)};
}

// Whether a process answers at the socket. A full backlog (EAGAIN) is an answer too.
bool answers(const std::string& path) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return true;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  const int rc = connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  const int error = errno;
  close(fd);
  return rc == 0 || (error != ECONNREFUSED && error != ENOENT);
}

// What a host that was killed between reserve() and publish() left. Nobody else is between the
// two now, because the parent is locked.
void remove_leftovers(const std::string& parent) {
  DIR* directory = opendir(parent.c_str());
  if (directory == nullptr) return;
  while (const dirent* entry = readdir(directory)) {
    const std::string name = entry->d_name;
    if (!name.starts_with(kPrivatePrefix)) continue;
    unlink((parent + "/" + name + "/s").c_str());
    rmdir((parent + "/" + name).c_str());
  }
  closedir(directory);
}

}  // namespace

UnixSocket::UnixSocket(std::string path) : path_(std::move(path)) {
  const auto slash = path_.rfind('/');
  parent_ = slash == 0 ? "/" : path_.substr(0, slash);
}

UnixSocket::~UnixSocket() {
  leave_private_directory();
  remove();
}

Result<std::unique_ptr<UnixSocket>> UnixSocket::reserve(const std::string& path) {
  std::unique_ptr<UnixSocket> result(new UnixSocket(path));
  PM_TRY(result->lock_parent());
  PM_TRY(result->clear_stale());
  PM_TRY(result->make_private_directory());
  return result;
}

Status UnixSocket::lock_parent() {
  parent_fd_ = open(parent_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (parent_fd_ < 0) {
    return failed(Code::failed_precondition,
                  "the directory of the socket " + path_ + " cannot be opened; create it first",
                  errno);
  }
  for (int i = 0; i < kLockTries; ++i) {
    if (flock(parent_fd_, LOCK_EX | LOCK_NB) == 0) return {};
    if (errno != EWOULDBLOCK && errno != EINTR) {
      return failed(Code::unavailable, "cannot lock " + parent_, errno);
    }
    usleep(kLockPauseMicroseconds);
  }
  return {Code::unavailable, "another process keeps " + parent_ + " locked (flock)"};
}

Status UnixSocket::clear_stale() {
  if (path_.size() >= sizeof(sockaddr_un::sun_path)) {
    return {Code::invalid_argument, "the socket path " + path_ + " is longer than 107 bytes"};
  }
  struct stat found {};
  if (lstat(path_.c_str(), &found) != 0) {
    if (errno == ENOENT) return {};
    return failed(Code::failed_precondition, "cannot look at " + path_, errno);
  }
  if (!S_ISSOCK(found.st_mode)) {
    const char* what = S_ISLNK(found.st_mode) ? "a symbolic link" : "not a socket";
    return {Code::failed_precondition,
            path_ + " is " + what + "; remove it or configure another path"};
  }
  if (answers(path_)) {
    return {Code::unavailable,
            "another process listens at " + path_ + "; stop it or configure another path"};
  }
  if (unlink(path_.c_str()) != 0) {
    return failed(Code::unavailable, "cannot remove the stale socket " + path_, errno);
  }
  return {};
}

Status UnixSocket::make_private_directory() {
  remove_leftovers(parent_);
  std::string directory = (parent_ == "/" ? "" : parent_) + "/" + kPrivatePrefix + "XXXXXX";
  if (mkdtemp(directory.data()) == nullptr) {
    return failed(Code::failed_precondition, "cannot make a directory in " + parent_, errno);
  }
  private_directory_ = directory;
  bind_path_ = directory + "/s";
  if (bind_path_.size() >= sizeof(sockaddr_un::sun_path)) {
    return {Code::invalid_argument, "the directory of the socket " + path_ +
                                        " is too deep: gRPC binds at " + bind_path_ +
                                        " first, and 107 bytes are the limit"};
  }
  return {};
}

Status UnixSocket::publish() {
  struct stat made {};
  if (chmod(bind_path_.c_str(), 0600) != 0 || lstat(bind_path_.c_str(), &made) != 0) {
    return failed(Code::unavailable, "cannot restrict " + bind_path_, errno);
  }
  if (link(bind_path_.c_str(), path_.c_str()) != 0) {
    return failed(Code::unavailable, "cannot put the socket at " + path_, errno);
  }
  device_ = made.st_dev;
  inode_ = made.st_ino;
  published_ = true;
  leave_private_directory();
  return {};
}

void UnixSocket::leave_private_directory() {
  if (!private_directory_.empty()) {
    unlink(bind_path_.c_str());
    rmdir(private_directory_.c_str());
    private_directory_.clear();
  }
  if (parent_fd_ >= 0) close(std::exchange(parent_fd_, -1));
}

void UnixSocket::remove() {
  if (!std::exchange(published_, false)) return;
  struct stat found {};
  if (lstat(path_.c_str(), &found) != 0) return;
  if (found.st_dev == device_ && found.st_ino == inode_) unlink(path_.c_str());
}

}  // namespace pm::frontend
