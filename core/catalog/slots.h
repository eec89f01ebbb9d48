#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <utility>
#include <vector>

namespace pm::catalog {

// The number of a slot; 0 means none, so that a zeroed record refers to nothing.
using Slot = std::uint32_t;
inline constexpr Slot no_slot = 0;

// Keeps objects at stable addresses under 32-bit numbers. Freed numbers are used again. Grows a
// block of 1,024 at a time, so that no call costs more than that. T has `Slot hash_next`, which
// links free slots too.
//
// Behind the first 64 blocks, memory comes for 64 at once and in huge pages where the kernel
// allows it: objects are read at random, and in so much memory a miss of the TLB costs about as
// much as one of the cache. At most one huge page (2 MiB) is then resident before its time.
template <typename T>
class Slots {
 public:
  Slots() = default;
  ~Slots() {
    for (T* block : blocks_) std::destroy_n(block, block_items);
  }
  Slots(const Slots&) = delete;
  Slots& operator=(const Slots&) = delete;

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
  static constexpr std::size_t chunk_blocks = 64;
  static constexpr std::size_t huge_page_bytes = 2 * 1024 * 1024;

  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };

  // Memory for one more block.
  void* take_block() {
    const bool many = blocks_.size() >= chunk_blocks;
    if (spare_blocks_ == 0) {
      const std::size_t count = many ? chunk_blocks : 1;
      const std::size_t alignment = many ? huge_page_bytes : alignof(std::max_align_t);
      const std::size_t bytes =
          (count * block_items * sizeof(T) + alignment - 1) / alignment * alignment;
      std::unique_ptr<void, Free> memory(std::aligned_alloc(alignment, bytes));
      if (memory == nullptr) throw std::bad_alloc();
      if (many) madvise(memory.get(), bytes, MADV_HUGEPAGE);  // Refused: it is only slower.
      spare_ = static_cast<std::byte*>(memory.get());
      spare_blocks_ = count;
      chunks_.push_back(std::move(memory));
    }
    void* block = spare_;
    spare_ += block_items * sizeof(T);
    --spare_blocks_;
    return block;
  }

  void grow() {
    const auto base = static_cast<Slot>(blocks_.size() * block_items);
    T* block = static_cast<T*>(take_block());
    std::uninitialized_value_construct_n(block, block_items);
    blocks_.push_back(block);
    // The last one first, so that slots are handed out in order of address. Slot 0 stays unused.
    for (Slot offset = block_items; offset-- > 0;) {
      if (base + offset == no_slot) continue;
      block[offset].hash_next = free_;
      free_ = base + offset;
    }
  }

  std::vector<std::unique_ptr<void, Free>> chunks_;
  std::vector<T*> blocks_;
  std::byte* spare_ = nullptr;
  std::size_t spare_blocks_ = 0;
  Slot free_ = no_slot;
  std::uint32_t size_ = 0;
};

}  // namespace pm::catalog
