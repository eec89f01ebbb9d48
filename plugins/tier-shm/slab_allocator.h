#pragma once

#include <pm/tier.h>

#include <cstdint>
#include <cstdlib>
#include <deque>
#include <list>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

// Which granules of a slab hold which object: plain data, no I/O, no lock of its own.
//
// A block is a run of granules. Freed blocks first go to a bounded stock by exact size and are
// handed out again last in, first out: their pages are still in the caches and page tables of the
// clients, and writing into such a block costs a tenth of writing into a cold one. When a search
// finds nothing, and for the oldest ones when the stock is full, they are joined with their free
// neighbours. All else is best fit, lowest address first: O(log free runs).
//
// Memory: 24 bytes for each granule, touched only at the ends of blocks; nothing for each object
// beyond that. The state here never depends on what clients can write.

namespace pm::shm {

// Of an object, as the allocator remembers it: 64 seeded bits instead of 24 bytes.
using Tag = std::uint64_t;

class SlabAllocator {
 public:
  static constexpr std::uint32_t granule_bytes = 4096;
  static constexpr std::uint32_t granules_max = 1u << 31;  // 8 TiB.
  static constexpr std::size_t hot_blocks_max = 1024;
  static constexpr std::uint32_t owner_unknown = UINT32_MAX;

  struct Block {
    std::uint32_t first = 0;
    std::uint32_t granules = 0;
    // Some byte in it may be left from another owner than the new one.
    bool needs_zeroing = false;
  };

  // An allocated block, as find() shows it.
  struct Entry {
    std::uint32_t first = 0;
    std::uint32_t granules = 0;
    std::uint64_t length = 0;
    bool sealed = false;
    std::uint32_t owner_uid = owner_unknown;
  };

  // `all_zero`: no one has written to the slab yet. At most granules_max granules, at least 1.
  SlabAllocator(std::uint32_t granules, bool all_zero);

  static std::uint64_t granules_for(std::uint64_t length) {
    return length / granule_bytes + (length % granule_bytes != 0 ? 1 : 0);
  }

  Tag tag_of(const pm_object_id_t& object) const;

  // Nothing when no run of free granules is long enough. The caller has made sure that `tag` is
  // not allocated. `length` is at least 1.
  std::optional<Block> allocate(Tag tag, std::uint64_t length, std::uint32_t owner_uid);

  // Marks a block of an earlier life as taken; for use before any allocate(), in ascending order
  // of `first`. False, and nothing changes, when it does not fit, overlaps another block or comes
  // out of order, or the tag is taken.
  bool restore(Tag tag, std::uint32_t first, std::uint64_t length, bool sealed);

  // The block that holds `tag`, anywhere or at `first`; nothing when there is none or when it is
  // being removed.
  std::optional<Entry> find(Tag tag) const;
  std::optional<Entry> find_at(std::uint32_t first, Tag tag) const;

  // The block must exist (find_at).
  void mark_sealed(std::uint32_t first);
  // Hides the block from find(); its granules stay taken until release().
  void mark_removing(std::uint32_t first);
  void release(std::uint32_t first);

  std::uint32_t granules() const { return granules_; }
  std::uint32_t granules_used() const { return granules_used_; }
  std::uint64_t blocks() const { return blocks_; }

  // Walks everything and compares: for tests. False when something does not add up.
  bool consistent() const;

 private:
  enum State : std::uint32_t {
    interior = 0,  // Neither the first granule of a run nor the last of a free one.
    written = 1,
    sealed = 2,
    removing = 3,
    hot = 4,
    free_first = 5,
    free_last = 6,
  };

  // One for each granule; means something for the first of a run, and the last of a free run.
  struct Node {
    std::uint32_t granules;
    std::uint32_t state : 3;
    std::uint32_t tail : 12;   // Bytes of the last granule that the object does not use.
    std::uint32_t owner : 17;  // Of the bytes that stand there: an index of owners_, or a mark.
    Tag tag;
  };
  static_assert(sizeof(Node) == 16);

  // Marks in Node::owner; real owners follow.
  static constexpr std::uint32_t owner_nobody = 0;  // Zero bytes.
  static constexpr std::uint32_t owner_mixed = 1;   // Several, or not known.
  static constexpr std::uint32_t owner_first = 2;
  static constexpr std::uint32_t owner_count_max = 1u << 17;

  struct Hot {
    std::uint32_t first;
    std::uint32_t granules;
  };
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };
  template <typename T>
  using Array = std::unique_ptr<T[], Free>;

  static bool is_block(std::uint32_t state) { return state >= written && state <= removing; }
  static bool is_free(const Node& node) {
    return node.state == free_first || node.state == free_last;
  }
  static Node make_node(std::uint32_t granules, State state, std::uint64_t tail,
                        std::uint32_t owner, Tag tag);
  std::uint32_t intern_owner(std::uint32_t uid);
  std::optional<Hot> take_hot(std::uint32_t granules);
  std::optional<std::uint32_t> take_free(std::uint32_t granules);
  void keep_hot(std::uint32_t first, std::uint32_t granules);
  void cool_oldest();
  void add_free(std::uint32_t first, std::uint32_t granules, std::uint32_t owner);
  void drop_free(std::uint32_t first);
  void set_free(std::uint32_t first, std::uint32_t granules, std::uint32_t owner);
  void occupy(std::uint32_t first, std::uint32_t granules, Tag tag, std::uint64_t length,
              std::uint32_t owner);
  std::uint32_t& bucket(Tag tag) const { return buckets_[tag & bucket_mask_]; }
  void index_add(std::uint32_t first);
  void index_drop(std::uint32_t first);

  std::uint32_t granules_;
  std::uint64_t seed_[2];
  std::uint64_t bucket_mask_;
  Array<Node> nodes_;
  Array<std::uint32_t> chain_;    // Next block in the same bucket, plus 1.
  Array<std::uint32_t> buckets_;  // First block of the bucket, plus 1.

  std::set<std::pair<std::uint32_t, std::uint32_t>> free_;  // (granules, first)
  std::list<Hot> hot_;                                      // Oldest first.
  std::unordered_map<std::uint32_t, std::deque<std::list<Hot>::iterator>> hot_by_size_;

  std::vector<std::uint32_t> owners_;  // The uid of Node::owner, less owner_first.
  std::unordered_map<std::uint32_t, std::uint32_t> owner_index_;
  std::uint32_t granules_used_ = 0;
  std::uint64_t blocks_ = 0;
};

}  // namespace pm::shm
