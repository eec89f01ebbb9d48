#pragma once

#include <sys/types.h>

#include <string>

#include "temporary_directory.h"

namespace pm::perf {

// A program that listens at the address given as its only argument, writes a byte when it does, and
// ends when its standard input does. Ended with its owner.
class ServerProcess {
 public:
  explicit ServerProcess(const std::string& program);
  ~ServerProcess();
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  const std::string& address() const { return address_; }

 private:
  const TemporaryDirectory directory_;
  std::string address_;
  pid_t pid_ = -1;
  int input_ = -1;
};

}  // namespace pm::perf
