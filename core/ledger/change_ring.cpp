#include "change_ring.h"

#include <cstring>

namespace pm::ledger {

namespace {

using catalog::Event;

std::uint64_t half_of(const catalog::Id& id, std::size_t half) {
  std::uint64_t word = 0;
  std::memcpy(&word, id.bytes.data() + half * sizeof word, sizeof word);
  return word;
}

std::uint64_t pack(const Event& event) {
  const std::array<std::uint8_t, 8> bytes{static_cast<std::uint8_t>(event.kind),
                                          static_cast<std::uint8_t>(event.cause),
                                          static_cast<std::uint8_t>(event.why),
                                          event.tier,
                                          event.from,
                                          event.target,
                                          static_cast<std::uint8_t>(event.rule),
                                          static_cast<std::uint8_t>(event.rule >> 8)};
  std::uint64_t word = 0;
  std::memcpy(&word, bytes.data(), sizeof word);
  return word;
}

void unpack(std::uint64_t word, Event& event) {
  std::array<std::uint8_t, 8> bytes{};
  std::memcpy(bytes.data(), &word, sizeof word);
  event.kind = static_cast<catalog::EventKind>(bytes[0]);
  event.cause = static_cast<catalog::Cause>(bytes[1]);
  event.why = static_cast<catalog::Reason>(bytes[2]);
  event.tier = bytes[3];
  event.from = bytes[4];
  event.target = bytes[5];
  event.rule = static_cast<std::uint16_t>(bytes[6] | bytes[7] << 8);
}

}  // namespace

ChangeRing::ChangeRing(std::size_t capacity)
    : capacity_(capacity), slots_(std::make_unique<Slot[]>(capacity)) {}

// The order of the stores, each a release: the slot is said to be forgotten, then its words change.
// Who reads a new word (an acquire) then sees that it was forgotten.
void ChangeRing::append(const Change& change) {
  const std::uint64_t count = count_.load(std::memory_order_relaxed);
  Slot& slot = slots_[count & (capacity_ - 1)];
  if (count >= capacity_) {
    forgotten_.store(slot.word[0].load(std::memory_order_relaxed), std::memory_order_release);
  }
  const Event& event = change.event;
  const std::array<std::uint64_t, words> values{change.sequence,
                                                change.lsn,
                                                half_of(event.id, 0),
                                                half_of(event.id, 1),
                                                event.revision,
                                                event.size_bytes,
                                                static_cast<std::uint64_t>(event.wall_ns),
                                                pack(event)};
  for (std::size_t index = 0; index < words; ++index) {
    slot.word[index].store(values[index], std::memory_order_release);
  }
  count_.store(count + 1, std::memory_order_release);
}

std::uint64_t ChangeRing::first() const {
  const std::uint64_t count = end();
  return count > capacity_ ? count - capacity_ : 0;
}

std::uint64_t ChangeRing::find_after(std::uint64_t sequence) const {
  std::uint64_t low = first();
  std::uint64_t high = end();
  // What is overwritten meanwhile looks newer than it was, which leads to a lower position.
  while (low < high) {
    const std::uint64_t middle = low + (high - low) / 2;
    const Slot& slot = slots_[middle & (capacity_ - 1)];
    if (slot.word[0].load(std::memory_order_acquire) > sequence) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

Change ChangeRing::at(std::uint64_t position) const {
  const Slot& slot = slots_[position & (capacity_ - 1)];
  std::array<std::uint64_t, words> values{};
  for (std::size_t index = 0; index < words; ++index) {
    values[index] = slot.word[index].load(std::memory_order_acquire);
  }
  Change change;
  change.sequence = values[0];
  change.lsn = values[1];
  std::memcpy(change.event.id.bytes.data(), &values[2], 2 * sizeof values[0]);
  change.event.revision = values[4];
  change.event.size_bytes = values[5];
  change.event.wall_ns = static_cast<std::int64_t>(values[6]);
  unpack(values[7], change.event);
  return change;
}

bool ChangeRing::is_about(std::uint64_t position, const catalog::Id& id) const {
  const Slot& slot = slots_[position & (capacity_ - 1)];
  return slot.word[2].load(std::memory_order_acquire) == half_of(id, 0) &&
         slot.word[3].load(std::memory_order_acquire) == half_of(id, 1);
}

}  // namespace pm::ledger
