#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <vector>

#include "core/catalog/hash_table.h"
#include "core/catalog/ordered_index.h"

namespace pm::catalog::test {
namespace {

TEST(ordered_index, agrees_with_a_set_over_random_changes) {
  std::mt19937_64 random(7);
  OrderedIndex index;
  std::set<std::pair<std::uint64_t, Slot>> model;
  for (int step = 0; step < 200'000; ++step) {
    const std::uint64_t key = random() % 3000;
    const Slot slot = static_cast<Slot>(random() % 5 + 1);
    const bool growing = step % 40'000 < 25'000;
    if (model.contains({key, slot})) {
      if (!growing || random() % 4 == 0) {
        model.erase({key, slot});
        index.remove(key, slot);
      }
    } else if (growing) {
      model.emplace(key, slot);
      index.insert(key, slot);
    }
    ASSERT_EQ(index.size(), model.size());
    if (step % 100 != 0) continue;
    const auto first = index.first();
    ASSERT_EQ(first.has_value(), !model.empty());
    if (first) {
      ASSERT_EQ(std::pair(first->key, first->slot), *model.begin());
    }
    const auto before = index.before(key);
    const auto wanted_before = model.lower_bound({key, 0});
    ASSERT_EQ(before.has_value(), wanted_before != model.begin());
    if (before) {
      ASSERT_EQ(std::pair(before->key, before->slot), *std::prev(wanted_before));
    }
  }
}

TEST(ordered_index, walks_everything_backwards_in_order) {
  OrderedIndex index;
  for (std::uint64_t key = 1; key <= 10'000; ++key) index.insert(key, 1);
  std::uint64_t wanted = 10'001;
  for (auto entry = index.before(UINT64_MAX); entry; entry = index.before(entry->key)) {
    ASSERT_EQ(entry->key, --wanted);
  }
  EXPECT_EQ(wanted, 1u);
}

struct Item {
  std::uint64_t number = 0;
  Slot hash_next = no_slot;
  const std::uint64_t& key() const { return number; }
};

TEST(slots, keep_objects_where_they_are_while_they_grow_and_use_freed_numbers_again) {
  Slots<Item> slots;
  std::vector<Item*> places(1);
  constexpr Slot count = 150'000;  // Beyond what is taken a block at a time.
  for (Slot wanted = 1; wanted <= count; ++wanted) {
    ASSERT_EQ(slots.add(), wanted);
    ASSERT_EQ(slots[wanted].number, 0u);
    slots[wanted].number = wanted;
    places.push_back(&slots[wanted]);
  }
  for (Slot slot = 1; slot <= count; ++slot) {
    ASSERT_EQ(&slots[slot], places[slot]);
    ASSERT_EQ(slots[slot].number, slot);
  }
  for (Slot slot = 1; slot <= count; slot += 3) slots.remove(slot);
  EXPECT_EQ(slots.size(), count - count / 3);
  for (Slot again = 0; again < count / 3; ++again) ASSERT_EQ(slots[slots.add()].number, 0u);
  EXPECT_EQ(slots.size(), count);
  EXPECT_EQ(slots.add(), count + 1);
}

TEST(hash_table, agrees_with_a_map_while_it_grows_and_shrinks) {
  std::mt19937_64 random(11);
  Slots<Item> slots;
  HashTable<Item> table(slots);
  std::map<std::uint64_t, Slot> model;
  for (int step = 0; step < 200'000; ++step) {
    const std::uint64_t key = random() % 20'000;
    const auto found = model.find(key);
    ASSERT_EQ(table.find(key), found == model.end() ? no_slot : found->second);
    if (found == model.end()) {
      const Slot slot = slots.add();
      slots[slot].number = key;
      table.insert(slot);
      model.emplace(key, slot);
    } else if (step % 3 == 0) {
      table.remove(found->second);
      slots.remove(found->second);
      model.erase(found);
    }
  }
  EXPECT_EQ(slots.size(), model.size());
}

}  // namespace
}  // namespace pm::catalog::test
