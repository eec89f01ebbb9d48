#include "core/simulate/references.h"

#include <algorithm>
#include <utility>

namespace pm::simulate {

namespace {

template <typename Entry>
Entry& entry_of(std::vector<Entry>& entries, std::uint64_t id) {
  if (id >= entries.size()) entries.resize(id + 1 + id / 2);
  return entries[id];
}

double share(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

void HitCounts::add(std::uint64_t size_bytes, bool hit) {
  ++reads;
  read_bytes += size_bytes;
  if (!hit) return;
  ++hits;
  hit_bytes += size_bytes;
}

double HitCounts::rate() const { return share(hits, reads); }
double HitCounts::byte_rate() const { return share(hit_bytes, read_bytes); }

// ---- LRU ----

void LruCache::link_newest(std::uint64_t id) {
  entries_[id].older = newest_;
  entries_[id].newer = nobody;
  (newest_ == nobody ? oldest_ : entries_[newest_].newer) = id;
  newest_ = id;
}

void LruCache::unlink(std::uint64_t id) {
  const Entry& entry = entries_[id];
  (entry.older == nobody ? oldest_ : entries_[entry.older].newer) = entry.newer;
  (entry.newer == nobody ? newest_ : entries_[entry.newer].older) = entry.older;
}

void LruCache::drop(std::uint64_t id) {
  unlink(id);
  used_bytes_ -= entries_[id].size_bytes;
  entries_[id].size_bytes = 0;
}

void LruCache::access(const Access& access) {
  const bool hit = entry_of(entries_, access.id).size_bytes != 0;
  if (access.op == Op::read) counts_.add(access.size_bytes, hit);
  if (access.op == Op::read && hit) {
    unlink(access.id);
    return link_newest(access.id);
  }
  if (hit) drop(access.id);
  if (access.op == Op::remove || access.size_bytes > capacity_bytes_) return;
  while (used_bytes_ > capacity_bytes_ - access.size_bytes) drop(oldest_);
  used_bytes_ += access.size_bytes;
  entries_[access.id].size_bytes = access.size_bytes;
  link_newest(access.id);
}

HitCounts run_lru(std::span<const Access> trace, std::uint64_t capacity_bytes) {
  LruCache cache(capacity_bytes);
  for (const Access& access : trace) cache.access(access);
  return cache.counts();
}

// ---- LFU ----

LfuCache::Place LfuCache::place_of(std::uint64_t id) const {
  return {entries_[id].uses, entries_[id].last_use, id};
}

void LfuCache::drop(std::uint64_t id) {
  order_.erase(place_of(id));
  used_bytes_ -= entries_[id].size_bytes;
  entries_[id].size_bytes = 0;
}

void LfuCache::access(const Access& access) {
  Entry& entry = entry_of(entries_, access.id);
  const std::uint64_t there_bytes = entry.size_bytes;
  if (access.op == Op::read) counts_.add(access.size_bytes, there_bytes != 0);
  if (there_bytes != 0) drop(access.id);
  if (access.op == Op::remove) return;
  ++entry.uses;
  entry.last_use = ++now_;
  const bool keeps = access.op == Op::read && there_bytes != 0;
  const std::uint64_t size_bytes = keeps ? there_bytes : access.size_bytes;
  if (size_bytes > capacity_bytes_) return;
  while (used_bytes_ > capacity_bytes_ - size_bytes) drop(std::get<2>(*order_.begin()));
  used_bytes_ += size_bytes;
  entry.size_bytes = size_bytes;
  order_.insert(place_of(access.id));
}

HitCounts run_lfu(std::span<const Access> trace, std::uint64_t capacity_bytes) {
  LfuCache cache(capacity_bytes);
  for (const Access& access : trace) cache.access(access);
  return cache.counts();
}

// ---- Belady ----

namespace {

constexpr std::uint64_t never = UINT64_MAX;

// Of each access, the place of the next read of its object. What is written or removed before it is
// read is of no use as it is.
std::vector<std::uint64_t> next_reads(std::span<const Access> trace) {
  std::vector<std::uint64_t> next(trace.size());
  std::vector<std::uint64_t> coming;  // By id: one more than the place, so that 0 is never.
  for (std::size_t at = trace.size(); at-- > 0;) {
    std::uint64_t& of_id = entry_of(coming, trace[at].id);
    next[at] = of_id == 0 ? never : of_id - 1;
    of_id = trace[at].op == Op::read ? at + 1 : 0;
  }
  return next;
}

class BeladyCache {
 public:
  explicit BeladyCache(std::uint64_t capacity_bytes) : capacity_bytes_(capacity_bytes) {}

  void access(const Access& access, std::uint64_t next) {
    Entry& entry = entry_of(entries_, access.id);
    const std::uint64_t there_bytes = entry.size_bytes;
    if (access.op == Op::read) counts.add(access.size_bytes, there_bytes != 0);
    if (there_bytes != 0) drop(access.id);
    if (access.op == Op::remove || next == never) return;
    const bool keeps = access.op == Op::read && there_bytes != 0;
    const std::uint64_t size_bytes = keeps ? there_bytes : access.size_bytes;
    if (size_bytes > capacity_bytes_ || !make_room(size_bytes, next)) return;
    used_bytes_ += size_bytes;
    entry = {size_bytes, next};
    order_.emplace(next, access.id);
  }

  HitCounts counts;

 private:
  struct Entry {
    std::uint64_t size_bytes = 0;  // 0: it is not there.
    std::uint64_t next = never;
  };

  void drop(std::uint64_t id) {
    Entry& entry = entries_[id];
    order_.erase({entry.next, id});
    used_bytes_ -= entry.size_bytes;
    entry.size_bytes = 0;
  }

  // False, and nothing left: only by giving up one that is read before `next`.
  bool make_room(std::uint64_t size_bytes, std::uint64_t next) {
    std::uint64_t staying = used_bytes_;
    auto last = order_.end();
    while (staying > capacity_bytes_ - size_bytes) {
      --last;
      if (last->first < next) return false;
      staying -= entries_[last->second].size_bytes;
    }
    while (used_bytes_ != staying) drop(std::prev(order_.end())->second);
    return true;
  }

  std::uint64_t capacity_bytes_;
  std::uint64_t used_bytes_ = 0;
  std::vector<Entry> entries_;                               // By id.
  std::set<std::pair<std::uint64_t, std::uint64_t>> order_;  // Next read, id.
};

}  // namespace

HitCounts run_belady(std::span<const Access> trace, std::uint64_t capacity_bytes) {
  const std::vector<std::uint64_t> next = next_reads(trace);
  BeladyCache cache(capacity_bytes);
  for (std::size_t at = 0; at < trace.size(); ++at) cache.access(trace[at], next[at]);
  return cache.counts;
}

}  // namespace pm::simulate
