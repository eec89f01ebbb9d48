#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "core/catalog/event.h"

namespace pm::ledger {

// An event, where it stands among all of this life of the host, and what must be durable before
// anybody is told of it.
struct Change {
  std::uint64_t sequence = 0;  // Counts from 1.
  std::uint64_t lsn = 0;
  catalog::Event event;
};

// The newest changes, in order of their sequence, which may have gaps. One thread at a time adds;
// others read meanwhile, without a lock. A reader that was overtaken learns it from forgot_after().
class ChangeRing {
 public:
  // `capacity` is a power of two. Its memory is taken at once.
  explicit ChangeRing(std::size_t capacity);
  ChangeRing(const ChangeRing&) = delete;
  ChangeRing& operator=(const ChangeRing&) = delete;

  void append(const Change& change);

  // Positions count what was added. [first, end) may still be here.
  std::uint64_t first() const;
  std::uint64_t end() const { return count_.load(std::memory_order_acquire); }
  // Not behind the first change whose sequence is higher than `sequence`.
  std::uint64_t find_after(std::uint64_t sequence) const;
  // May be another, newer change, or a mixture, when it has been overwritten meanwhile: so asks
  // forgot_after() next.
  Change at(std::uint64_t position) const;
  bool is_about(std::uint64_t position, const catalog::Id& id) const;
  // True when a change with a higher sequence than `sequence` is no longer here, or was not when
  // it was read.
  bool forgot_after(std::uint64_t sequence) const {
    return forgotten_.load(std::memory_order_acquire) > sequence;
  }

 private:
  // sequence, LSN, id, id, revision, size, time, the small ones. One line of the cache.
  static constexpr std::size_t words = 8;
  struct alignas(64) Slot {
    std::array<std::atomic<std::uint64_t>, words> word;
  };

  const std::size_t capacity_;
  const std::unique_ptr<Slot[]> slots_;
  std::atomic<std::uint64_t> count_{0};
  std::atomic<std::uint64_t> forgotten_{0};  // The highest sequence that was overwritten.
};

}  // namespace pm::ledger
