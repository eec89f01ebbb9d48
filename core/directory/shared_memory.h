#pragma once

#include <cstddef>
#include <pm/cpp/result.hpp>
#include <utility>

namespace pm::directory {

// Memory of this process that others map, too: a memfd whose length nobody can change.
class SharedMemory {
 public:
  SharedMemory() = default;
  ~SharedMemory();
  SharedMemory(SharedMemory&& other) noexcept { *this = std::move(other); }
  SharedMemory& operator=(SharedMemory&& other) noexcept {
    std::swap(base_, other.base_);
    std::swap(bytes_, other.bytes_);
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }

  // All zero, and mapped for writing here. `only_here`: nobody else may ever map it for writing.
  static Result<SharedMemory> make(const char* name, std::size_t bytes, bool only_here);

  void* base() const { return base_; }
  std::size_t bytes() const { return bytes_; }

  // A descriptor for another process, close-on-exec; the caller's.
  Result<int> share(bool writable) const;

 private:
  void* base_ = nullptr;
  std::size_t bytes_ = 0;
  int descriptor_ = -1;
};

}  // namespace pm::directory
