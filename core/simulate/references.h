#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <tuple>
#include <vector>

#include "core/simulate/trace.h"

// Caches as textbooks have them, to hold policies against. Each has `capacity_bytes` and no other
// cost. A read is a hit when the object is there; on a miss it comes in, unless it is larger than
// the cache. A write puts it there and counts neither as hit nor as miss; its size is that of the
// write. A removal takes it away. While an object is there, its size is what it came in with.

namespace pm::simulate {

struct HitCounts {
  std::uint64_t reads = 0;
  std::uint64_t hits = 0;
  std::uint64_t read_bytes = 0;
  std::uint64_t hit_bytes = 0;

  void add(std::uint64_t size_bytes, bool hit);
  double rate() const;  // 0 to 1; 0 without any.
  double byte_rate() const;

  friend bool operator==(const HitCounts&, const HitCounts&) = default;
};

// The one that was not used for longest leaves first.
class LruCache {
 public:
  explicit LruCache(std::uint64_t capacity_bytes) : capacity_bytes_(capacity_bytes) {}
  void access(const Access& access);
  const HitCounts& counts() const { return counts_; }

 private:
  static constexpr std::uint64_t nobody = UINT64_MAX;
  struct Entry {
    std::uint64_t size_bytes = 0;  // 0: it is not there.
    std::uint64_t older = nobody;
    std::uint64_t newer = nobody;
  };

  void link_newest(std::uint64_t id);
  void unlink(std::uint64_t id);
  void drop(std::uint64_t id);

  std::uint64_t capacity_bytes_;
  std::uint64_t used_bytes_ = 0;
  std::uint64_t oldest_ = nobody;
  std::uint64_t newest_ = nobody;
  std::vector<Entry> entries_;  // By id.
  HitCounts counts_;
};

// The one that was used least often leaves first; of those, the one that was not used for longest.
// Uses are counted from the first access on, also while the object is not there (perfect LFU), and
// who is read comes in always.
class LfuCache {
 public:
  explicit LfuCache(std::uint64_t capacity_bytes) : capacity_bytes_(capacity_bytes) {}
  void access(const Access& access);
  const HitCounts& counts() const { return counts_; }

 private:
  struct Entry {
    std::uint64_t size_bytes = 0;  // 0: it is not there.
    std::uint64_t uses = 0;
    std::uint64_t last_use = 0;
  };
  using Place = std::tuple<std::uint64_t, std::uint64_t, std::uint64_t>;  // uses, last use, id

  Place place_of(std::uint64_t id) const;
  void drop(std::uint64_t id);

  std::uint64_t capacity_bytes_;
  std::uint64_t used_bytes_ = 0;
  std::uint64_t now_ = 0;
  std::vector<Entry> entries_;  // By id.
  std::set<Place> order_;
  HitCounts counts_;
};

HitCounts run_lru(std::span<const Access> trace, std::uint64_t capacity_bytes);
HitCounts run_lfu(std::span<const Access> trace, std::uint64_t capacity_bytes);

// Belady's optimum (L. A. Belady, A study of replacement algorithms for a virtual-storage computer,
// IBM Systems Journal 5(2), 1966), in O(n log n) for equal sizes. It knows when each object is read
// next, and the one that is read last leaves. The variant with bypass: what is read later than all
// that is there does not come in at all, as a policy may leave a payload where it is. A page must
// come in, so Belady's own variant may have fewer hits, never more.
//
// For objects of equal size no cache has more hits. For others it is an approximation, and neither
// a bound from above nor from below: to let an object in, those leave that are read last until it
// fits, and it stays out when that would take one that is read before it. (The optimum is NP-hard
// then; see D. S. Berger and others, Practical bounds on optimal caching with variable object
// sizes, 2018.)
HitCounts run_belady(std::span<const Access> trace, std::uint64_t capacity_bytes);

}  // namespace pm::simulate
