#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "slots.h"

namespace pm::catalog {

// A set of (key, slot) pairs in order: what is due next, what was used least lately, what was made
// last. A directory of runs of up to 128 pairs, so with a key of 8 bytes a pair costs 12 bytes and
// little more, and each call O(log n) plus the length of a run.
template <typename Key>
class OrderedIndexOf {
  struct Run;

 public:
  struct Entry {
    Key key;
    Slot slot;
    friend auto operator<=>(const Entry&, const Entry&) = default;
  };

  // Runs are named by a pair that is not larger than their first.
  using Runs = std::map<Entry, std::unique_ptr<Run>>;

  std::uint64_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  // The pair must not be in the index.
  void insert(const Key& key, Slot slot) {
    const Entry entry{key, slot};
    ++size_;
    if (runs_.empty()) {
      runs_.emplace(entry, std::make_unique<Run>()).first->second->insert(0, entry);
      return;
    }
    auto run = run_of(entry);
    if (entry < run->first) {
      auto node = runs_.extract(run);
      node.key() = entry;
      run = runs_.insert(std::move(node)).position;
    }
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
  void remove(const Key& key, Slot slot) {
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

  // The smallest pair that is larger than `entry`.
  std::optional<Entry> after(const Entry& entry) const {
    if (runs_.empty()) return std::nullopt;
    auto run = run_of(entry);
    std::uint32_t position = run->second->position(entry);
    if (position < run->second->count && run->second->at(position) == entry) ++position;
    if (position < run->second->count) return run->second->at(position);
    ++run;
    if (run == runs_.end()) return std::nullopt;
    return run->second->at(0);
  }

  // The largest pair whose key is smaller than `key`.
  std::optional<Entry> before(const Key& key) const {
    if (runs_.empty()) return std::nullopt;
    const Entry bound{key, no_slot};
    auto run = run_of(bound);
    const std::uint32_t position = run->second->position(bound);
    if (position > 0) return run->second->at(position - 1);
    if (run == runs_.begin()) return std::nullopt;
    --run;
    return run->second->at(run->second->count - 1);
  }

  // A place between two pairs, for walks either way. Valid until the index changes.
  class Cursor {
   public:
    // The pair behind the place (in front of it), which moves past it; nothing at the end.
    std::optional<Entry> forward() {
      if (run_ != runs_->end() && position_ == run_->second->count) {
        ++run_;
        position_ = 0;
      }
      if (run_ == runs_->end()) return std::nullopt;
      return run_->second->at(position_++);
    }
    std::optional<Entry> backward() {
      if (position_ == 0) {
        if (run_ == runs_->begin()) return std::nullopt;
        --run_;
        position_ = run_->second->count;
      }
      return run_->second->at(--position_);
    }

   private:
    friend OrderedIndexOf;
    const Runs* runs_ = nullptr;
    typename Runs::const_iterator run_;
    std::uint32_t position_ = 0;
  };

  // In front of every pair whose key is not smaller than `key`.
  Cursor at(const Key& key) const {
    Cursor cursor;
    cursor.runs_ = &runs_;
    cursor.run_ = runs_.begin();
    if (runs_.empty()) return cursor;
    cursor.run_ = run_of({key, no_slot});
    cursor.position_ = cursor.run_->second->position({key, no_slot});
    return cursor;
  }

 private:
  static constexpr std::uint32_t run_items = 128;

  struct Run {
    std::uint32_t count = 0;
    std::array<Slot, run_items> slots;
    std::array<Key, run_items> keys;

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

  template <typename RunMap>
  static auto find_run(RunMap& runs, const Entry& entry) {
    auto run = runs.upper_bound(entry);
    return run == runs.begin() ? run : std::prev(run);
  }
  typename Runs::iterator run_of(const Entry& entry) { return find_run(runs_, entry); }
  typename Runs::const_iterator run_of(const Entry& entry) const { return find_run(runs_, entry); }

  // Joins a thin run with the one behind it when both fit into one.
  void merge(typename Runs::iterator run) {
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

using OrderedIndex = OrderedIndexOf<std::uint64_t>;

// Two numbers, of which the first counts more.
struct WideKey {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  friend auto operator<=>(const WideKey&, const WideKey&) = default;
};

}  // namespace pm::catalog
