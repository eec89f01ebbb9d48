#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>
#include <map>
#include <memory>
#include <optional>

#include "slots.h"

namespace pm::catalog {

// A set of (key, slot) pairs in order: what is due next, what was made last. A directory of runs of
// up to 128 pairs, so a pair costs 12 bytes and little more, and each call O(log n) plus the length
// of a run.
class OrderedIndex {
 public:
  struct Entry {
    std::uint64_t key;
    Slot slot;
    friend auto operator<=>(const Entry&, const Entry&) = default;
  };

  std::uint64_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  // The pair must not be in the index.
  void insert(std::uint64_t key, Slot slot) {
    const Entry entry{key, slot};
    ++size_;
    if (runs_.empty()) {
      runs_.emplace(entry, std::make_unique<Run>()).first->second->insert(0, entry);
      return;
    }
    auto run = run_of(entry);
    if (run->second->count == run_items) {
      // A pair behind all others opens a run of its own, so that growing keys leave full runs.
      if (std::next(run) == runs_.end() && run->second->at(run_items - 1) < entry) {
        runs_.emplace(entry, std::make_unique<Run>()).first->second->insert(0, entry);
        return;
      }
      auto upper = std::make_unique<Run>();
      run->second->split_to(*upper);
      const Entry first = upper->at(0);
      runs_.emplace(first, std::move(upper));
      run = run_of(entry);
    }
    run->second->insert(run->second->position(entry), entry);
  }

  // The pair must be in the index.
  void remove(std::uint64_t key, Slot slot) {
    auto run = run_of({key, slot});
    run->second->remove(run->second->position({key, slot}));
    --size_;
    if (run->second->count == 0) {
      runs_.erase(run);
    } else if (run->second->count < run_items / 4) {
      merge(run);
    }
  }

  std::optional<Entry> first() const {
    if (runs_.empty()) return std::nullopt;
    return runs_.begin()->second->at(0);
  }

  // The largest pair whose key is smaller than `key`.
  std::optional<Entry> before(std::uint64_t key) const {
    if (runs_.empty()) return std::nullopt;
    const Entry bound{key, no_slot};
    auto run = run_of(bound);
    const std::uint32_t position = run->second->position(bound);
    if (position > 0) return run->second->at(position - 1);
    if (run == runs_.begin()) return std::nullopt;
    --run;
    return run->second->at(run->second->count - 1);
  }

 private:
  static constexpr std::uint32_t run_items = 128;

  struct Run {
    std::uint32_t count = 0;
    std::array<Slot, run_items> slots;
    std::array<std::uint64_t, run_items> keys;

    Entry at(std::uint32_t position) const { return {keys[position], slots[position]}; }

    // Of the first pair that is not smaller than `entry`.
    std::uint32_t position(const Entry& entry) const {
      std::uint32_t low = 0;
      std::uint32_t high = count;
      while (low < high) {
        const std::uint32_t middle = (low + high) / 2;
        if (at(middle) < entry) {
          low = middle + 1;
        } else {
          high = middle;
        }
      }
      return low;
    }

    void insert(std::uint32_t position, const Entry& entry) {
      std::copy_backward(keys.begin() + position, keys.begin() + count, keys.begin() + count + 1);
      std::copy_backward(slots.begin() + position, slots.begin() + count,
                         slots.begin() + count + 1);
      keys[position] = entry.key;
      slots[position] = entry.slot;
      ++count;
    }

    void remove(std::uint32_t position) {
      std::copy(keys.begin() + position + 1, keys.begin() + count, keys.begin() + position);
      std::copy(slots.begin() + position + 1, slots.begin() + count, slots.begin() + position);
      --count;
    }

    void split_to(Run& upper) {
      const std::uint32_t half = count / 2;
      std::copy(keys.begin() + half, keys.begin() + count, upper.keys.begin());
      std::copy(slots.begin() + half, slots.begin() + count, upper.slots.begin());
      upper.count = count - half;
      count = half;
    }
  };

  // Runs are named by a pair that is not larger than their first; the first run takes the rest.
  using Runs = std::map<Entry, std::unique_ptr<Run>>;

  template <typename RunMap>
  static auto find_run(RunMap& runs, const Entry& entry) {
    auto run = runs.upper_bound(entry);
    return run == runs.begin() ? run : std::prev(run);
  }
  Runs::iterator run_of(const Entry& entry) { return find_run(runs_, entry); }
  Runs::const_iterator run_of(const Entry& entry) const { return find_run(runs_, entry); }

  // Joins a thin run with the one behind it when both fit into one.
  void merge(Runs::iterator run) {
    auto next = std::next(run);
    if (next == runs_.end()) return;
    Run& low = *run->second;
    Run& high = *next->second;
    if (low.count + high.count > run_items) return;
    std::copy(high.keys.begin(), high.keys.begin() + high.count, low.keys.begin() + low.count);
    std::copy(high.slots.begin(), high.slots.begin() + high.count, low.slots.begin() + low.count);
    low.count += high.count;
    runs_.erase(next);
  }

  Runs runs_;
  std::uint64_t size_ = 0;
};

}  // namespace pm::catalog
