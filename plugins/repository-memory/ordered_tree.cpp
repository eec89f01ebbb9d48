#include "ordered_tree.h"

namespace pm::repository_memory {

namespace {

constexpr std::size_t entries_max = Node::entries_max;

// A node this empty looks for a neighbour to become one with, if both then leave some room.
constexpr std::size_t sparse = entries_max / 4;
constexpr std::size_t merged_max = entries_max * 3 / 4;

InnerNode& inner(Node& node) { return static_cast<InnerNode&>(node); }
const InnerNode& inner(const Node& node) { return static_cast<const InnerNode&>(node); }

void retain_node(Node* node) { node->references.fetch_add(1, std::memory_order_relaxed); }

void free_node(Node* node) {
  if (node->is_leaf) {
    delete node;
  } else {
    delete &inner(*node);
  }
}

void release_node(Node* node) {
  if (node->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  for (std::size_t i = 0; i < node->count; ++i) {
    if (node->is_leaf) {
      release(node->entries[i].first);
    } else {
      release_node(inner(*node).children[i]);
    }
  }
  free_node(node);
}

// Moves entries of `from`, from `begin` on, to the end of `to`.
void move_tail(Node& from, std::size_t begin, Node& to) {
  std::copy(from.entries + begin, from.entries + from.count, to.entries + to.count);
  if (!from.is_leaf)
    std::copy(inner(from).children + begin, inner(from).children + from.count,
              inner(to).children + to.count);
  to.count += from.count - static_cast<std::uint32_t>(begin);
  from.count = static_cast<std::uint32_t>(begin);
}

void insert_at(Node& node, std::size_t at, const Node::Entry& entry, Node* child) {
  std::copy_backward(node.entries + at, node.entries + node.count, node.entries + node.count + 1);
  node.entries[at] = entry;
  if (!node.is_leaf) {
    Node** children = inner(node).children;
    std::copy_backward(children + at, children + node.count, children + node.count + 1);
    children[at] = child;
  }
  ++node.count;
}

void erase_at(Node& node, std::size_t at) {
  std::copy(node.entries + at + 1, node.entries + node.count, node.entries + at);
  if (!node.is_leaf)
    std::copy(inner(node).children + at + 1, inner(node).children + node.count,
              inner(node).children + at);
  --node.count;
}

Node* new_node(bool is_leaf) { return is_leaf ? new Node(true) : new InnerNode; }

// Makes the node at `at` one that only the writer counts on.
void make_own(Node*& at) {
  if (at->references.load(std::memory_order_acquire) == 1) return;
  Node* copy = new_node(at->is_leaf);
  copy->count = at->count;
  std::copy(at->entries, at->entries + at->count, copy->entries);
  for (std::size_t i = 0; i < at->count; ++i) {
    if (at->is_leaf) {
      retain(copy->entries[i].first);
    } else {
      retain_node(inner(*copy).children[i] = inner(*at).children[i]);
    }
  }
  release_node(at);
  at = copy;
}

// Inserts and, when the node is full, splits it: the new right neighbour, or NULL. A node that
// grows at its end leaves all behind, so that records that come in order fill their nodes.
Node* insert_or_split(Node& node, std::size_t at, const Node::Entry& entry, Node* child) {
  if (node.count < entries_max) {
    insert_at(node, at, entry, child);
    return nullptr;
  }
  Node* right = new_node(node.is_leaf);
  const std::size_t middle = at == entries_max ? entries_max : entries_max / 2;
  move_tail(node, middle, *right);
  if (at < middle || (at == middle && middle < entries_max)) {
    insert_at(node, at, entry, child);
  } else {
    insert_at(*right, at - middle, entry, child);
  }
  return right;
}

// Joins child `at` of the node with a neighbour when the two are small enough.
void merge_child(InnerNode& node, std::size_t at) {
  if (node.children[at]->count >= sparse || node.count < 2) return;
  const std::size_t left = at == 0 ? 0 : at - 1;
  if (node.children[left]->count + node.children[left + 1]->count > merged_max) return;
  make_own(node.children[left]);
  make_own(node.children[left + 1]);
  Node* emptied = node.children[left + 1];
  move_tail(*emptied, 0, *node.children[left]);
  free_node(emptied);
  erase_at(node, left + 1);
}

}  // namespace

Snapshot::Snapshot(Node* root) : root_(root) {
  if (root_ != nullptr) retain_node(root_);
}

Snapshot::~Snapshot() {
  if (root_ != nullptr) release_node(root_);
}

OrderedTree::~OrderedTree() {
  if (root_ != nullptr) release_node(root_);
}

int OrderedTree::compare_entry(const Node::Entry& entry, const Probe& probe) const {
  if (entry.prefix != probe.prefix) return entry.prefix < probe.prefix ? -1 : 1;
  return compare(*entry.first, probe.record, positions_);
}

std::size_t OrderedTree::lower_bound(const Node& node, const Probe& probe) const {
  const auto* found = std::partition_point(
      node.entries, node.entries + node.count,
      [&](const Node::Entry& entry) { return compare_entry(entry, probe) < 0; });
  return static_cast<std::size_t>(found - node.entries);
}

// The child in which the probe is, or belongs.
std::size_t OrderedTree::child_of(const Node& node, const Probe& probe) const {
  const std::size_t at = lower_bound(node, probe);
  if (at < node.count && compare_entry(node.entries[at], probe) == 0) return at;
  return at == 0 ? 0 : at - 1;
}

const Record* OrderedTree::find(const Record& record) const {
  if (root_ == nullptr) return nullptr;
  const Probe wanted = probe(record);
  const Node* node = root_;
  while (!node->is_leaf) node = inner(*node).children[child_of(*node, wanted)];
  const std::size_t at = lower_bound(*node, wanted);
  const bool found = at < node->count && compare_entry(node->entries[at], wanted) == 0;
  return found ? node->entries[at].first : nullptr;
}

RecordRef OrderedTree::put(RecordRef record) {
  if (root_ == nullptr) root_ = new_node(true);
  const Probe wanted = probe(*record);
  Node* right = put_below(root_, wanted, record);
  if (right != nullptr) {
    auto* root = new InnerNode;
    insert_at(*root, 0, root_->entries[0], root_);
    insert_at(*root, 1, right->entries[0], right);
    root_ = root;
  }
  return record;
}

// Leaves in `record` the one that was replaced; the new right neighbour of the node, or NULL.
Node* OrderedTree::put_below(Node*& at, const Probe& probe, RecordRef& record) {
  make_own(at);
  Node& node = *at;
  if (node.is_leaf) return put_into_leaf(node, probe, record);
  const std::size_t child = child_of(node, probe);
  Node* right = put_below(inner(node).children[child], probe, record);
  node.entries[child] = inner(node).children[child]->entries[0];
  if (right == nullptr) return nullptr;
  return insert_or_split(node, child + 1, right->entries[0], right);
}

Node* OrderedTree::put_into_leaf(Node& leaf, const Probe& probe, RecordRef& record) {
  const std::size_t at = lower_bound(leaf, probe);
  if (at < leaf.count && compare_entry(leaf.entries[at], probe) == 0) {
    RecordRef replaced(leaf.entries[at].first);
    leaf.entries[at].first = record.take();
    record = std::move(replaced);
    return nullptr;
  }
  return insert_or_split(leaf, at, {probe.prefix, record.take()}, nullptr);
}

RecordRef OrderedTree::remove(const Record& record) {
  if (find(record) == nullptr) return {};
  RecordRef removed = remove_below(root_, probe(record));
  if (root_->count == 0) {
    free_node(std::exchange(root_, nullptr));
  } else if (!root_->is_leaf && root_->count == 1) {
    Node* child = inner(*root_).children[0];
    free_node(std::exchange(root_, child));
  }
  return removed;
}

// The record is there, so the path to it may be made the writer's own.
RecordRef OrderedTree::remove_below(Node*& at, const Probe& probe) {
  make_own(at);
  Node& node = *at;
  if (node.is_leaf) {
    const std::size_t place = lower_bound(node, probe);
    RecordRef removed(node.entries[place].first);
    erase_at(node, place);
    return removed;
  }
  const std::size_t place = child_of(node, probe);
  Node*& child = inner(node).children[place];
  RecordRef removed = remove_below(child, probe);
  if (child->count == 0) {
    free_node(child);
    erase_at(node, place);
  } else {
    node.entries[place] = child->entries[0];
    merge_child(inner(node), place);
  }
  return removed;
}

}  // namespace pm::repository_memory
