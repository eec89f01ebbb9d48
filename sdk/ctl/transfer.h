#pragma once

#include <csignal>
#include <cstdint>
#include <functional>
#include <string>

#include "pm/client/client.h"

// Bytes between files and payloads. What fails on this side (a file that cannot be read) has the
// code UNKNOWN, so that nobody takes it for the server's answer.

namespace pm::ctl {

// While it lives, SIGINT and SIGTERM are noted instead of ending the process, and writing to a
// closed pipe is an error instead of a signal. The second signal ends the process as ever. One at
// a time.
class Interruption {
 public:
  Interruption();
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;
  ~Interruption();

  // The signal that came, or 0.
  static int signal() noexcept;
  // CANCELLED once a signal came.
  static Status check();

 private:
  struct sigaction interrupt_before_ {};
  struct sigaction terminate_before_ {};
  struct sigaction pipe_before_ {};
};

// Told how many bytes are done, and of how many.
using OnProgress = std::function<void(std::uint64_t done_bytes, std::uint64_t total_bytes)>;

// A line on the standard error stream that says how far `label` is, rewritten ten times a second
// at most. Nothing when that is not a terminal.
class ProgressLine {
 public:
  explicit ProgressLine(std::string label);
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  ~ProgressLine();
  void show(std::uint64_t done_bytes, std::uint64_t total_bytes);

 private:
  const std::string label_;
  const bool terminal_;
  bool shown_ = false;
  std::int64_t next_ms_ = 0;
  std::int64_t started_ms_;
};

// Stores the file at `path` ('-': standard input): read(2) puts the bytes into the mapping. Input
// whose length is not known beforehand is spooled in an unlinked file of $TMPDIR first. On every
// failure, and when interrupted, the allocation is deleted.
Result<client::Descriptor> put_file(client::Client& client, const std::string& path,
                                    const client::CreateOptions& options,
                                    const OnProgress& on_progress);

// Writes a payload's bytes to `path` ('-': standard output). A regular file gets its name only
// when it is whole. Returns the descriptor that was read.
Result<client::Descriptor> get_file(client::Client& client, const client::PayloadId& id,
                                    const std::string& path, const client::LeaseOptions& options,
                                    const OnProgress& on_progress);

struct Hashed {
  client::Descriptor descriptor;
  std::string sha256;  // 64 hexadecimal digits in lower case.
};
// The SHA-256 (FIPS 180-4) of the bytes that a lease maps.
Result<Hashed> hash_payload(client::Client& client, const client::PayloadId& id,
                            const client::LeaseOptions& options);

}  // namespace pm::ctl
