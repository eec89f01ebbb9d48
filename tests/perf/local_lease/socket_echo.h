#pragma once

#include <sys/types.h>

namespace pm::perf {

// Puts the calling thread on one processor; the last one where there are fewer.
void pin(int processor);

// A process of its own, pinned, that sends back every 32 bytes that it gets: what a message to
// another process costs at least. Made before there are other threads.
class SocketEcho {
 public:
  SocketEcho();
  ~SocketEcho();
  SocketEcho(const SocketEcho&) = delete;
  SocketEcho& operator=(const SocketEcho&) = delete;

  void round_trip() const;

 private:
  int socket_ = -1;
  pid_t pid_ = -1;
};

}  // namespace pm::perf
