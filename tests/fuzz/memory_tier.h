#pragma once

#include <pm/tier.h>

#include <cstdint>
#include <map>
#include <mutex>
#include <string>

namespace pm::fuzz {

// A small tier whose objects are strings of this process, so that thousands a second come and go.
// [thread-safe]
class MemoryTier {
 public:
  MemoryTier(std::uint32_t traits, std::uint64_t capacity_bytes);
  MemoryTier(const MemoryTier&) = delete;
  MemoryTier& operator=(const MemoryTier&) = delete;

  const pm_tier_t* abi() const { return &abi_; }
  std::uint64_t objects() const;

 private:
  using Key = std::string;
  static Key key_of(const pm_object_id_t& object);
  static MemoryTier& self(const pm_tier_t* tier);
  // Calls `body` with the object's bytes.
  template <typename Body>
  static pm_status_t with(const pm_tier_t* tier, const pm_object_id_t* object, Body body);
  void fill_life();
  void fill_bytes();

  const std::uint32_t traits_;
  const std::uint64_t capacity_bytes_;
  mutable std::mutex mutex_;
  std::map<Key, std::string> objects_;
  pm_tier_t abi_{};
};

}  // namespace pm::fuzz
