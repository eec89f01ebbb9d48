#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <pm/cpp/result.hpp>
#include <string>
#include <utility>

// Where a frontend's Unix socket stands in the file system.

namespace pm::sdk {

// The name of a Unix socket in the file system. Its server binds inside a private directory beside
// it; publish() then links the socket to its name with its mode, so that at no time anybody else
// can connect, and a name that is taken stays what it is. The parent directory is locked from
// reserve() to publish(): of two hosts that start at once, one sees the other's socket.
class UnixSocket {
 public:
  // UNAVAILABLE: another process answers there. FAILED_PRECONDITION: what is there is no socket.
  static Result<std::unique_ptr<UnixSocket>> reserve(const std::string& path);

  UnixSocket(const UnixSocket&) = delete;
  UnixSocket& operator=(const UnixSocket&) = delete;
  ~UnixSocket();

  const std::string& bind_path() const { return bind_path_; }
  // `mode`: permission bits; 0600 lets only the owner connect.
  Status publish(mode_t mode = 0600);

  // Removes the name, if it is still ours.
  void remove();

 private:
  explicit UnixSocket(std::string path);
  Status lock_parent();
  Status clear_stale();
  Status make_private_directory();
  void leave_private_directory();

  std::string path_;
  std::string parent_;
  std::string private_directory_;
  std::string bind_path_;
  int parent_fd_ = -1;
  bool published_ = false;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

namespace unix_socket_detail {

inline constexpr const char* kPrivatePrefix = ".pm-bind-";
inline constexpr int kLockTries = 200;
inline constexpr useconds_t kLockPauseMicroseconds = 10'000;

inline Status failed(Code code, const std::string& what, int error) {
  return {code, what + ": " + std::strerror(error)};
}

// Whether a process answers at the socket. A full backlog (EAGAIN) is an answer too.
inline bool answers(const std::string& path) {
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
inline void remove_leftovers(const std::string& parent) {
  DIR* directory = opendir(parent.c_str());
  if (directory == nullptr) return;
  while (const dirent* entry = readdir(directory)) {
    const std::string name = entry->d_name;
    if (name.rfind(kPrivatePrefix, 0) != 0) continue;
    unlink((parent + "/" + name + "/s").c_str());
    rmdir((parent + "/" + name).c_str());
  }
  closedir(directory);
}

}  // namespace unix_socket_detail

inline UnixSocket::UnixSocket(std::string path) : path_(std::move(path)) {
  const auto slash = path_.rfind('/');
  parent_ = slash == 0 ? "/" : path_.substr(0, slash);
}

inline UnixSocket::~UnixSocket() {
  leave_private_directory();
  remove();
}

inline Result<std::unique_ptr<UnixSocket>> UnixSocket::reserve(const std::string& path) {
  std::unique_ptr<UnixSocket> result(new UnixSocket(path));
  PM_TRY(result->lock_parent());
  PM_TRY(result->clear_stale());
  PM_TRY(result->make_private_directory());
  return result;
}

inline Status UnixSocket::lock_parent() {
  parent_fd_ = open(parent_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (parent_fd_ < 0) {
    return unix_socket_detail::failed(
        Code::failed_precondition,
        "the directory of the socket " + path_ + " cannot be opened; create it first", errno);
  }
  for (int i = 0; i < unix_socket_detail::kLockTries; ++i) {
    if (flock(parent_fd_, LOCK_EX | LOCK_NB) == 0) return {};
    if (errno != EWOULDBLOCK && errno != EINTR) {
      return unix_socket_detail::failed(Code::unavailable, "cannot lock " + parent_, errno);
    }
    usleep(unix_socket_detail::kLockPauseMicroseconds);
  }
  return {Code::unavailable, "another process keeps " + parent_ + " locked (flock)"};
}

inline Status UnixSocket::clear_stale() {
  if (path_.size() >= sizeof(sockaddr_un::sun_path)) {
    return {Code::invalid_argument, "the socket path " + path_ + " is longer than 107 bytes"};
  }
  struct stat found {};
  if (lstat(path_.c_str(), &found) != 0) {
    if (errno == ENOENT) return {};
    return unix_socket_detail::failed(Code::failed_precondition, "cannot look at " + path_, errno);
  }
  if (!S_ISSOCK(found.st_mode)) {
    const char* what = S_ISLNK(found.st_mode) ? "a symbolic link" : "not a socket";
    return {Code::failed_precondition,
            path_ + " is " + what + "; remove it or configure another path"};
  }
  if (unix_socket_detail::answers(path_)) {
    return {Code::unavailable,
            "another process listens at " + path_ + "; stop it or configure another path"};
  }
  if (unlink(path_.c_str()) != 0) {
    return unix_socket_detail::failed(Code::unavailable, "cannot remove the stale socket " + path_,
                                      errno);
  }
  return {};
}

inline Status UnixSocket::make_private_directory() {
  unix_socket_detail::remove_leftovers(parent_);
  std::string directory =
      (parent_ == "/" ? "" : parent_) + "/" + unix_socket_detail::kPrivatePrefix + "XXXXXX";
  if (mkdtemp(directory.data()) == nullptr) {
    return unix_socket_detail::failed(Code::failed_precondition,
                                      "cannot make a directory in " + parent_, errno);
  }
  private_directory_ = directory;
  bind_path_ = directory + "/s";
  if (bind_path_.size() >= sizeof(sockaddr_un::sun_path)) {
    return {Code::invalid_argument, "the directory of the socket " + path_ +
                                        " is too deep: it is bound at " + bind_path_ +
                                        " first, and 107 bytes are the limit"};
  }
  return {};
}

inline Status UnixSocket::publish(mode_t mode) {
  struct stat made {};
  if (chmod(bind_path_.c_str(), mode) != 0 || lstat(bind_path_.c_str(), &made) != 0) {
    return unix_socket_detail::failed(Code::unavailable, "cannot restrict " + bind_path_, errno);
  }
  if (link(bind_path_.c_str(), path_.c_str()) != 0) {
    return unix_socket_detail::failed(Code::unavailable, "cannot put the socket at " + path_,
                                      errno);
  }
  device_ = made.st_dev;
  inode_ = made.st_ino;
  published_ = true;
  leave_private_directory();
  return {};
}

inline void UnixSocket::leave_private_directory() {
  if (!private_directory_.empty()) {
    unlink(bind_path_.c_str());
    rmdir(private_directory_.c_str());
    private_directory_.clear();
  }
  if (parent_fd_ >= 0) close(std::exchange(parent_fd_, -1));
}

inline void UnixSocket::remove() {
  if (!std::exchange(published_, false)) return;
  struct stat found {};
  if (lstat(path_.c_str(), &found) != 0) return;
  if (found.st_dev == device_ && found.st_ino == inode_) unlink(path_.c_str());
}

}  // namespace pm::sdk
