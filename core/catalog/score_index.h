#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "ordered_index.h"
#include "payload.h"
#include "slots.h"

namespace pm::catalog {

// The payloads that may leave their tiers, those first that are least worth their room: by
// priority, and then by GreedyDual-Size-Frequency (Cherkasova, HPL-98-69R1): what was read often
// and is small has a high score, and the score of the last one that left is added to that of who
// comes, so that what was popular once grows old. It has nobody before it is used, and then who was
// used since; it is kept from then on, as who came in a gap would stand behind those with a score
// and be overlooked.
class ScoreIndex {
 public:
  explicit ScoreIndex(std::size_t tiers) : tiers_(tiers) {}

  void use() { is_used_ = true; }

  void add(TierIndex tier, Slot slot, Priority priority, std::uint32_t frequency,
           std::uint64_t size_bytes) {
    if (!is_used_) return;
    constexpr std::uint64_t unit = 1ULL << 36;
    const std::uint64_t worth =
        (frequency + 1ULL) * (unit / std::max<std::uint64_t>(size_bytes, 1));
    const std::uint64_t score =
        std::min(tiers_[tier].floor + std::max<std::uint64_t>(worth, 1), score_max);
    if (slot >= keys_.size()) keys_.resize(slot + 1);
    keys_[slot] = static_cast<std::uint64_t>(priority) << score_bits | score;
    tiers_[tier].order.insert(keys_[slot], slot);
  }

  static Priority priority_of(const OrderedIndex::Entry& entry) {
    return static_cast<Priority>(entry.key >> score_bits);
  }

  bool has(Slot slot) const { return slot < keys_.size() && keys_[slot] != 0; }

  void remove(TierIndex tier, Slot slot) {
    if (!has(slot)) return;
    tiers_[tier].order.remove(keys_[slot], slot);
    keys_[slot] = 0;
  }

  // It leaves its tier for want of room.
  void note_victim(TierIndex tier, Slot slot) {
    if (has(slot)) tiers_[tier].floor = std::max(tiers_[tier].floor, keys_[slot] & score_max);
  }

  // Of the tier's payloads, the one behind `after`, and the first of all behind nothing.
  std::optional<OrderedIndex::Entry> next(TierIndex tier,
                                          const std::optional<OrderedIndex::Entry>& after) const {
    return after ? tiers_[tier].order.after(*after) : tiers_[tier].order.first();
  }

 private:
  static constexpr unsigned score_bits = 61;
  static constexpr std::uint64_t score_max = (1ULL << score_bits) - 1;
  struct Tier {
    OrderedIndex order;
    std::uint64_t floor = 0;
  };

  bool is_used_ = false;
  std::vector<Tier> tiers_;
  std::deque<std::uint64_t> keys_;  // Of each slot; 0: it is not here.
};

}  // namespace pm::catalog
