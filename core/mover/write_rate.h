#pragma once

#include <atomic>
#include <cstdint>

namespace pm::mover {

// How fast a tier is written to of late: what was written counts less and less, half of it after
// two seconds. One word holds it all, so nobody waits, and it costs nothing before it is used.
// [thread-safe]
class WriteRate {
 public:
  explicit WriteRate(std::uint64_t (*now_ns)()) : now_ns_(now_ns) {}

  // From now on what is written counts, or does not.
  void use(bool on) { is_used_.store(on, std::memory_order_relaxed); }

  void note(std::uint64_t bytes) {
    if (is_used_.load(std::memory_order_relaxed)) add(bytes);
  }

  std::uint64_t bytes_per_second() const;

 private:
  // What is left of all that was written, as of a moment.
  struct alignas(8) Sum {  // As aligned as a word, or a lock would guard it.
    float bytes = 0;
    std::uint32_t moment = 0;
  };

  void add(std::uint64_t bytes);
  std::uint32_t moment() const;
  static float bytes_at(Sum sum, std::uint32_t moment);

  std::uint64_t (*const now_ns_)();
  std::atomic<bool> is_used_{false};
  std::atomic<Sum> sum_{};
  static_assert(std::atomic<Sum>::is_always_lock_free);
};

}  // namespace pm::mover
