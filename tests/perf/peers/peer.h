#pragma once

#include <sys/types.h>

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "temporary_directory.h"

namespace pm::perf {

// A server of this machine's packages on a Unix socket of its own, and one connection to it that
// speaks the little of its protocol that is needed, without a library in between.
class Peer {
 public:
  enum class Kind { redis, memcached };
  // Throws Failure: the server is not there.
  explicit Peer(Kind kind);
  ~Peer();
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  void set(const std::string& key, std::span<const std::byte> value);
  std::span<const std::byte> get(const std::string& key, std::size_t bytes);

 private:
  void send(const std::string& head, std::span<const std::byte> body);
  std::string line();
  void fill();
  void read_exactly(std::byte* target, std::size_t bytes);

  const Kind kind_;
  const TemporaryDirectory directory_;
  pid_t pid_ = -1;
  int socket_ = -1;
  std::vector<std::byte> value_;
  std::string buffer_;
  std::size_t taken_ = 0;
};

}  // namespace pm::perf
