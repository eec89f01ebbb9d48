#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>

#include "host_process.h"

// The wall clock of one program, which a test sets while it runs: libfaketime is preloaded into it
// and reads the offset from a file. CLOCK_MONOTONIC stays as it is.

namespace pm::clients {

class FakedClock {
 public:
  // Keeps its file in `folder`.
  explicit FakedClock(const std::filesystem::path& folder);

  // What the program is to be started with.
  integration::Environment environment() const;
  // From now on it is so much later, or earlier, than really.
  void set_offset(std::chrono::seconds offset);
  std::chrono::seconds offset() const { return offset_; }
  // Its time.
  std::chrono::system_clock::time_point now() const;

 private:
  std::filesystem::path file_;
  std::chrono::seconds offset_{0};
};

}  // namespace pm::clients
