#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace pm::catalog {

// The number of a slot; 0 means none, so that a zeroed record refers to nothing.
using Slot = std::uint32_t;
inline constexpr Slot no_slot = 0;

// Keeps objects at stable addresses under 32-bit numbers. Freed numbers are used again. Grows a
// block of 1,024 at a time, so that no call costs more than that. T has `Slot hash_next`, which
// links free slots too.
template <typename T>
class Slots {
 public:
  Slot add() {
    if (free_ == no_slot) grow();
    const Slot slot = free_;
    T& item = (*this)[slot];
    free_ = item.hash_next;
    item = T{};
    ++size_;
    return slot;
  }

  void remove(Slot slot) {
    T& item = (*this)[slot];
    item = T{};
    item.hash_next = free_;
    free_ = slot;
    --size_;
  }

  T& operator[](Slot slot) { return blocks_[slot / block_items][slot % block_items]; }
  const T& operator[](Slot slot) const { return blocks_[slot / block_items][slot % block_items]; }

  std::uint32_t size() const { return size_; }

 private:
  static constexpr Slot block_items = 1024;

  void grow() {
    const auto base = static_cast<Slot>(blocks_.size() * block_items);
    blocks_.push_back(std::make_unique<T[]>(block_items));
    // The last one first, so that slots are handed out in order of address. Slot 0 stays unused.
    for (Slot offset = block_items; offset-- > 0;) {
      if (base + offset == no_slot) continue;
      blocks_.back()[offset].hash_next = free_;
      free_ = base + offset;
    }
  }

  std::vector<std::unique_ptr<T[]>> blocks_;
  Slot free_ = no_slot;
  std::uint32_t size_ = 0;
};

}  // namespace pm::catalog
