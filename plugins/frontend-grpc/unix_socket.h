#pragma once

#include <sys/types.h>

#include <memory>
#include <pm/cpp/result.hpp>
#include <string>

namespace pm::frontend {

// The name of a Unix socket in the file system. gRPC binds inside a private directory beside it;
// publish() then links the socket to its name with mode 0600, so that at no time anybody else can
// connect, and a name that is taken stays what it is. The parent directory is locked from
// reserve() to publish(): of two hosts that start at once, one sees the other's socket.
class UnixSocket {
 public:
  // UNAVAILABLE: another process answers there. FAILED_PRECONDITION: what is there is no socket.
  static Result<std::unique_ptr<UnixSocket>> reserve(const std::string& path);

  UnixSocket(const UnixSocket&) = delete;
  UnixSocket& operator=(const UnixSocket&) = delete;
  ~UnixSocket();

  const std::string& bind_path() const { return bind_path_; }
  Status publish();

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

}  // namespace pm::frontend
