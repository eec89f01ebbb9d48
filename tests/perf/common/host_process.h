#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "temporary_directory.h"

namespace pm::perf {

struct HostSetup {
  std::string repository = "sqlite";  // or "memory"
  std::uint64_t shm_capacity_bytes = 1ULL << 30;
  std::uint64_t slab_bytes = 0;           // Of the capacity.
  std::string preload;                    // LD_PRELOAD of the first life.
  unsigned high_watermark_percent = 100;  // Of shm; the low one is 5 less. 100: it may fill up.
};

// A pm-host of its own: SQLite or memory, shm, disk, gRPC and frames on Unix sockets. Ended with
// its owner.
class HostProcess {
 public:
  // Returns when it answers. Throws Failure.
  explicit HostProcess(const HostSetup& setup);
  ~HostProcess();
  HostProcess(const HostProcess&) = delete;
  HostProcess& operator=(const HostProcess&) = delete;

  // Ends it by SIGKILL, or by SIGTERM and in order, and starts it again over what it left. Gives
  // the seconds from the new start until it answers.
  double restart(bool by_kill);

  const std::string& address() const { return address_; }
  // Of the local frontend, which the host has, too.
  std::string local_address() const { return "local:" + directory_ / "run/local.sock"; }
  // A directory on the file system that the disk tier is on.
  std::string directory() const { return directory_.path(); }
  // VmRSS without RssShmem (proc(5)): the payloads' own shared memory is not what is asked.
  std::uint64_t resident_bytes() const;
  std::uint64_t threads() const;

 private:
  void write_config(const HostSetup& setup) const;
  void start(const std::string& preload);
  void wait_until_ready() const;

  const TemporaryDirectory directory_;
  const ShmPrefix prefix_;
  std::string address_;
  pid_t pid_ = -1;
};

}  // namespace pm::perf
