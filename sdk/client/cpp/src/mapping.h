#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <tuple>

#include "file_descriptor.h"
#include "pm/client/client.h"

// From what the server says about a place to bytes in this process. Nothing is believed that can
// be checked: names, paths, arithmetic, and the length of the object itself.

namespace pm::client::detail {

enum class Access { read, write };

// One mmap(2), undone at its end.
class Mapping {
 public:
  Mapping(void* base, std::size_t length_bytes, dev_t device, ino_t inode) noexcept
      : base_(static_cast<std::byte*>(base)),
        length_bytes_(length_bytes),
        device_(device),
        inode_(inode) {}
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping();

  std::byte* base() const noexcept { return base_; }
  std::size_t length_bytes() const noexcept { return length_bytes_; }
  bool shows(dev_t device, ino_t inode) const noexcept {
    return device == device_ && inode == inode_;
  }

 private:
  std::byte* base_;
  std::size_t length_bytes_;
  dev_t device_;
  ino_t inode_;
};

// The bytes of one payload, and what keeps them mapped.
struct MappedBytes {
  std::shared_ptr<Mapping> mapping;
  std::span<std::byte> bytes;
};

// Asks the host for a descriptor of what has no name, or none that this process may use.
using Opener = std::function<Result<FileDescriptor>()>;

// Maps payloads; a slab once for each kind of access. [thread-safe]
class Mapper {
 public:
  // Maps `size_bytes` of the place that `descriptor` names.
  Result<MappedBytes> map(const Descriptor& descriptor, std::uint64_t size_bytes, Access access,
                          const Opener& opener = {});

 private:
  Result<MappedBytes> map_memory(const Location& location, std::uint64_t size_bytes, Access access,
                                 const Opener& opener);

  using SlabKey = std::tuple<std::string, std::uint64_t, Access>;
  std::mutex mutex_;
  std::map<SlabKey, std::shared_ptr<Mapping>> slabs_;
};

}  // namespace pm::client::detail
