#include "backup_poller.h"

#include <grpc/grpc.h>
#include <grpc/grpc_posix.h>
#include <grpc/grpc_security.h>
#include <sys/socket.h>
#include <unistd.h>

namespace pm::frontend {
namespace {

// How often, and how long gRPC may take to see it: the poller may be about to begin, or may find
// at the first event that a connection is still closing. Without a poller this is all that a stop
// loses.
constexpr int kEvents = 5;
constexpr useconds_t kNoticeMicroseconds = 3'000;

// gRPC has one epoll set for all, so that the end of any connection wakes whoever waits in it.
void end_a_connection() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) return;
  auto* credentials = grpc_insecure_credentials_create();
  auto* channel = grpc_channel_create_from_fd("wake", ends[0], credentials, nullptr);
  grpc_channel_credentials_release(credentials);
  close(ends[1]);
  usleep(kNoticeMicroseconds);
  grpc_channel_destroy(channel);
}

}  // namespace

void wake_backup_poller() {
  for (int i = 0; i < kEvents; ++i) end_a_connection();
}

}  // namespace pm::frontend
