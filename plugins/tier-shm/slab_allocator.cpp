#include "slab_allocator.h"

#include <sys/random.h>

#include <bit>
#include <cstdlib>
#include <cstring>
#include <new>

namespace pm::shm {
namespace {

// calloc: pages of a large array are not touched until they are used.
template <typename T>
T* zeroed(std::size_t count) {
  void* memory = std::calloc(count, sizeof(T));
  if (memory == nullptr) throw std::bad_alloc();
  return static_cast<T*>(memory);
}

// The finalizer of SplitMix64 (https://prng.di.unimi.it/splitmix64.c).
std::uint64_t mix(std::uint64_t value) {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
  return value ^ (value >> 31);
}

}  // namespace

SlabAllocator::SlabAllocator(std::uint32_t granules, bool all_zero)
    : granules_(granules),
      seed_{0x9e3779b97f4a7c15u, 0xd1b54a32d192ed03u},
      bucket_mask_(std::bit_ceil(granules) - 1),
      nodes_(zeroed<Node>(granules)),
      chain_(zeroed<std::uint32_t>(granules)),
      buckets_(zeroed<std::uint32_t>(bucket_mask_ + 1)) {
  // A secret seed: a client that writes the table of a slab must not choose our collisions. When
  // the kernel has none yet, the constants above still make a correct, if guessable, table.
  if (::getrandom(seed_, sizeof seed_, GRND_NONBLOCK) < 0) seed_[0] ^= granules;
  add_free(0, granules, all_zero ? owner_nobody : owner_mixed);
}

Tag SlabAllocator::tag_of(const pm_object_id_t& object) const {
  std::uint64_t words[2];
  std::memcpy(words, object.payload, sizeof words);
  return mix(mix(mix(words[0] ^ seed_[0]) + words[1] + seed_[1]) + object.generation);
}

std::optional<SlabAllocator::Block> SlabAllocator::allocate(Tag tag, std::uint64_t length,
                                                            std::uint32_t owner_uid) {
  const std::uint64_t wanted = granules_for(length);
  if (wanted == 0 || wanted > granules_ - granules_used_) return std::nullopt;
  const auto granules = static_cast<std::uint32_t>(wanted);
  const std::uint32_t owner = intern_owner(owner_uid);

  std::optional<std::uint32_t> first;
  if (const auto block = take_hot(granules)) {
    first = block->first;
  } else {
    first = take_free(granules);
    if (!first && !hot_.empty()) {
      while (!hot_.empty()) cool_oldest();
      first = take_free(granules);
    }
  }
  if (!first) return std::nullopt;
  const std::uint32_t previous = nodes_[*first].owner;
  occupy(*first, granules, tag, length, owner);
  const bool same = previous == owner && owner >= owner_first;
  return Block{*first, granules, previous != owner_nobody && !same};
}

bool SlabAllocator::restore(Tag tag, std::uint32_t first, std::uint64_t length, bool is_sealed) {
  const std::uint64_t wanted = granules_for(length);
  if (wanted == 0 || first >= granules_ || wanted > granules_ - first || find(tag)) return false;
  const auto granules = static_cast<std::uint32_t>(wanted);
  // In ascending order all that follows the last block is one free run.
  const Node run = nodes_[granules_ - 1];
  if (!is_free(run)) return false;
  const std::uint32_t run_first = granules_ - run.granules;
  if (first < run_first) return false;

  drop_free(run_first);
  const std::uint32_t before = first - run_first;
  const std::uint32_t after = run.granules - before - granules;
  if (before > 0) set_free(run_first, before, run.owner);
  if (after > 0) set_free(first + granules, after, run.owner);
  occupy(first, granules, tag, length, owner_mixed);
  if (is_sealed) mark_sealed(first);
  return true;
}

std::optional<SlabAllocator::Entry> SlabAllocator::find(Tag tag) const {
  for (std::uint32_t link = bucket(tag); link != 0; link = chain_[link - 1]) {
    if (auto entry = find_at(link - 1, tag)) return entry;
  }
  return std::nullopt;
}

std::optional<SlabAllocator::Entry> SlabAllocator::find_at(std::uint32_t first, Tag tag) const {
  if (first >= granules_) return std::nullopt;
  const Node& node = nodes_[first];
  if ((node.state != written && node.state != sealed) || node.tag != tag) return std::nullopt;
  const std::uint64_t length = std::uint64_t{node.granules} * granule_bytes - node.tail;
  const std::uint32_t owner_uid =
      node.owner >= owner_first ? owners_[node.owner - owner_first] : owner_unknown;
  return Entry{first, node.granules, length, node.state == sealed, owner_uid};
}

void SlabAllocator::mark_sealed(std::uint32_t first) { nodes_[first].state = sealed; }

void SlabAllocator::mark_removing(std::uint32_t first) { nodes_[first].state = removing; }

void SlabAllocator::release(std::uint32_t first) {
  const std::uint32_t granules = nodes_[first].granules;
  keep_hot(first, granules);  // May throw, and then nothing has changed.
  index_drop(first);
  nodes_[first].state = hot;
  granules_used_ -= granules;
  --blocks_;
  if (hot_.size() > hot_blocks_max) cool_oldest();
}

std::uint32_t SlabAllocator::intern_owner(std::uint32_t uid) {
  const auto found = owner_index_.find(uid);
  if (found != owner_index_.end()) return found->second;
  if (owner_first + owner_index_.size() >= owner_count_max) return owner_mixed;
  const auto index = static_cast<std::uint32_t>(owner_first + owner_index_.size());
  owners_.reserve(owners_.size() + 1);
  owner_index_.emplace(uid, index);
  owners_.push_back(uid);
  return index;
}

std::optional<SlabAllocator::Hot> SlabAllocator::take_hot(std::uint32_t granules) {
  const auto found = hot_by_size_.find(granules);
  if (found == hot_by_size_.end()) return std::nullopt;
  const auto newest = found->second.back();
  const Hot block = *newest;
  found->second.pop_back();
  if (found->second.empty()) hot_by_size_.erase(found);
  hot_.erase(newest);
  return block;
}

std::optional<std::uint32_t> SlabAllocator::take_free(std::uint32_t granules) {
  const auto fit = free_.lower_bound({granules, 0});
  if (fit == free_.end()) return std::nullopt;
  const auto [run, first] = *fit;
  const std::uint32_t owner = nodes_[first].owner;
  drop_free(first);
  if (run > granules) set_free(first + granules, run - granules, owner);
  nodes_[first] = make_node(granules, interior, 0, owner, 0);  // allocate() reads the owner.
  return first;
}

void SlabAllocator::keep_hot(std::uint32_t first, std::uint32_t granules) {
  hot_.push_back({first, granules});
  try {
    hot_by_size_[granules].push_back(std::prev(hot_.end()));
  } catch (...) {
    hot_.pop_back();
    throw;
  }
}

void SlabAllocator::cool_oldest() {
  const Hot block = hot_.front();
  const auto found = hot_by_size_.find(block.granules);
  found->second.pop_front();
  if (found->second.empty()) hot_by_size_.erase(found);
  hot_.pop_front();
  add_free(block.first, block.granules, nodes_[block.first].owner);
}

// Joins the run with free neighbours.
void SlabAllocator::add_free(std::uint32_t first, std::uint32_t granules, std::uint32_t owner) {
  const std::uint32_t end = first + granules;
  if (end < granules_ && nodes_[end].state == free_first) {
    const Node next = nodes_[end];
    drop_free(end);
    granules += next.granules;
    if (next.owner != owner) owner = owner_mixed;
  }
  if (first > 0) {
    const Node before = nodes_[first - 1];
    // A run of one granule is its own last.
    if (before.state == free_last || (before.state == free_first && before.granules == 1)) {
      nodes_[first] = Node{};
      first -= before.granules;
      granules += before.granules;
      if (before.owner != owner) owner = owner_mixed;
      drop_free(first);
    }
  }
  set_free(first, granules, owner);
}

void SlabAllocator::drop_free(std::uint32_t first) {
  const std::uint32_t granules = nodes_[first].granules;
  free_.erase({granules, first});
  nodes_[first + granules - 1] = Node{};
  nodes_[first] = Node{};
}

void SlabAllocator::set_free(std::uint32_t first, std::uint32_t granules, std::uint32_t owner) {
  free_.emplace(granules, first);
  nodes_[first + granules - 1] = make_node(granules, free_last, 0, owner, 0);
  nodes_[first] = make_node(granules, free_first, 0, owner, 0);
}

SlabAllocator::Node SlabAllocator::make_node(std::uint32_t granules, State state,
                                             std::uint64_t tail, std::uint32_t owner, Tag tag) {
  Node node{};
  node.granules = granules;
  node.state = state & 7u;
  node.tail = static_cast<std::uint32_t>(tail) & (granule_bytes - 1);
  node.owner = owner & (owner_count_max - 1);
  node.tag = tag;
  return node;
}

void SlabAllocator::occupy(std::uint32_t first, std::uint32_t granules, Tag tag,
                           std::uint64_t length, std::uint32_t owner) {
  const std::uint64_t tail = std::uint64_t{granules} * granule_bytes - length;
  nodes_[first] = make_node(granules, written, tail, owner, tag);
  index_add(first);
  granules_used_ += granules;
  ++blocks_;
}

void SlabAllocator::index_add(std::uint32_t first) {
  std::uint32_t& head = bucket(nodes_[first].tag);
  chain_[first] = head;
  head = first + 1;
}

void SlabAllocator::index_drop(std::uint32_t first) {
  std::uint32_t* link = &bucket(nodes_[first].tag);
  while (*link != first + 1) link = &chain_[*link - 1];
  *link = chain_[first];
  chain_[first] = 0;
}

bool SlabAllocator::consistent() const {
  std::uint64_t used = 0;
  std::uint64_t blocks = 0;
  std::size_t free_runs = 0;
  std::size_t hot_runs = 0;
  for (std::uint32_t at = 0; at < granules_;) {
    const Node& node = nodes_[at];
    if (node.granules == 0 || node.granules > granules_ - at) return false;
    if (is_block(node.state)) {
      used += node.granules;
      ++blocks;
      if (node.state != removing && !find(node.tag)) return false;
    } else if (node.state == free_first) {
      ++free_runs;
      if (!free_.contains({node.granules, at})) return false;
    } else if (node.state == hot) {
      ++hot_runs;
    } else {
      return false;
    }
    at += node.granules;
  }
  return used == granules_used_ && blocks == blocks_ && free_runs == free_.size() &&
         hot_runs == hot_.size();
}

}  // namespace pm::shm
