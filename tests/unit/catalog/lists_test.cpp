#include <gtest/gtest.h>

#include <set>

#include "harness.h"

namespace pm::catalog::test {
namespace {

constexpr ListOrder all_orders[] = {ListOrder::newest_first, ListOrder::oldest_first,
                                    ListOrder::smallest_first, ListOrder::largest_first};

// What a walk shows, page by page, with something done between the pages.
template <typename Between>
std::vector<View> pages(const Machine& machine, const ListWalk& walk, std::uint32_t page_size,
                        Between between) {
  std::vector<View> views;
  std::optional<ListPlace> behind;
  while (true) {
    std::vector<Listed> page;
    machine.catalog->walk(walk, behind, page_size, page);
    for (const Listed& listed : page) views.push_back(listed.view);
    if (page.size() < page_size) return views;
    behind = ListPlace{views.back().size_bytes, views.back().order};
    between();
  }
}

bool in_order(const View& first, const View& second, ListOrder order) {
  const auto by_size = [](const View& view) { return std::pair(view.size_bytes, view.order); };
  switch (order) {
    case ListOrder::newest_first: return first.order > second.order;
    case ListOrder::oldest_first: return first.order < second.order;
    case ListOrder::smallest_first: return by_size(first) < by_size(second);
    case ListOrder::largest_first: return by_size(first) > by_size(second);
  }
  return false;
}

void index_sizes(Machine& machine) {
  while (!machine.catalog->is_sorted_by_size()) machine.apply(IndexSizes{});
}

TEST(lists, show_every_payload_once_in_each_order) {
  Machine machine(three_tiers(1 << 20));
  for (std::uint64_t number = 1; number <= 100; ++number) {
    machine.put(number, 1 + number * 37 % 10, number % 3 == 0 ? disk : shm);
  }
  machine.apply(CopyGone{make_id(50), machine.see(50).generation});
  index_sizes(machine);
  for (const ListOrder order : all_orders) {
    const std::vector<View> views = pages(machine, {order, no_tier, {}}, 7, [] {});
    ASSERT_EQ(views.size(), 100u);
    for (std::size_t index = 1; index < views.size(); ++index) {
      EXPECT_TRUE(in_order(views[index - 1], views[index], order)) << index;
    }
  }
}

// LIST-2: what is there from the first page to the last is shown once, whatever comes, goes or
// moves meanwhile.
TEST(lists, stay_stable_while_payloads_come_go_and_move) {
  for (const ListOrder order : all_orders) {
    Machine machine(three_tiers(4 << 20));
    for (std::uint64_t number = 1; number <= 300; ++number) {
      machine.put(number, 1 + number * 37 % 50);
      machine.label(number, {{"all", "yes"}});
    }
    index_sizes(machine);
    for (const std::optional<LabelTerm>& label :
         {std::optional<LabelTerm>(), std::optional(LabelTerm{"all", "yes"})}) {
      const bool by_size = order == ListOrder::smallest_first || order == ListOrder::largest_first;
      if (by_size && label) continue;
      // Even ones stay; odd ones go, others come, and all kinds move.
      std::uint64_t step = 0;
      const std::vector<View> views = pages(machine, {order, no_tier, label}, 10, [&] {
        ++step;
        machine.erase(2 * step * 7 % 300 + 1, true);
        machine.put(1000 + step + 1000 * static_cast<std::uint64_t>(label.has_value()),
                    1 + step % 50);
        machine.spill(2 + 2 * (step * 11 % 150), disk);
        machine.promote(2 + 2 * (step * 13 % 150), shm, step % 2 == 0);
      });
      std::multiset<std::vector<std::uint8_t>> seen;
      for (const View& view : views) seen.emplace(view.id.bytes.begin(), view.id.bytes.end());
      for (std::uint64_t number = 2; number <= 300; number += 2) {
        const Id id = make_id(number);
        const std::vector<std::uint8_t> key(id.bytes.begin(), id.bytes.end());
        EXPECT_EQ(seen.count(key), 1u) << number;
      }
      EXPECT_EQ(std::set(seen.begin(), seen.end()).size(), seen.size()) << "one came twice";
    }
  }
}

TEST(lists, by_size_are_made_in_slices_while_payloads_come_and_go) {
  Machine machine(three_tiers(16 << 20));
  for (std::uint64_t number = 1; number <= 1000; ++number) machine.put(number, number % 97 + 1);
  EXPECT_FALSE(machine.catalog->is_sorted_by_size()) << "nobody has asked for it";
  std::uint64_t next = 2000;
  int slices = 0;
  while (!machine.catalog->is_sorted_by_size()) {
    machine.apply(IndexSizes{});
    ++slices;
    machine.put(next++, 5);
    machine.erase(static_cast<std::uint64_t>(slices));         // Not reached yet.
    machine.erase(1001 - static_cast<std::uint64_t>(slices));  // Reached.
  }
  EXPECT_GE(slices, 4) << "a slice is at most 256 payloads";
  const std::vector<View> views =
      pages(machine, {ListOrder::smallest_first, no_tier, {}}, 64, [] {});
  EXPECT_EQ(views.size(), machine.catalog->count_listed(no_tier));
  machine.apply(IndexSizes{});
  EXPECT_TRUE(machine.catalog->is_sorted_by_size());
}

TEST(lists, walk_the_payloads_of_a_tier_or_a_label_only) {
  Machine machine(three_tiers(1 << 20));
  for (std::uint64_t number = 1; number <= 60; ++number) {
    machine.put(number, number, number % 2 == 0 ? disk : shm);
    if (number % 20 == 0) machine.label(number, {{"rare", std::to_string(number)}});
  }
  EXPECT_EQ(pages(machine, {ListOrder::newest_first, disk, {}}, 7, [] {}).size(), 30u);
  EXPECT_EQ(pages(machine, {ListOrder::newest_first, nowhere, {}}, 7, [] {}).size(), 0u);
  const auto with = [&](const LabelTerm& term, ListOrder order) {
    std::vector<std::uint64_t> sizes;
    for (const View& view : pages(machine, {order, no_tier, term}, 2, [] {})) {
      sizes.push_back(view.size_bytes);
    }
    return sizes;
  };
  using Sizes = std::vector<std::uint64_t>;
  EXPECT_EQ(with({"rare", std::nullopt}, ListOrder::newest_first), (Sizes{60, 40, 20}));
  EXPECT_EQ(with({"rare", std::nullopt}, ListOrder::oldest_first), (Sizes{20, 40, 60}));
  EXPECT_EQ(with({"rare", "40"}, ListOrder::newest_first), (Sizes{40}));
  EXPECT_EQ(with({"rare", ""}, ListOrder::newest_first), Sizes{});
  EXPECT_EQ(with({"unknown", std::nullopt}, ListOrder::oldest_first), Sizes{});
}

}  // namespace
}  // namespace pm::catalog::test
