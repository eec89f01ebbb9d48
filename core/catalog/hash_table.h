#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "ids.h"
#include "slots.h"

namespace pm::catalog {

// Finds the slot of an object by its key. Linear hashing (W. Litwin, VLDB 1980): each insertion
// splits at most one bucket, so that the table never stops the world to grow. T has
// `hash_next` and a member function `key()` for which hash_of() is defined.
template <typename T>
class HashTable {
 public:
  explicit HashTable(Slots<T>& slots) : slots_(slots) { grow(); }

  template <typename Key>
  Slot find(const Key& key) const {
    for (Slot slot = bucket(hash_of(key)); slot != no_slot; slot = slots_[slot].hash_next) {
      const T& item = slots_[slot];
      // Whoever finds it reads all of it: the other cache lines come while the keys are compared.
      for (std::size_t offset = 64; offset < sizeof(T); offset += 64) {
        __builtin_prefetch(reinterpret_cast<const char*>(&item) + offset);
      }
      if (item.key() == key) return slot;
    }
    return no_slot;
  }

  // The key of the slot's object must not be in the table.
  void insert(Slot slot) {
    Slot& head = bucket(hash_of(slots_[slot].key()));
    slots_[slot].hash_next = head;
    head = slot;
    if (++size_ > bucket_count_) split();
  }

  // The slot must be in the table. Its object may then be removed from the slots.
  void remove(Slot slot) {
    Slot* link = &bucket(hash_of(slots_[slot].key()));
    while (*link != slot) link = &slots_[*link].hash_next;
    *link = slots_[slot].hash_next;
    slots_[slot].hash_next = no_slot;
    --size_;
  }

 private:
  static constexpr std::uint64_t block_buckets = 1024;

  Slot& bucket_at(std::uint64_t index) {
    return blocks_[index / block_buckets][index % block_buckets];
  }
  std::uint64_t index_of(std::uint64_t hash) const {
    const std::uint64_t index = hash & (2 * level_ - 1);
    return index < bucket_count_ ? index : hash & (level_ - 1);
  }
  Slot& bucket(std::uint64_t hash) { return bucket_at(index_of(hash)); }
  Slot bucket(std::uint64_t hash) const {
    const std::uint64_t index = index_of(hash);
    return blocks_[index / block_buckets][index % block_buckets];
  }

  void grow() { blocks_.push_back(std::make_unique<Slot[]>(block_buckets)); }

  // Opens one more bucket and moves to it what now belongs there.
  void split() {
    const std::uint64_t source = bucket_count_ - level_;
    if (bucket_count_ == blocks_.size() * block_buckets) grow();
    if (++bucket_count_ == 2 * level_) level_ = bucket_count_;
    Slot slot = bucket_at(source);
    bucket_at(source) = no_slot;
    while (slot != no_slot) {
      const Slot next = slots_[slot].hash_next;
      Slot& head = bucket(hash_of(slots_[slot].key()));
      slots_[slot].hash_next = head;
      head = slot;
      slot = next;
    }
  }

  Slots<T>& slots_;
  std::vector<std::unique_ptr<Slot[]>> blocks_;
  std::uint64_t level_ = block_buckets;  // The largest power of two that is <= bucket_count_.
  std::uint64_t bucket_count_ = block_buckets;
  std::uint64_t size_ = 0;
};

}  // namespace pm::catalog
