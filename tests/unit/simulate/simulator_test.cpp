#include "core/simulate/simulator.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <random>

#include "core/simulate/generators.h"

namespace pm::simulate {
namespace {

SimulationResult simulate(const std::vector<Access>& trace, std::vector<SimulatedTier> tiers,
                          Decider decider = {}) {
  Simulator simulator(std::move(tiers), std::move(decider));
  const Status status = simulator.run(trace);
  EXPECT_TRUE(status.ok()) << status.to_string();
  return simulator.result();
}

// Over a tier that survives no loss of power, a promoted payload leaves nothing behind.
std::vector<SimulatedTier> over_a_tier_that_is_not_durable(std::uint64_t capacity_bytes) {
  auto tiers = two_tiers(capacity_bytes);
  tiers[1].facts.traits = catalog::traits_keeps_bytes;
  return tiers;
}

// Victims are deleted.
std::vector<SimulatedTier> over_nothing(std::uint64_t capacity_bytes) {
  auto tiers = two_tiers(capacity_bytes);
  tiers[1].facts.traits = 0;
  return tiers;
}

TEST(Simulator, without_a_policy_it_is_an_lru_cache_to_the_last_hit) {
  std::mt19937_64 random(4);
  for (int round = 0; round < 200; ++round) {
    std::vector<Access> trace;
    const std::uint64_t ids = 2 + random() % 20;
    const std::uint64_t size_max = 1 + random() % 4;
    const std::uint64_t capacity = size_max + random() % 20;
    std::vector<std::uint64_t> sizes(ids);
    for (std::uint64_t& bytes : sizes) bytes = 1 + random() % size_max;
    for (std::uint64_t at = 0; at < 200; ++at) {
      const std::uint64_t dice = random() % 10;
      const std::uint64_t id = random() % ids;
      const Op op = dice == 0 ? Op::remove : dice == 1 ? Op::write : Op::read;
      trace.push_back({at * 100, id, sizes[id], op});
    }
    const HitCounts expected = run_lru(trace, capacity);
    EXPECT_EQ(simulate(trace, two_tiers(capacity)).hits, expected) << round;
    EXPECT_EQ(simulate(trace, over_a_tier_that_is_not_durable(capacity)).hits, expected) << round;
    EXPECT_EQ(simulate(trace, over_nothing(capacity)).hits, expected) << round;
  }
}

TEST(Simulator, on_the_traces_of_the_manual_the_default_is_lru) {
  constexpr std::uint64_t capacity = 10'000 * 4096;
  const auto sized = make_sized({.zipf = {.size_bytes = 65'536}});
  const struct {
    const char* name;
    std::vector<Access> trace;
    std::uint64_t capacity;
  } cases[] = {{"zipf", make_zipf({}), capacity},
               {"scans", make_scans({}), capacity},
               {"loop", make_loop({}), capacity},
               {"sized", sized, footprint_bytes(sized) / 10}};
  for (const auto& one : cases) {
    const auto begin = std::chrono::steady_clock::now();
    const SimulationResult result = simulate(one.trace, two_tiers(one.capacity));
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    const HitCounts lru = run_lru(one.trace, one.capacity);
    std::printf("%-6s %.4f %% of reads hit, %.4f %% with LRU; %.2f s\n", one.name,
                100 * result.hits.rate(), 100 * lru.rate(), took.count());
    EXPECT_EQ(result.hits, lru) << one.name;
  }
}

TEST(Simulator, a_promoted_payload_keeps_its_durable_copy_so_dropping_it_is_free) {
  const auto trace = make_loop({.objects = 4, .accesses = 12, .size_bytes = 10});
  const SimulationResult durable = simulate(trace, two_tiers(30));
  EXPECT_EQ(durable.promoted, 12u);
  EXPECT_EQ(durable.dropped, 9u);
  EXPECT_EQ(durable.spilled, 0u);
  EXPECT_EQ(durable.tiers[0].moved_in_bytes, 120u);
  EXPECT_EQ(durable.tiers[1].moved_in_bytes, 0u);
  const SimulationResult moved = simulate(trace, over_a_tier_that_is_not_durable(30));
  EXPECT_EQ(moved.dropped, 0u);
  EXPECT_EQ(moved.spilled, 9u);
  EXPECT_EQ(moved.spilled_bytes, 90u);
  EXPECT_EQ(moved.tiers[1].moved_in_bytes, 90u);
}

TEST(Simulator, what_left_for_a_tier_that_keeps_nothing_is_written_anew) {
  const auto trace = make_loop({.objects = 3, .accesses = 6, .size_bytes = 10});
  const SimulationResult result = simulate(trace, over_nothing(20));
  EXPECT_EQ(result.gone, 3u);
  EXPECT_EQ(result.tiers[0].placed, 3u);
  EXPECT_EQ(result.dropped, 4u);
  EXPECT_EQ(result.hits.hits, 0u);
}

TEST(Simulator, reads_count_for_the_tier_that_serves_them) {
  const std::vector<Access> trace{
      {0, 0, 10, Op::write}, {1, 0, 10, Op::read}, {2, 1, 7, Op::read}, {3, 1, 7, Op::read}};
  const SimulationResult result = simulate(trace, two_tiers(100));
  EXPECT_EQ(result.tiers[0].reads, 2u);
  EXPECT_EQ(result.tiers[0].read_bytes, 17u);
  EXPECT_EQ(result.tiers[0].placed_bytes, 10u);
  EXPECT_EQ(result.tiers[1].reads, 1u);
  EXPECT_EQ(result.tiers[1].read_bytes, 7u);
  EXPECT_EQ(result.hits, (HitCounts{3, 2, 24, 17}));
}

TEST(Simulator, what_is_larger_than_a_tier_stays_below_it) {
  const std::vector<Access> trace{{0, 0, 200, Op::write}, {1, 1, 200, Op::read}};
  const SimulationResult result = simulate(trace, two_tiers(100));
  EXPECT_EQ(result.tiers[1].placed, 1u);
  EXPECT_EQ(result.refused, 1u);
  EXPECT_EQ(result.promoted, 0u);
}

TEST(Simulator, a_write_that_no_tier_has_room_for_is_counted) {
  auto tiers = two_tiers(100);
  tiers[1].facts.capacity_bytes = 150;
  const std::vector<Access> trace{{0, 0, 200, Op::write}, {1, 0, 200, Op::read}};
  const SimulationResult result = simulate(trace, tiers);
  EXPECT_EQ(result.writes_refused, 1u);
  EXPECT_EQ(result.hits, (HitCounts{1, 0, 200, 0}));
}

TEST(Simulator, victims_go_down_a_chain_of_tiers) {
  const std::uint8_t keeps = catalog::traits_keeps_bytes;
  const std::vector<SimulatedTier> tiers{{"gpu", {keeps, 1, 10, 1, 1, false}},
                                         {"ram", {keeps, 2, 10, 1, 2, false}},
                                         {"disk", {keeps, 3, UINT64_MAX, 1, catalog::no_tier}}};
  std::vector<Access> trace;
  for (std::uint64_t id = 0; id < 3; ++id) trace.push_back({id, id, 10, Op::write});
  trace.push_back({9, 0, 10, Op::read});
  const SimulationResult result = simulate(trace, tiers);
  EXPECT_EQ(result.tiers[2].reads, 1u);
  EXPECT_EQ(result.tiers[0].placed, 3u);
  // Two by the writes into ram and one from there to disk; then the read took ram's place.
  EXPECT_EQ(result.spilled, 4u);
  EXPECT_EQ(result.promoted, 1u);
}

TEST(Simulator, a_policy_that_leaves_payloads_where_they_are_has_no_hits) {
  Decider decider;
  decider.promote = [](const policy::PromoteFacts&) { return policy::PromoteDecision{}; };
  const auto trace = make_zipf({.objects = 100, .accesses = 1000});
  const SimulationResult result = simulate(trace, two_tiers(100 * 4096), decider);
  EXPECT_EQ(result.hits.hits, 0u);
  EXPECT_EQ(result.left, 1000u);
}

TEST(Simulator, a_policy_that_does_not_answer_is_as_good_as_none) {
  Decider decider;
  decider.promote = [](const policy::PromoteFacts&) { return std::nullopt; };
  decider.place = [](const policy::PlaceFacts&) { return std::nullopt; };
  decider.admit = [](const policy::AdmitFacts&) { return std::nullopt; };
  auto trace = make_zipf({.objects = 100, .accesses = 1000});
  for (std::size_t at = 0; at < trace.size(); at += 10) trace[at].op = Op::write;
  EXPECT_EQ(simulate(trace, two_tiers(10 * 4096), decider).hits,
            simulate(trace, two_tiers(10 * 4096)).hits);
}

TEST(Simulator, a_promotion_is_decided_by_what_is_true_then) {
  std::vector<policy::PromoteFacts> asked;
  Decider decider;
  decider.promote = [&](const policy::PromoteFacts& facts) {
    asked.push_back(facts);
    return policy::PromoteDecision{facts.payload.reads >= 2 ? facts.target : catalog::no_tier};
  };
  std::vector<Access> trace{{0, 5, 10, Op::write}};
  for (const std::uint64_t at : {1'000, 5'000, 8'000}) trace.push_back({at, 0, 30, Op::read});
  const SimulationResult result = simulate(trace, two_tiers(100), decider);
  ASSERT_EQ(asked.size(), 2u);
  const policy::PromoteFacts& last = asked.back();
  EXPECT_EQ(last.tier, 1u);
  EXPECT_EQ(last.target, 0u);
  EXPECT_EQ(last.payload.id, to_text(id_of(0)));
  EXPECT_EQ(last.payload.size_bytes, 30u);
  EXPECT_EQ(last.payload.age_ms, 4'000u);
  EXPECT_EQ(last.payload.reads, 2u);
  EXPECT_EQ(last.payload.frequency, 2u);
  EXPECT_EQ(last.payload.tiers, std::vector<catalog::TierIndex>{1});
  ASSERT_TRUE(last.has_victim);
  EXPECT_EQ(last.victim.size_bytes, 10u);
  EXPECT_EQ(last.victim.unread_ms, 5'000u);
  EXPECT_EQ(last.victim.reads, 0u);
  ASSERT_EQ(last.tiers.size(), 2u);
  EXPECT_EQ(last.tiers[0].name, "fast");
  EXPECT_EQ(last.tiers[0].used_bytes, 10u);
  EXPECT_EQ(last.tiers[0].capacity_bytes, 100u);
  EXPECT_EQ(last.tiers[1].used_bytes, 30u);
  EXPECT_TRUE(last.tiers[1].survives_power);
  EXPECT_EQ(result.hits.hits, 1u);
  EXPECT_EQ(result.left, 1u);
}

TEST(Simulator, a_policy_chooses_who_leaves) {
  std::vector<policy::SpillFacts> asked;
  Decider decider;
  decider.spill = [&](const policy::SpillFacts& facts) {
    asked.push_back(facts);
    // The latest, and one that is not there.
    const auto last = static_cast<std::uint32_t>(facts.candidates.size() - 1);
    return policy::SpillDecision{{{last + 1, catalog::no_tier}, {last, catalog::no_tier}}};
  };
  const auto trace = make_loop({.objects = 5, .accesses = 10, .size_bytes = 10});
  const SimulationResult result = simulate(trace, two_tiers(40), decider);
  ASSERT_EQ(asked.size(), 2u);
  EXPECT_EQ(asked[0].tier, 0u);
  EXPECT_EQ(asked[0].bytes_wanted, 10u);
  ASSERT_EQ(asked[0].candidates.size(), 4u);
  EXPECT_EQ(asked[0].tiers[0].waiting_bytes, 10u);
  // 4 takes the place of 3, so 0, 1 and 2 are hits; then 3 takes that of 2, and 4 is a hit.
  EXPECT_EQ(result.hits.hits, 4u);
}

TEST(Simulator, the_built_in_rule_chooses_when_a_policy_does_not) {
  Decider silent;
  silent.spill = [](const policy::SpillFacts&) { return std::nullopt; };
  Decider useless;
  useless.spill = [](const policy::SpillFacts&) { return policy::SpillDecision{}; };
  const auto trace = make_zipf({.objects = 100, .accesses = 2000});
  const HitCounts lru = run_lru(trace, 10 * 4096);
  EXPECT_EQ(simulate(trace, two_tiers(10 * 4096), silent).hits, lru);
  EXPECT_EQ(simulate(trace, two_tiers(10 * 4096), useless).hits, lru);
}

TEST(Simulator, a_second_copy_is_made_where_the_policy_says) {
  Decider decider;
  decider.place = [](const policy::PlaceFacts& facts) {
    EXPECT_EQ(facts.hint, 0u);
    return policy::PlaceDecision{0, 1};
  };
  const std::vector<Access> trace{{0, 0, 60, Op::write}, {1, 1, 60, Op::write}};
  const SimulationResult result = simulate(trace, two_tiers(100), decider);
  EXPECT_EQ(result.tiers[1].moved_in, 2u);
  EXPECT_EQ(result.dropped, 1u);
  EXPECT_EQ(result.spilled, 0u);
}

TEST(Simulator, a_policy_places_writes_and_declines_them) {
  Decider decider;
  decider.place = [](const policy::PlaceFacts& facts) {
    return policy::PlaceDecision{
        static_cast<catalog::TierIndex>(facts.payload.size_bytes > 50 ? 1 : 0)};
  };
  decider.admit = [](const policy::AdmitFacts& facts) {
    return policy::AdmitDecision{facts.tier == 0 || facts.payload.size_bytes < 70, "too large"};
  };
  const std::vector<Access> trace{
      {0, 0, 10, Op::write}, {1, 1, 60, Op::write}, {2, 2, 80, Op::write}};
  const SimulationResult result = simulate(trace, two_tiers(100), decider);
  EXPECT_EQ(result.tiers[0].placed_bytes, 10u);
  EXPECT_EQ(result.tiers[1].placed_bytes, 60u);
  EXPECT_EQ(result.writes_declined, 1u);
}

}  // namespace
}  // namespace pm::simulate
