#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness.h"

// What is told of each thing that happens, and how a payload's place is explained.

namespace pm::catalog::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class Events : public testing::Test {
 protected:
  // What was told since the last call.
  std::vector<EventKind> told() {
    std::vector<EventKind> kinds;
    for (; seen_ < machine_.events.size(); ++seen_) kinds.push_back(machine_.events[seen_].kind);
    return kinds;
  }
  const Event& last() const { return machine_.events.back(); }
  Explanation explain(std::uint64_t number) {
    Explanation explanation;
    std::uint64_t lsn = 0;
    EXPECT_EQ(machine_.catalog->explain(make_id(number), machine_.now, explanation, lsn),
              Reason::none);
    return explanation;
  }

  Machine machine_;
  std::size_t seen_ = 0;
};

TEST_F(Events, a_life_is_told_in_order) {
  machine_.put(1, 5'000);
  EXPECT_THAT(told(), ElementsAre(EventKind::allocated, EventKind::committed));
  EXPECT_EQ(last().revision, 2u);
  EXPECT_EQ(last().tier, shm);
  EXPECT_EQ(last().size_bytes, 5'000u);
  EXPECT_EQ(last().wall_ns, machine_.now.wall_ns);
  machine_.lease(1, 100);
  machine_.release(100);
  EXPECT_THAT(told(), ElementsAre(EventKind::leased));
  machine_.spill(1, disk);
  EXPECT_THAT(told(), ElementsAre(EventKind::moved));
  EXPECT_EQ(last().from, shm);
  EXPECT_EQ(last().tier, disk);
  EXPECT_EQ(last().revision, machine_.see(1).revision);
  machine_.lease(1, 101, 0, shm);
  EXPECT_THAT(told(), ElementsAre(EventKind::moved, EventKind::leased));
  machine_.release(101);
  machine_.promote(1, shm, true);
  EXPECT_THAT(told(), ElementsAre(EventKind::moved)) << "the copy below is given up";
  EXPECT_EQ(last().from, last().tier);
  machine_.erase(1);
  EXPECT_THAT(told(), ElementsAre(EventKind::deleted));
  EXPECT_EQ(last().from, shm);
  EXPECT_EQ(last().tier, no_tier);
}

TEST_F(Events, what_was_given_up_is_deleted_and_what_ended_by_its_time_is_expired) {
  machine_.put(1, 100, shm, 5 * second_ns);
  machine_.allocate(2, 100, shm, 5 * second_ns);
  machine_.allocate(3, 100);
  told();
  machine_.pass(6 * second_ns);
  EXPECT_THAT(told(), ElementsAre(EventKind::expired, EventKind::deleted));
  EXPECT_EQ(machine_.catalog->counts().uncommitted, 1u);
  machine_.pass(3'600 * second_ns);
  EXPECT_THAT(told(), ElementsAre(EventKind::deleted));
  EXPECT_EQ(machine_.catalog->counts().uncommitted, 0u);
}

TEST_F(Events, an_allocation_that_nobody_waited_for_is_not_told) {
  Allocate command;
  command.id = make_id(1);
  command.size_bytes = 100;
  command.tier = shm;
  machine_.call(command);
  machine_.apply(Cancel{machine_.ticket});
  machine_.do_effects();
  EXPECT_THAT(told(), IsEmpty());
  EXPECT_EQ(machine_.catalog->counts().uncommitted, 0u);
}

TEST_F(Events, who_leaves_for_room_is_evicted) {
  machine_.put(1, 40 * kib);
  told();
  machine_.put(2, 40 * kib);
  EXPECT_THAT(told(), ElementsAre(EventKind::evicted, EventKind::allocated, EventKind::committed));
  EXPECT_EQ(machine_.events[2].from, shm);
  EXPECT_EQ(machine_.events[2].tier, disk);
  EXPECT_EQ(machine_.events[2].cause, Cause::room);
  // A copy of 1 up here is dropped, as the one on disk remains.
  machine_.promote(1);
  told();
  machine_.put(3, 40 * kib);
  EXPECT_THAT(told(), ElementsAre(EventKind::evicted, EventKind::allocated, EventKind::committed));
}

TEST_F(Events, an_eviction_to_nowhere_is_an_eviction_and_a_spill_there_a_deletion) {
  Retention retention;
  retention.spill_target = nowhere;
  machine_.put(1, 40 * kib, shm, 0, retention);
  told();
  machine_.put(2, 40 * kib);
  EXPECT_THAT(told(), ElementsAre(EventKind::evicted, EventKind::allocated, EventKind::committed));
  EXPECT_EQ(machine_.events[2].tier, no_tier);
  machine_.spill(2, nowhere);
  EXPECT_THAT(told(), ElementsAre(EventKind::deleted));
}

TEST_F(Events, a_bad_copy_is_told_as_a_loss_only_when_it_was_the_last) {
  machine_.put(1, 100, disk);
  machine_.promote(1);
  told();
  machine_.apply(CopyGone{make_id(1), machine_.see(1).generation});
  EXPECT_THAT(told(), ElementsAre(EventKind::moved));
  EXPECT_EQ(last().cause, Cause::fault);
  EXPECT_EQ(last().tier, disk);
  machine_.apply(CopyGone{make_id(1), machine_.see(1).generation});
  EXPECT_THAT(told(), ElementsAre(EventKind::lost));
  EXPECT_EQ(last().from, disk);
  EXPECT_EQ(explain(1).view.phase, Phase::lost);
}

TEST_F(Events, a_repeat_is_not_told_again) {
  Allocate command;
  command.id = make_id(1);
  command.size_bytes = 100;
  command.tier = shm;
  command.request = {true, make_id(77), 1};
  machine_.finish(command);
  command.id = make_id(2);
  machine_.finish(command);
  EXPECT_THAT(told(), ElementsAre(EventKind::allocated));
}

TEST_F(Events, a_move_that_is_not_done_is_told_with_its_reason) {
  Retention retention;
  retention.min_residency = shm;
  machine_.put(1, 100, shm, 0, retention);
  told();
  machine_.spill(1, disk);
  EXPECT_THAT(told(), ElementsAre(EventKind::refused));
  EXPECT_EQ(last().why, Reason::target_below_min_residency);
  EXPECT_EQ(last().target, disk);
  machine_.put(2, 100);
  told();
  Spill command;
  command.id = make_id(2);
  command.tier = disk;
  machine_.call(command);
  machine_.do_effect({13, "a fault"});
  EXPECT_THAT(told(), ElementsAre(EventKind::refused));
  EXPECT_EQ(last().why, Reason::storage_error);
  EXPECT_EQ(last().tier, shm);
}

TEST_F(Events, an_explanation_tells_copies_and_what_is_under_way) {
  machine_.put(1, 100, disk);
  machine_.promote(1);
  Explanation explanation = explain(1);
  ASSERT_EQ(explanation.copies.size(), 2u);
  for (const Explanation::CopyFacts& copy : explanation.copies) {
    EXPECT_EQ(copy.shown, copy.tier == shm);
    EXPECT_EQ(copy.durable, copy.tier == disk);
  }
  EXPECT_TRUE(explanation.among_victims);
  EXPECT_EQ(explanation.plan.kind, EvictionPlan::Kind::drops_copy);
  EXPECT_EQ(explanation.plan.target, disk);

  machine_.lease(1, 100);
  Spill command;
  command.id = make_id(1);
  command.tier = nowhere;
  command.wait_for_leases = true;
  machine_.call(command);
  explanation = explain(1);
  EXPECT_FALSE(explanation.among_victims);
  EXPECT_EQ(explanation.view.leases, 1u);
  EXPECT_EQ(explanation.doing, Explanation::Doing::moving);
  EXPECT_EQ(explanation.waits, Explanation::Waits::for_leases);
  EXPECT_EQ(explanation.target, nowhere);
  EXPECT_EQ(explanation.callers, 1u);

  machine_.allocate(2, 100);
  EXPECT_GT(explain(2).given_up_at_ns, machine_.now.wall_ns);
  View view;
  std::uint64_t lsn = 0;
  EXPECT_EQ(machine_.catalog->explain(make_id(9), machine_.now, explanation, lsn),
            Reason::payload_not_found);
}

TEST_F(Events, an_explanation_tells_where_a_payload_would_go) {
  machine_.put(1, 100);
  EXPECT_EQ(explain(1).plan.kind, EvictionPlan::Kind::moves);
  EXPECT_EQ(explain(1).plan.target, disk);
  machine_.put(2, 100, disk);
  EXPECT_EQ(explain(2).plan.kind, EvictionPlan::Kind::stays);
  EXPECT_EQ(explain(2).plan.target, no_tier);
  Retention retention;
  retention.spill_target = nowhere;
  machine_.put(3, 100, shm, 0, retention);
  EXPECT_EQ(explain(3).plan.kind, EvictionPlan::Kind::is_deleted);
  retention.require_durable = true;
  machine_.put(4, 100, disk, 0, retention);
  EXPECT_EQ(explain(4).plan.kind, EvictionPlan::Kind::stays);
  EXPECT_EQ(explain(4).plan.why, Reason::target_not_durable);
}

}  // namespace
}  // namespace pm::catalog::test
