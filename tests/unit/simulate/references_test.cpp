#include "core/simulate/references.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstdio>
#include <map>
#include <random>

#include "core/simulate/generators.h"

namespace pm::simulate {
namespace {

struct Wanted {
  std::uint64_t ids = 6;
  std::size_t accesses = 60;
  std::uint64_t size_max = 1;
  bool only_reads = false;
};

std::vector<Access> random_trace(const Wanted& wanted, std::mt19937_64& random) {
  std::vector<Access> trace;
  for (std::size_t at = 0; at < wanted.accesses; ++at) {
    const std::uint64_t dice = wanted.only_reads ? 9 : random() % 10;
    const Op op = dice == 0 ? Op::remove : dice == 1 ? Op::write : Op::read;
    trace.push_back({at, random() % wanted.ids, 1 + random() % wanted.size_max, op});
  }
  return trace;
}

// A cache as plain as it can be written: what is there, in the order in which it leaves.
enum class Rule { lru, lfu };
HitCounts run_plainly(const std::vector<Access>& trace, std::uint64_t capacity, Rule rule) {
  struct Held {
    std::uint64_t id;
    std::uint64_t size;
  };
  std::vector<Held> held;  // The last one was used just now.
  std::map<std::uint64_t, int> uses;
  HitCounts counts;
  for (const Access& access : trace) {
    const auto there = std::find_if(held.begin(), held.end(),
                                    [&](const Held& one) { return one.id == access.id; });
    const bool hit = there != held.end();
    Held one{access.id, access.size_bytes};
    if (hit && access.op == Op::read) one = *there;
    if (access.op == Op::read) counts.add(access.size_bytes, hit);
    if (hit) held.erase(there);
    if (access.op == Op::remove) continue;
    ++uses[access.id];
    if (one.size > capacity) continue;
    const auto used = [&] {
      std::uint64_t sum = 0;
      for (const Held& each : held) sum += each.size;
      return sum;
    };
    while (used() + one.size > capacity) {
      auto victim = held.begin();
      if (rule == Rule::lfu) {
        victim = std::min_element(held.begin(), held.end(), [&](const Held& a, const Held& b) {
          return uses[a.id] < uses[b.id];
        });
      }
      held.erase(victim);
    }
    held.push_back(one);
  }
  return counts;
}

TEST(References, lru_and_lfu_do_what_a_plain_list_does) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 400; ++round) {
    const Wanted wanted{.ids = 2 + random() % 12, .size_max = 1 + random() % 5};
    const auto trace = random_trace(wanted, random);
    const std::uint64_t capacity = 1 + random() % 12;
    EXPECT_EQ(run_lru(trace, capacity), run_plainly(trace, capacity, Rule::lru)) << round;
    EXPECT_EQ(run_lfu(trace, capacity), run_plainly(trace, capacity, Rule::lfu)) << round;
  }
}

// The most hits that any cache of `capacity` objects of size 1 can have: after each access it may
// keep whatever it likes of what it had and what came.
std::uint64_t most_hits(const std::vector<Access>& trace, int capacity) {
  constexpr int impossible = -1;
  std::vector<int> best(1 << 6, impossible);  // By the set of those that are there.
  best[0] = 0;
  for (const Access& access : trace) {
    std::vector<int> after(best.size(), impossible);
    for (unsigned set = 0; set < best.size(); ++set) {
      if (best[set] == impossible) continue;
      const unsigned one = 1U << access.id;
      const bool hit = access.op == Op::read && (set & one) != 0;
      const int hits = best[set] + (hit ? 1 : 0);
      const unsigned there = access.op == Op::remove ? set & ~one : set | one;
      for (unsigned kept = 0; kept < best.size(); ++kept) {
        if ((kept & ~there) != 0 || std::popcount(kept) > capacity) continue;
        after[kept] = std::max(after[kept], hits);
      }
    }
    best = after;
  }
  return static_cast<std::uint64_t>(*std::max_element(best.begin(), best.end()));
}

TEST(References, no_cache_has_more_hits_than_belady_has_on_equal_sizes) {
  std::mt19937_64 random(2);
  for (int round = 0; round < 400; ++round) {
    const Wanted wanted{.accesses = 25, .only_reads = round % 2 == 0};
    const auto trace = random_trace(wanted, random);
    const int capacity = 1 + static_cast<int>(random() % 4);
    EXPECT_EQ(run_belady(trace, static_cast<std::uint64_t>(capacity)).hits,
              most_hits(trace, capacity))
        << round;
  }
}

TEST(References, belady_leaves_out_what_is_read_later_than_all_that_is_there) {
  // Were b let in, the second read of a would miss.
  const std::vector<Access> trace{
      {0, 0, 1, Op::read}, {1, 1, 1, Op::read}, {2, 0, 1, Op::read}, {3, 1, 1, Op::read}};
  EXPECT_EQ(run_belady(trace, 1).hits, 1u);
}

TEST(References, belady_with_sizes_gives_up_nothing_for_what_does_not_fit_then) {
  // c (3 bytes) would need the room of a, which is read before it: b must stay, too.
  const std::vector<Access> trace{{0, 0, 2, Op::read}, {1, 1, 2, Op::read}, {2, 2, 3, Op::read},
                                  {3, 0, 2, Op::read}, {4, 2, 3, Op::read}, {5, 1, 2, Op::read}};
  EXPECT_EQ(run_belady(trace, 4), (HitCounts{6, 2, 14, 4}));
}

TEST(References, what_is_larger_than_the_cache_drives_nobody_out) {
  const std::vector<Access> trace{{0, 0, 2, Op::read}, {1, 1, 5, Op::read}, {2, 0, 2, Op::read}};
  EXPECT_EQ(run_lru(trace, 4).hits, 1u);
  EXPECT_EQ(run_lfu(trace, 4).hits, 1u);
  EXPECT_EQ(run_belady(trace, 4).hits, 1u);
}

TEST(References, a_loop_larger_than_the_cache_gives_lru_nothing) {
  const auto trace = make_loop({.objects = 15, .accesses = 3000, .size_bytes = 1});
  EXPECT_EQ(run_lru(trace, 10).hits, 0u);
  EXPECT_EQ(run_lru(trace, 15).hits, 2985u);
  // Ten of fifteen in each round but the first.
  EXPECT_EQ(run_belady(trace, 10).hits, 1990u);
}

struct Rates {
  HitCounts lru, lfu, belady;
};
Rates measure(const char* name, const std::vector<Access>& trace, std::uint64_t capacity) {
  const auto begin = std::chrono::steady_clock::now();
  const Rates rates{run_lru(trace, capacity), run_lfu(trace, capacity),
                    run_belady(trace, capacity)};
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::printf("%-8s hits %%: lru %.2f lfu %.2f belady %.2f; bytes %%: %.2f %.2f %.2f; %.2f s\n",
              name, 100 * rates.lru.rate(), 100 * rates.lfu.rate(), 100 * rates.belady.rate(),
              100 * rates.lru.byte_rate(), 100 * rates.lfu.byte_rate(),
              100 * rates.belady.byte_rate(), took.count());
  return rates;
}

// What docs/POLICY.md tells, to the last hit: traces and caches are the same on every machine.
TEST(References, hits_on_the_traces_of_the_manual) {
  constexpr std::uint64_t capacity = 10'000 * 4096;
  const Rates zipf = measure("zipf", make_zipf({}), capacity);
  EXPECT_EQ(zipf.lru.hits, 603017u);
  EXPECT_EQ(zipf.lfu.hits, 684978u);
  EXPECT_EQ(zipf.belady.hits, 764789u);
  const Rates scans = measure("scans", make_scans({}), capacity);
  EXPECT_EQ(scans.lru.hits, 530643u);
  EXPECT_EQ(scans.lfu.hits, 622049u);
  EXPECT_EQ(scans.belady.hits, 695154u);
  measure("scans10k", make_scans({.zipf = {}, .accesses_between = 10'000}), capacity);
  const Rates loop = measure("loop", make_loop({}), capacity);
  EXPECT_EQ(loop.lru.hits, 0u);
  EXPECT_EQ(loop.lfu.hits, 0u);
  EXPECT_EQ(loop.belady.hits, 660000u);
  const auto sized_trace = make_sized({.zipf = {.size_bytes = 65'536}});
  const Rates sized = measure("sized", sized_trace, footprint_bytes(sized_trace) / 10);
  EXPECT_EQ(sized.lru.hits, 588363u);
  EXPECT_EQ(sized.lfu.hits, 672633u);
  EXPECT_EQ(sized.belady.hits, 753079u);
}

}  // namespace
}  // namespace pm::simulate
