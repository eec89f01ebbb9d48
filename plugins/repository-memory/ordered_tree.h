#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <utility>
#include <vector>

#include "record.h"

// A B+ tree of records whose nodes are counted: a snapshot is one more count on the root. The
// writer changes a node in place while nobody else counts on it, and copies it first otherwise, so
// a snapshot costs nothing to take and a change costs O(log n) with or without one.

namespace pm::repository_memory {

struct Node {
  static constexpr std::size_t entries_max = 32;

  // `first` is the record itself in a leaf (counted), the smallest one below in an inner node (not
  // counted: the leaf's count keeps it, and an inner node never outlives what is below it).
  struct Entry {
    std::uint64_t prefix;
    const Record* first;
  };

  std::atomic<std::uint32_t> references{1};
  const bool is_leaf;
  std::uint32_t count = 0;
  Entry entries[entries_max];

  explicit Node(bool leaf) : is_leaf(leaf) {}
};

struct InnerNode : Node {
  Node* children[entries_max];
  InnerNode() : Node(false) {}
};

// A state of a tree that stays as it is. Any thread may hold, read and drop it.
class Snapshot {
 public:
  Snapshot() = default;
  explicit Snapshot(Node* root);
  Snapshot(Snapshot&& other) noexcept : root_(std::exchange(other.root_, nullptr)) {}
  Snapshot& operator=(Snapshot&& other) noexcept {
    std::swap(root_, other.root_);
    return *this;
  }
  ~Snapshot();

  // Visits records in order, or in the opposite one, from the first that is not before(record) to
  // the last that is not after(record), while visit(record) returns true. Both are monotone.
  template <typename Before, typename After, typename Visit>
  void walk(bool descending, const Before& before, const After& after, const Visit& visit) const {
    if (root_ == nullptr) return;
    if (descending) {
      walk_down(*root_, before, after, visit);
    } else {
      walk_up(*root_, before, after, visit);
    }
  }

 private:
  // How many of the entries, from the first on, fulfil `monotone`.
  template <typename Monotone>
  static std::size_t leading(const Node& node, const Monotone& monotone) {
    const auto* end =
        std::partition_point(node.entries, node.entries + node.count,
                             [&](const Node::Entry& entry) { return monotone(*entry.first); });
    return static_cast<std::size_t>(end - node.entries);
  }

  template <typename Before, typename After, typename Visit>
  static bool walk_up(const Node& node, const Before& before, const After& after,
                      const Visit& visit) {
    std::size_t i = leading(node, before);
    if (!node.is_leaf && i > 0) --i;  // The child that begins before may go on beyond.
    for (; i < node.count; ++i) {
      const Record& record = *node.entries[i].first;
      if (after(record)) return false;
      const bool goes_on = node.is_leaf ? visit(record)
                                        : walk_up(*static_cast<const InnerNode&>(node).children[i],
                                                  before, after, visit);
      if (!goes_on) return false;
    }
    return true;
  }

  template <typename Before, typename After, typename Visit>
  static bool walk_down(const Node& node, const Before& before, const After& after,
                        const Visit& visit) {
    const auto not_after = [&](const Record& record) { return !after(record); };
    for (std::size_t i = leading(node, not_after); i-- > 0;) {
      const Record& record = *node.entries[i].first;
      if (node.is_leaf && before(record)) return false;
      const bool goes_on =
          node.is_leaf
              ? visit(record)
              : walk_down(*static_cast<const InnerNode&>(node).children[i], before, after, visit);
      if (!goes_on) return false;
    }
    return true;
  }

  Node* root_ = nullptr;
};

// Not thread-safe: the repository's lock stands around every call.
class OrderedTree {
 public:
  // Orders by the fields at `positions`; no two records may be equal in all of them.
  explicit OrderedTree(std::vector<std::size_t> positions) : positions_(std::move(positions)) {}
  OrderedTree(OrderedTree&& other) noexcept
      : positions_(std::move(other.positions_)), root_(std::exchange(other.root_, nullptr)) {}
  OrderedTree(const OrderedTree&) = delete;
  OrderedTree& operator=(const OrderedTree&) = delete;
  ~OrderedTree();

  const std::vector<std::size_t>& positions() const { return positions_; }

  Snapshot snapshot() const { return Snapshot(root_); }

  // The record equal to `probe` in the tree's fields, or NULL.
  const Record* find(const Record& probe) const;

  // Inserts the record; the one it replaces, if any.
  RecordRef put(RecordRef record);

  // Takes out the record equal to `probe`; none when there is none.
  RecordRef remove(const Record& probe);

 private:
  struct Probe {
    std::uint64_t prefix;
    const Record& record;
  };
  Probe probe(const Record& record) const {
    return {prefix_of(record.values()[positions_[0]]), record};
  }
  int compare_entry(const Node::Entry& entry, const Probe& probe) const;
  std::size_t lower_bound(const Node& node, const Probe& probe) const;
  std::size_t child_of(const Node& node, const Probe& probe) const;
  Node* put_below(Node*& at, const Probe& probe, RecordRef& record);
  Node* put_into_leaf(Node& leaf, const Probe& probe, RecordRef& record);
  RecordRef remove_below(Node*& at, const Probe& probe);

  std::vector<std::size_t> positions_;
  Node* root_ = nullptr;
};

}  // namespace pm::repository_memory
