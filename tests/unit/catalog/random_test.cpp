#include <gtest/gtest.h>

#include <random>

#include "harness.h"

// Random commands, outcomes and time; after each step what the catalog says of itself is compared
// with a recount from its own answers and from the objects that its effects made.

namespace pm::catalog::test {
namespace {

class RandomRun {
 public:
  // With `circles`, payloads name spill targets of their own, also faster ones.
  RandomRun(std::uint64_t seed, bool circles)
      : random_(seed), circles_(circles), machine_(tiers(), limits()) {}

  void run(int steps) {
    for (int step = 0; step < steps; ++step) {
      act();
      check();
      if (testing::Test::HasFatalFailure()) return;
    }
    settle();
  }

 private:
  static std::vector<TierFacts> tiers() {
    std::vector<TierFacts> facts = three_tiers(96 * kib, 160 * kib);
    facts[disk].spill_to = nowhere;
    return facts;
  }
  static Limits limits() {
    Limits limits;
    limits.wait_max_ns = 5 * second_ns;
    limits.uncommitted_max_ns = 20 * second_ns;
    limits.orphan_grace_ns = 3 * second_ns;
    return limits;
  }

  std::uint64_t pick(std::uint64_t bound) { return random_() % bound; }

  void act() {
    switch (pick(12)) {
      case 0:
      case 1: {
        Allocate command;
        command.id = make_id(next_++);
        command.size_bytes = 1 + pick(24 * kib);
        command.tier = static_cast<TierIndex>(pick(2));
        if (pick(3) == 0) command.ttl_ns = (1 + pick(20)) * second_ns;
        command.retention.priority = static_cast<Priority>(1 + pick(4));
        command.retention.require_durable = pick(5) == 0;
        if (circles_ && pick(3) == 0) {
          command.retention.spill_target = static_cast<TierIndex>(pick(3));
        }
        machine_.call(command);
        break;
      }
      case 2:
      case 3: {
        Commit command;
        command.id = some_id();
        machine_.call(command);
        break;
      }
      case 4: {
        Delete command;
        command.id = some_id();
        command.force = pick(2) == 0;
        machine_.call(command);
        break;
      }
      case 5: {
        Promote command;
        command.id = some_id();
        command.tier = static_cast<TierIndex>(pick(2));
        command.drop_source = pick(3) == 0;
        command.best_effort = pick(3) == 0;
        machine_.call(command);
        break;
      }
      case 6: {
        Spill command;
        command.id = some_id();
        command.tier = pick(4) == 0 ? no_tier : static_cast<TierIndex>(pick(3));
        command.wait_for_leases = pick(2) == 0;
        command.best_effort = pick(3) == 0;
        machine_.call(command);
        break;
      }
      case 7: {
        AcquireLease command;
        command.id = some_id();
        command.lease = make_id(1'000'000 + leases_++);
        command.min_tier = pick(3) == 0 ? shm : no_tier;
        command.duration_ns = (1 + pick(10)) * second_ns;
        machine_.call(command);
        break;
      }
      case 8: {
        ReleaseLease command;
        command.lease = make_id(1'000'000 + pick(leases_ + 1));
        machine_.call(command);
        break;
      }
      case 9: machine_.pass(pick(2 * second_ns)); break;
      case 10: machine_.apply(Cancel{1 + pick(machine_.ticket + 1)}); break;
      default: break;
    }
    for (std::uint64_t count = pick(3); count > 0 && !machine_.effects.empty(); --count) {
      do_some_effect();
    }
  }

  Id some_id() { return make_id(next_ > 12 ? next_ - 1 - pick(12) : 1 + pick(next_)); }

  // Effects end in any order, one in eight of them badly.
  void do_some_effect() {
    std::swap(machine_.effects.front(), machine_.effects[pick(machine_.effects.size())]);
    static constexpr std::int32_t codes[] = {8, 9, 13, 14};
    const bool fails = pick(8) == 0;
    const Outcome outcome = fails ? Outcome{codes[pick(4)], "fault"} : Outcome{};
    const Effect effect = machine_.effects.front();
    if (!fails) note(effect);
    machine_.do_effect(outcome);
  }

  // Keeps the set of objects that exist on each tier, as the tiers would.
  void note(const Effect& effect) {
    if (const auto* allocation = std::get_if<AllocateEffect>(&effect)) {
      ASSERT_TRUE(objects_.emplace(allocation->object.generation, allocation->object).second);
    } else if (const auto* move = std::get_if<MoveEffect>(&effect)) {
      ASSERT_TRUE(objects_.contains(move->source.generation)) << "reads a copy that is not there";
      ASSERT_TRUE(objects_.emplace(move->target.generation, move->target).second);
    } else if (const auto* removal = std::get_if<RemoveEffect>(&effect)) {
      ASSERT_EQ(objects_.erase(removal->object.generation), 1u) << "removes what is not there";
    } else {
      ASSERT_TRUE(objects_.contains(std::get<SealEffect>(effect).object.generation));
    }
  }

  void check() {
    const Counts counts = machine_.catalog->counts();
    const std::vector<TierFacts> facts = tiers();
    std::vector<std::uint64_t> held(facts.size());
    for (const auto& [generation, object] : objects_) {
      held[object.tier] += (object.length + 4 * kib - 1) / (4 * kib) * (4 * kib);
    }
    for (std::size_t tier = 0; tier < facts.size(); ++tier) {
      ASSERT_LE(counts.tiers[tier].charged_bytes, facts[tier].capacity_bytes);
      ASSERT_GE(counts.tiers[tier].charged_bytes, held[tier]) << "a byte is not accounted for";
    }
    std::vector<View> views;
    std::uint64_t lsn = 0;
    machine_.catalog->list(UINT64_MAX, no_tier, 100'000, views, lsn);
    std::vector<std::uint64_t> payloads(facts.size());
    for (const View& view : views) {
      if (view.phase == Phase::lost) continue;
      ++payloads[view.tier];
      ASSERT_TRUE(objects_.contains(view.generation)) << "a descriptor without bytes";
      ASSERT_EQ(objects_.at(view.generation).tier, view.tier);
    }
    for (std::size_t tier = 0; tier < facts.size(); ++tier) {
      ASSERT_EQ(counts.tiers[tier].payloads, payloads[tier]);
    }
  }

  // When everything has ended, everything is accounted for and nothing is left behind.
  void settle() {
    for (int round = 0; round < 200; ++round) {
      while (!machine_.effects.empty()) {
        note(machine_.effects.front());
        machine_.do_effect();
      }
      machine_.pass(second_ns);
    }
    EXPECT_EQ(machine_.catalog->counts().operations, 0u);
    EXPECT_EQ(machine_.catalog->counts().leases, 0u);
    std::vector<View> views;
    std::uint64_t lsn = 0;
    machine_.catalog->list(UINT64_MAX, no_tier, 100'000, views, lsn);
    for (const View& view : views) {
      Delete command;
      command.id = view.id;
      machine_.call(command);
    }
    while (!machine_.effects.empty()) {
      note(machine_.effects.front());
      machine_.do_effect();
    }
    EXPECT_TRUE(objects_.empty());
    for (const TierCounts& tier : machine_.catalog->counts().tiers) {
      EXPECT_EQ(tier.charged_bytes, 0u);
      EXPECT_EQ(tier.copies, 0u);
    }
    for (Ticket ticket = 1; ticket <= machine_.ticket; ++ticket) {
      ASSERT_TRUE(machine_.reply_to(ticket).has_value()) << "nobody answered " << ticket;
    }
  }

  std::mt19937_64 random_;
  const bool circles_;
  Machine machine_;
  std::uint64_t next_ = 1;
  std::uint64_t leases_ = 0;
  std::map<std::uint64_t, Object> objects_;
};

TEST(catalog, keeps_its_accounts_over_random_histories) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomRun(seed, false).run(600);
    if (HasFailure()) return;
  }
}

TEST(catalog, keeps_its_accounts_when_spill_targets_point_in_circles) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomRun(seed, true).run(600);
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace pm::catalog::test
