#include "core/simulate/generators.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace pm::simulate {
namespace {

// FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv/), byte by byte, of all that an access says.
std::uint64_t hash_of(const std::vector<Access>& trace) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  const auto add = [&](std::uint64_t number) {
    for (int byte = 0; byte < 8; ++byte) {
      hash = (hash ^ (number >> (8 * byte) & 0xff)) * 0x100000001b3ULL;
    }
  };
  for (const Access& access : trace) {
    add(access.time_ms);
    add(access.id);
    add(access.size_bytes);
    add(static_cast<std::uint64_t>(access.op));
  }
  return hash;
}

std::vector<std::uint64_t> count_ids(const std::vector<Access>& trace, std::size_t ids) {
  std::vector<std::uint64_t> counts(ids);
  for (const Access& access : trace) ++counts.at(access.id);
  return counts;
}

TEST(Generators, the_same_seed_gives_the_same_trace_on_every_machine) {
  EXPECT_EQ(hash_of(make_zipf({.seed = 7, .accesses = 10'000})), 12716215825396696916u);
  EXPECT_EQ(
      hash_of(make_scans(
          {.zipf = {.seed = 7, .accesses = 10'000}, .scan_objects = 100, .accesses_between = 900})),
      13124327744857857034u);
  EXPECT_EQ(hash_of(make_loop({.objects = 15, .accesses = 10'000})), 12480752643381992904u);
  EXPECT_EQ(hash_of(make_sized({.zipf = {.seed = 7, .accesses = 10'000, .size_bytes = 65'536}})),
            7485140674749275146u);
}

TEST(Generators, another_seed_gives_another_trace) {
  EXPECT_NE(make_zipf({.seed = 1, .accesses = 1000}), make_zipf({.seed = 2, .accesses = 1000}));
}

TEST(Generators, zipf_draws_each_rank_as_often_as_the_law_says) {
  for (const double s : {0.0, 0.6, 0.9, 1.0, 1.5}) {
    constexpr std::size_t objects = 1000;
    constexpr std::size_t draws = 1'000'000;
    const auto counts =
        count_ids(make_zipf({.seed = 3, .objects = objects, .s = s, .accesses = draws}), objects);
    double harmonic = 0;
    for (std::size_t rank = 1; rank <= objects; ++rank) {
      harmonic += std::pow(static_cast<double>(rank), -s);
    }
    double chi_squared = 0;
    for (std::size_t rank = 1; rank <= objects; ++rank) {
      const double expected = draws * std::pow(static_cast<double>(rank), -s) / harmonic;
      const double off = static_cast<double>(counts[rank - 1]) - expected;
      chi_squared += off * off / expected;
    }
    // Of 999 degrees of freedom: 999 on average, with a standard deviation of 45.
    EXPECT_GT(chi_squared, 999 - 5 * 45) << s;
    EXPECT_LT(chi_squared, 999 + 5 * 45) << s;
  }
}

TEST(Generators, scans_read_what_is_read_at_no_other_time) {
  const auto trace = make_scans(
      {.zipf = {.objects = 50, .accesses = 350}, .scan_objects = 20, .accesses_between = 100});
  ASSERT_EQ(trace.size(), 350u);
  std::set<std::uint64_t> scanned;
  for (std::size_t at = 0; at < trace.size(); ++at) {
    EXPECT_EQ(trace[at].time_ms, at);
    if (at % 120 < 100) {
      EXPECT_LT(trace[at].id, 50u) << at;
    } else {
      EXPECT_GE(trace[at].id, 50u) << at;
      EXPECT_TRUE(scanned.insert(trace[at].id).second) << at;
    }
  }
  EXPECT_EQ(scanned.size(), 50u);
}

TEST(Generators, a_loop_reads_one_after_the_other) {
  const auto trace = make_loop({.objects = 3, .accesses = 7, .size_bytes = 5});
  for (std::size_t at = 0; at < 7; ++at) {
    EXPECT_EQ(trace[at], (Access{at, at % 3, 5, Op::read}));
  }
}

TEST(Generators, sizes_are_nearly_log_normal_and_each_object_keeps_its_own) {
  const ZipfTrace zipf{
      .seed = 5, .objects = 10'000, .s = 0.0, .accesses = 200'000, .size_bytes = 65'536};
  const auto trace = make_sized({.zipf = zipf, .spread = 2.0});
  std::vector<std::uint64_t> sizes(10'000);
  for (const Access& access : trace) {
    std::uint64_t& bytes = sizes.at(access.id);
    EXPECT_TRUE(bytes == 0 || bytes == access.size_bytes);
    bytes = access.size_bytes;
  }
  double sum = 0;
  double squares = 0;
  for (const std::uint64_t bytes : sizes) {
    ASSERT_GT(bytes, 0u);
    const double octaves = std::log2(static_cast<double>(bytes)) - 16;
    sum += octaves;
    squares += octaves * octaves;
  }
  EXPECT_NEAR(sum / 10'000, 0.0, 0.1);
  EXPECT_NEAR(std::sqrt(squares / 10'000), 2.0, 0.1);
  // The accesses themselves are those of the trace with equal sizes.
  const auto equal = make_zipf(zipf);
  for (std::size_t at = 0; at < trace.size(); ++at) ASSERT_EQ(trace[at].id, equal[at].id);
}

TEST(Generators, a_footprint_counts_each_object_once) {
  EXPECT_EQ(footprint_bytes({{0, 0, 10, Op::read}, {1, 5, 7, Op::read}, {2, 0, 10, Op::read}}),
            17u);
}

}  // namespace
}  // namespace pm::simulate
