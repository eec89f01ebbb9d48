#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

// Media that run full or lie, as file systems of this test's own: its mounts are seen by it and by
// its children only, and end with it.

namespace pm::faults {

// Why this process cannot mount; empty: it can, and has a mount namespace of its own now.
std::string cannot_mount();

class SmallMedium {
 public:
  // A tmpfs of so many bytes.
  static std::string mount_memory(const std::filesystem::path& at, std::uint64_t bytes);

  // ext4 of `bytes` at `at`, on a loop device whose file has only room for `backing_bytes` in all:
  // with less than `bytes`, writes go well and it is the sync that fails.
  static std::string mount_disk(const std::filesystem::path& at, std::uint64_t bytes,
                                const std::filesystem::path& backing, std::uint64_t backing_bytes);

  static void unmount(const std::filesystem::path& at);
};

// Takes all room that there is at a place, until it is destroyed.
class Ballast {
 public:
  explicit Ballast(const std::filesystem::path& directory);
  ~Ballast();
  Ballast(const Ballast&) = delete;
  Ballast& operator=(const Ballast&) = delete;

 private:
  const std::filesystem::path file_;
};

}  // namespace pm::faults
