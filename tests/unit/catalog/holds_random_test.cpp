#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "fake_holds.h"

// Random commands while random clients hold payloads without any: what is held stays where it is.

namespace pm::catalog::test {
namespace {

class RandomHolds {
 public:
  explicit RandomHolds(std::uint64_t seed)
      : random_(seed), machine_(tiers_with_holds(96 * kib, 400 * kib), limits()) {
    machine_.catalog->use(&holds_);
  }

  void run(int steps) {
    for (int step = 0; step < steps && !testing::Test::HasFatalFailure(); ++step) {
      act();
      for (std::uint64_t count = pick(3); count > 0; --count) do_effect();
      if (pick(4) == 0) look();
    }
    settle();
  }

  std::uint64_t held() const { return times_held_; }
  std::uint64_t refused() const { return times_refused_; }

 private:
  static constexpr std::uint64_t payloads = 10;  // The latest, which commands are about.

  static Limits limits() {
    Limits limits;
    limits.wait_max_ns = 3 * second_ns;
    return limits;
  }
  std::uint64_t pick(std::uint64_t bound) { return random_() % bound; }
  std::uint64_t some() { return next_ - std::min(next_, pick(payloads)); }

  void act() {
    switch (pick(10)) {
      case 0:
      case 1: {
        const std::uint64_t number = ++next_;
        Allocate command;
        command.id = make_id(number);
        command.size_bytes = 1 + pick(24 * kib);
        command.tier = static_cast<TierIndex>(pick(2));
        command.session = 1 + pick(3);
        machine_.call(command);
        if (pick(4) != 0) {
          do_all();
          commit(number);
        }
        break;
      }
      case 2: commit(some()); break;
      case 3: erase(); break;
      case 4: spill(); break;
      case 5: {
        Promote command;
        command.id = make_id(some());
        command.tier = shm;
        command.drop_source = pick(3) == 0;
        machine_.call(command);
        break;
      }
      case 6: lease(); break;
      case 7: {
        const std::uint64_t generation = holds_.hold(some());
        if (generation != 0) mine_.push_back(generation);
        times_held_ += generation != 0 ? 1 : 0;
        break;
      }
      case 8: let_go(); break;
      default:
        if (pick(4) == 0) machine_.apply(EndSession{1 + pick(3)});
        machine_.pass(pick(second_ns));
    }
  }

  void commit(std::uint64_t number) {
    Commit command;
    command.id = make_id(number);
    machine_.call(command);
  }
  void erase() {
    Delete command;
    command.id = make_id(some());
    command.force = pick(3) == 0;
    const bool is_held = holds_payload(command.id);
    const auto reply = machine_.call(command);
    if (!is_held || command.force || !reply) return;
    EXPECT_NE(reply->reason, Reason::none);
    times_refused_ += reply->reason == Reason::payload_leased ? 1 : 0;
  }
  void spill() {
    Spill command;
    command.id = make_id(some());
    command.tier = disk;
    command.wait_for_leases = pick(2) == 0;
    machine_.call(command);
  }
  void lease() {
    AcquireLease command;
    command.id = make_id(some());
    command.lease = make_id(10'000 + ++leases_);
    command.session = pick(4);
    command.duration_ns = 1 + pick(2 * second_ns);
    machine_.call(command);
  }
  bool holds_payload(const Id& id) const {
    for (const auto& [generation, entry] : holds_.entries) {
      if (entry.place.payload == id && entry.holders > 0 && entry.open) return true;
    }
    return false;
  }
  void let_go() {
    if (mine_.empty()) return;
    const std::size_t at = pick(mine_.size());
    holds_.let_go(mine_[at]);
    mine_.erase(mine_.begin() + static_cast<std::ptrdiff_t>(at));
  }

  void do_all() {
    while (!machine_.effects.empty() && !testing::Test::HasFatalFailure()) do_effect();
  }
  void do_effect() {
    if (machine_.effects.empty()) return;
    if (const auto* remove = std::get_if<RemoveEffect>(&machine_.effects.front())) {
      ASSERT_FALSE(holds_.is_held(remove->object.generation)) << "removed under a hold";
    }
    const bool fails = pick(12) == 0;
    machine_.do_effect(fails ? Outcome{14, "unavailable"} : Outcome{});
  }
  void look() {
    for (const Unheld& report : holds_.look()) machine_.apply(report);
  }

  // When everybody has let go and every payload is deleted, all room is free.
  void settle() {
    while (!mine_.empty()) let_go();
    for (std::uint64_t session = 1; session <= 3; ++session) machine_.apply(EndSession{session});
    for (int round = 0; round < 200; ++round) {
      look();
      do_all();
      machine_.pass(second_ns);
    }
    for (std::uint64_t number = 1; number <= next_; ++number) machine_.erase(number, true);
    for (int round = 0; round < 200; ++round) {
      look();
      do_all();
      machine_.pass(second_ns);
    }
    EXPECT_EQ(machine_.charged(shm), 0u);
    EXPECT_EQ(machine_.charged(disk), 0u);
    EXPECT_TRUE(holds_.entries.empty());
    EXPECT_EQ(machine_.catalog->counts().operations, 0u);
  }

  std::mt19937_64 random_;
  FakeHolds holds_;
  Machine machine_;
  std::vector<std::uint64_t> mine_;
  std::uint64_t next_ = 0;
  std::uint64_t leases_ = 0;
  std::uint64_t times_held_ = 0;
  std::uint64_t times_refused_ = 0;
};

TEST(random_holds, keep_what_they_hold_and_leave_nothing_behind) {
  std::uint64_t held = 0;
  std::uint64_t refused = 0;
  for (std::uint64_t seed = 1; seed <= 200 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    RandomHolds run(seed);
    run.run(600);
    held += run.held();
    refused += run.refused();
  }
  EXPECT_GT(held, 1'000u);
  EXPECT_GT(refused, 30u);
}

}  // namespace
}  // namespace pm::catalog::test
