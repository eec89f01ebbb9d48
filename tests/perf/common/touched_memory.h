#pragma once

#include <cstddef>
#include <span>

namespace pm::perf {

// Shared memory of this process, mapped and faulted in.
class TouchedMemory {
 public:
  // Throws Failure.
  explicit TouchedMemory(std::size_t bytes);
  ~TouchedMemory();
  TouchedMemory(const TouchedMemory&) = delete;
  TouchedMemory& operator=(const TouchedMemory&) = delete;

  std::byte* at(std::size_t offset) const { return static_cast<std::byte*>(base_) + offset; }

 private:
  const std::size_t bytes_;
  void* base_;
};

}  // namespace pm::perf
