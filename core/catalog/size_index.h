#pragma once

#include <cstdint>

#include "ordered_index.h"
#include "slots.h"

namespace pm::catalog {

// Payloads by their size, then by the order of their making. It costs 20 bytes and little more a
// payload, so it is only made when somebody asks for it: from the newest payload down to the
// oldest, in slices, while it follows every change among those that it has reached.
class SizeIndex {
 public:
  using Pairs = OrderedIndexOf<WideKey>;

  bool is_begun() const { return from_ != UINT64_MAX; }
  bool is_complete() const { return from_ == 0; }
  // It has every payload whose order is not smaller.
  std::uint64_t from() const { return from_; }

  // From now on it has what comes at `order` or later.
  void begin(std::uint64_t order) { from_ = order; }
  // One more payload, the newest that it did not have.
  void extend(std::uint64_t size_bytes, std::uint64_t order, Slot payload) {
    from_ = order;
    pairs_.insert({size_bytes, order}, payload);
  }
  void complete() { from_ = 0; }

  void add(std::uint64_t size_bytes, std::uint64_t order, Slot payload) {
    if (order >= from_) pairs_.insert({size_bytes, order}, payload);
  }
  void remove(std::uint64_t size_bytes, std::uint64_t order, Slot payload) {
    if (order >= from_) pairs_.remove({size_bytes, order}, payload);
  }

  // In front of every payload that is not smaller, or is as large and not older.
  Pairs::Cursor at(std::uint64_t size_bytes, std::uint64_t order) const {
    return pairs_.at({size_bytes, order});
  }
  std::uint64_t size() const { return pairs_.size(); }

 private:
  Pairs pairs_;
  std::uint64_t from_ = UINT64_MAX;
};

}  // namespace pm::catalog
