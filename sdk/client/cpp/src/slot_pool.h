#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>

#include "sdk/local/pages.h"

namespace pm::client::detail {

// Which slots of a session's page this process uses. Threads begin at words of their own, so that
// they rarely meet. The words take turns in the page: the host looks at each slot up to the last
// one that was ever used, under a lock of its own, so a few holds must lie at the page's begin
// however many threads have them. [thread-safe]
class SlotPool {
 public:
  static constexpr std::uint32_t none = UINT32_MAX;

  // A slot for the caller alone, or none.
  std::uint32_t take() noexcept {
    const std::uint32_t first = word_of_thread();
    for (std::uint32_t i = 0; i < words_count; ++i) {
      const std::uint32_t number = (first + i) % words_count;
      std::atomic<std::uint64_t>& word = words_[number].bits;
      std::uint64_t seen = word.load(std::memory_order_relaxed);
      while (~seen != 0) {
        const auto bit = static_cast<std::uint32_t>(std::countr_one(seen));
        const std::uint32_t slot = bit * words_count + number;
        if (slot >= local::slots_max) break;
        const std::uint64_t before = word.fetch_or(std::uint64_t{1} << bit);
        if ((before >> bit & 1) == 0) return slot;
        seen = before;
      }
    }
    return none;
  }
  void give_back(std::uint32_t slot) noexcept {
    words_[slot % words_count].bits.fetch_and(~(std::uint64_t{1} << slot / words_count));
  }
  bool is_unused() const noexcept {
    for (const Word& word : words_) {
      if (word.bits.load() != 0) return false;
    }
    return true;
  }

 private:
  struct alignas(64) Word {
    std::atomic<std::uint64_t> bits{0};
  };
  static std::uint32_t word_of_thread() noexcept {
    static std::atomic<std::uint32_t> threads_so_far{0};
    thread_local const std::uint32_t number =
        threads_so_far.fetch_add(1, std::memory_order_relaxed);
    return number;
  }

  static constexpr std::uint32_t words_count = (local::slots_max + 63) / 64;
  std::array<Word, words_count> words_;
};

}  // namespace pm::client::detail
