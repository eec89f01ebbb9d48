#include "slab_allocator.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <random>

#include "test_host.h"

namespace pm::shm {
namespace {

constexpr std::uint64_t granule = SlabAllocator::granule_bytes;

// What the allocator should do, one cell for each granule, searched from end to end.
class Model {
 public:
  static constexpr std::uint32_t nobody = 0;

  explicit Model(std::uint32_t granules) : taken_(granules), owner_(granules, nobody) {}

  bool has_run(std::uint64_t granules) const {
    std::uint64_t run = 0;
    for (const bool taken : taken_) {
      run = taken ? 0 : run + 1;
      if (run >= granules) return true;
    }
    return false;
  }
  bool is_free(const SlabAllocator::Block& block) const {
    for (std::uint32_t i = 0; i < block.granules; ++i) {
      if (taken_.at(block.first + i)) return false;
    }
    return true;
  }
  bool shows_another_owner(const SlabAllocator::Block& block, std::uint32_t owner) const {
    for (std::uint32_t i = 0; i < block.granules; ++i) {
      const std::uint32_t before = owner_[block.first + i];
      if (before != nobody && before != owner) return true;
    }
    return false;
  }
  void take(const SlabAllocator::Block& block, std::uint32_t owner) {
    for (std::uint32_t i = 0; i < block.granules; ++i) {
      taken_[block.first + i] = true;
      owner_[block.first + i] = owner;
    }
  }
  void give(const SlabAllocator::Block& block) {
    for (std::uint32_t i = 0; i < block.granules; ++i) taken_[block.first + i] = false;
  }

 private:
  std::vector<bool> taken_;
  std::vector<std::uint32_t> owner_;  // Of the last bytes written there.
};

void run_against_model(unsigned seed) {
  constexpr std::uint32_t granules = 300;
  std::mt19937_64 random(seed);
  SlabAllocator allocator(granules, true);
  Model model(granules);
  std::map<Tag, SlabAllocator::Block> live;
  for (int step = 0; step < 4000; ++step) {
    if (random() % 100 < 55) {
      const Tag tag = allocator.tag_of(object_number(random()));
      const std::uint64_t length = 1 + random() % (random() % 8 == 0 ? 100 * granule : 9 * granule);
      const auto owner = static_cast<std::uint32_t>(1 + random() % 3);
      const auto block = allocator.allocate(tag, length, owner);
      ASSERT_EQ(block.has_value(), model.has_run(SlabAllocator::granules_for(length)));
      if (!block) continue;
      ASSERT_EQ(block->granules, SlabAllocator::granules_for(length));
      ASSERT_TRUE(model.is_free(*block));
      ASSERT_TRUE(block->needs_zeroing || !model.shows_another_owner(*block, owner));
      model.take(*block, owner);
      live.emplace(tag, *block);
      const auto entry = allocator.find(tag);
      ASSERT_TRUE(entry && entry->first == block->first && entry->length == length);
      ASSERT_EQ(entry->owner_uid, owner);
    } else if (!live.empty()) {
      auto victim = live.begin();
      std::advance(victim, static_cast<std::ptrdiff_t>(random() % live.size()));
      allocator.mark_removing(victim->second.first);
      allocator.release(victim->second.first);
      ASSERT_FALSE(allocator.find(victim->first));
      model.give(victim->second);
      live.erase(victim);
    }
    ASSERT_EQ(allocator.blocks(), live.size());
    ASSERT_TRUE(step % 50 != 0 || allocator.consistent());
  }
  for (const auto& [tag, block] : live) allocator.release(block.first);
  ASSERT_TRUE(allocator.allocate(1, granules * granule, 1));
}

TEST(SlabAllocator, agrees_with_a_naive_model) {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    ASSERT_NO_FATAL_FAILURE(run_against_model(seed)) << "seed " << seed;
  }
}

TEST(SlabAllocator, the_block_freed_last_is_reused_first) {
  SlabAllocator allocator(64, true);
  std::vector<std::uint32_t> first;
  for (Tag tag = 1; tag <= 4; ++tag)
    first.push_back(allocator.allocate(tag, 4 * granule, 7)->first);
  allocator.release(first[0]);
  allocator.release(first[2]);
  allocator.release(first[1]);
  EXPECT_EQ(allocator.allocate(11, 4 * granule, 7)->first, first[1]);
  EXPECT_EQ(allocator.allocate(12, 4 * granule, 7)->first, first[2]);
  EXPECT_EQ(allocator.allocate(13, 4 * granule, 7)->first, first[0]);
}

TEST(SlabAllocator, a_block_is_zeroed_only_when_its_owner_changes) {
  SlabAllocator allocator(64, true);
  const auto fresh = allocator.allocate(1, 4 * granule, 7);
  EXPECT_FALSE(fresh->needs_zeroing);
  allocator.release(fresh->first);
  const auto same = allocator.allocate(2, 4 * granule, 7);
  EXPECT_EQ(same->first, fresh->first);
  EXPECT_FALSE(same->needs_zeroing);
  allocator.release(same->first);
  EXPECT_TRUE(allocator.allocate(3, 4 * granule, 8)->needs_zeroing);
}

TEST(SlabAllocator, after_a_restart_every_block_is_zeroed) {
  SlabAllocator allocator(64, false);
  EXPECT_TRUE(allocator.allocate(1, granule, 7)->needs_zeroing);
}

TEST(SlabAllocator, freed_neighbours_join_when_a_search_fails) {
  SlabAllocator allocator(8, true);
  for (Tag tag = 1; tag <= 8; ++tag) ASSERT_TRUE(allocator.allocate(tag, granule, 7));
  EXPECT_FALSE(allocator.allocate(9, granule, 7));
  for (std::uint32_t i = 0; i < 8; ++i) allocator.release(i);
  const auto whole = allocator.allocate(10, 8 * granule, 7);
  ASSERT_TRUE(whole);
  EXPECT_EQ(whole->first, 0u);
}

TEST(SlabAllocator, restore_refuses_what_does_not_fit) {
  SlabAllocator allocator(16, false);
  EXPECT_TRUE(allocator.restore(1, 2, 3 * granule, true));
  EXPECT_FALSE(allocator.restore(2, 4, granule, true)) << "overlaps";
  EXPECT_FALSE(allocator.restore(1, 8, granule, true)) << "the same object twice";
  EXPECT_FALSE(allocator.restore(3, 8, 9 * granule, true)) << "ends past the slab";
  EXPECT_FALSE(allocator.restore(3, 8, UINT64_MAX, true)) << "no length at all";
  EXPECT_FALSE(allocator.restore(3, 8, 0, true)) << "no length at all";
  EXPECT_FALSE(allocator.restore(3, 16, 1, true)) << "begins past the slab";
  EXPECT_FALSE(allocator.restore(3, 0, 1, true)) << "out of order";
  EXPECT_TRUE(allocator.restore(4, 8, 8 * granule, false));
  EXPECT_FALSE(allocator.restore(5, 15, 1, false)) << "the slab is full";
  EXPECT_TRUE(allocator.consistent());
  EXPECT_EQ(allocator.granules_used(), 11u);
}

TEST(SlabAllocator, removing_hides_the_block_and_keeps_its_room) {
  SlabAllocator allocator(4, true);
  const auto block = allocator.allocate(1, 4 * granule, 7);
  allocator.mark_removing(block->first);
  EXPECT_FALSE(allocator.find(1));
  EXPECT_FALSE(allocator.find_at(block->first, 1));
  EXPECT_FALSE(allocator.allocate(2, granule, 7));
  allocator.release(block->first);
  EXPECT_TRUE(allocator.allocate(2, granule, 7));
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PM_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define PM_SANITIZED 1
#endif
#endif

std::uint64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::uint64_t total = 0;
  std::uint64_t resident = 0;
  file >> total >> resident;
  return resident * 4096;
}

TEST(SlabAllocator, a_million_blocks_cost_at_most_32_bytes_each) {
#ifdef PM_SANITIZED
  GTEST_SKIP() << "sanitizers have memory of their own";
#endif
  constexpr std::uint32_t count = 1 << 20;
  const std::uint64_t before = resident_bytes();
  SlabAllocator allocator(count, true);
  for (std::uint32_t i = 0; i < count; ++i) {
    ASSERT_TRUE(allocator.allocate(allocator.tag_of(object_number(i)), granule, 7));
  }
  const double each = static_cast<double>(resident_bytes() - before) / count;
  RecordProperty("bytes_for_each_block", std::to_string(each));
  EXPECT_LE(each, 32.0);
}

}  // namespace
}  // namespace pm::shm
