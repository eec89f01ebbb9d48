#include <gtest/gtest.h>

#include "harness.h"

// Watermarks: a tier gives up room before somebody needs it.

namespace pm::catalog::test {
namespace {

std::vector<TierFacts> relieved_tiers(std::uint64_t high_bytes = 56 * kib,
                                      std::uint64_t low_bytes = 40 * kib) {
  std::vector<TierFacts> tiers = three_tiers();
  tiers[shm].high_watermark_bytes = high_bytes;
  tiers[shm].low_watermark_bytes = low_bytes;
  return tiers;
}

TEST(pressure, above_the_high_watermark_payloads_leave_until_the_low_one) {
  Machine machine(relieved_tiers());
  for (std::uint64_t number = 1; number <= 14; ++number) machine.put(number, 4 * kib);
  EXPECT_EQ(machine.charged(shm), 56 * kib) << "somebody left too early";
  machine.put(15, 4 * kib);
  EXPECT_EQ(machine.charged(shm), 40 * kib);
  EXPECT_EQ(machine.see(1).tier, disk) << "the oldest leave";
  EXPECT_EQ(machine.see(15).tier, shm);
}

TEST(pressure, deletes_nothing_and_moves_nothing_that_may_not_leave) {
  std::vector<TierFacts> tiers = relieved_tiers();
  tiers[shm].spill_to = nowhere;
  Machine machine(tiers);
  for (std::uint64_t number = 1; number <= 16; ++number) machine.put(number, 4 * kib);
  EXPECT_EQ(machine.charged(shm), 64 * kib);
  Machine other(relieved_tiers());
  Retention stays;
  stays.no_evict = true;
  for (std::uint64_t number = 1; number <= 16; ++number) {
    EXPECT_EQ(other.put(number, 4 * kib, shm, 0, stays).reason, Reason::none);
  }
  EXPECT_EQ(other.charged(shm), 64 * kib);
}

TEST(pressure, pauses_after_a_move_that_failed) {
  Machine machine(relieved_tiers());
  for (std::uint64_t number = 1; number <= 14; ++number) machine.put(number, 4 * kib);
  Allocate next;
  next.id = make_id(15);
  next.size_bytes = 4 * kib;
  next.tier = shm;
  machine.call(next);
  constexpr std::int32_t unavailable = 14;
  int failed = 0;
  while (!machine.effects.empty()) {
    const bool is_move = std::holds_alternative<MoveEffect>(machine.effects.front());
    failed += is_move ? 1 : 0;
    machine.do_effect(is_move ? Outcome{unavailable, "away"} : Outcome{});
    ASSERT_LT(failed, 100) << "it never stops";
  }
  EXPECT_EQ(failed, 5) << "those begun before the first one failed";
  machine.put(16, 4 * kib);
  EXPECT_EQ(machine.charged(shm), 64 * kib) << "whoever comes meanwhile begins it again";
  machine.pass(2 * second_ns);
  machine.do_effects();
  EXPECT_EQ(machine.charged(shm), 40 * kib) << "nobody tries again";
}

TEST(pressure, goes_on_when_those_who_were_held_may_leave) {
  Machine machine(relieved_tiers());
  for (std::uint64_t number = 1; number <= 14; ++number) {
    machine.put(number, 4 * kib);
    machine.lease(number, 100 + number, 60 * second_ns);
  }
  machine.put(15, 4 * kib);
  EXPECT_EQ(machine.charged(shm), 56 * kib) << "all but the last one are held";
  for (std::uint64_t number = 1; number <= 14; ++number) machine.release(100 + number);
  machine.do_effects();
  EXPECT_EQ(machine.charged(shm), 40 * kib);
}

TEST(pressure, asks_the_policy_who_leaves_ahead_of_need) {
  Machine machine(relieved_tiers());
  machine.apply(PolicyInUse{true, false, VictimOrder::oldest});
  for (std::uint64_t number = 1; number <= 15; ++number) machine.put(number, 4 * kib);
  EXPECT_EQ(machine.charged(shm), 60 * kib);
  ASSERT_EQ(machine.questions.size(), 1u);
  const auto wanted = std::get<SpillWanted>(machine.questions.front());
  SpillLook look;
  machine.catalog->look_at_victims(shm, 64, machine.now, look);
  EXPECT_EQ(look.bytes_wanted, 20 * kib);
  Evict answer{wanted.tier, wanted.number, true, 7, {}};
  for (std::size_t at = look.candidates.size(); at-- > 0;) {
    answer.choices.push_back({look.candidates[at].id, look.candidates[at].generation, no_tier});
  }
  machine.apply(answer);
  machine.do_effects();
  EXPECT_EQ(machine.charged(shm), 40 * kib);
  EXPECT_EQ(machine.see(1).tier, shm);
  EXPECT_EQ(machine.see(15).tier, disk);
}

}  // namespace
}  // namespace pm::catalog::test
