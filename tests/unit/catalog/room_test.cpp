#include <gtest/gtest.h>

#include "harness.h"

namespace pm::catalog::test {
namespace {

// PAYLOAD-2
TEST(room, allocate_refuses_when_tier_is_full_and_nobody_may_leave) {
  Machine machine;
  Retention stays;
  stays.no_evict = true;
  for (std::uint64_t number = 1; number <= 16; ++number) {
    EXPECT_EQ(machine.put(number, 4 * kib, shm, 0, stays).reason, Reason::none);
  }
  EXPECT_EQ(machine.allocate(17, 1).reason, Reason::tier_full);
  EXPECT_EQ(machine.charged(shm), 64 * kib);
}

TEST(room, allocate_only_if_free_makes_nobody_leave_and_waits_for_nothing) {
  Machine machine;
  for (std::uint64_t number = 1; number <= 15; ++number) machine.put(number, 4 * kib);
  Allocate next;
  next.size_bytes = 4 * kib;
  next.tier = shm;
  next.only_if_free = true;
  next.id = make_id(16);
  EXPECT_EQ(machine.finish(next).reason, Reason::none);
  next.id = make_id(17);
  const auto reply = machine.call(next);
  ASSERT_TRUE(reply.has_value()) << "it waits";
  EXPECT_EQ(reply->reason, Reason::tier_full);
  EXPECT_TRUE(machine.effects.empty()) << "something leaves";
  next.size_bytes = UINT64_MAX / 2;
  EXPECT_NE(machine.call(next)->reason, Reason::none);
  EXPECT_EQ(machine.charged(shm), 64 * kib);
}

TEST(room, allocate_only_if_free_makes_nobody_leave_when_the_tier_itself_is_full) {
  Machine machine;
  for (std::uint64_t number = 1; number <= 8; ++number) machine.put(number, 4 * kib);
  Allocate next;
  next.size_bytes = 4 * kib;
  next.tier = shm;
  next.only_if_free = true;
  next.id = make_id(9);
  EXPECT_FALSE(machine.call(next).has_value());
  const Ticket ticket = machine.ticket;
  constexpr std::int32_t resource_exhausted = 8;
  machine.do_effect({resource_exhausted, "full"});
  ASSERT_TRUE(machine.reply_to(ticket).has_value());
  EXPECT_EQ(machine.reply_to(ticket)->reason, Reason::tier_full);
  EXPECT_TRUE(machine.effects.empty()) << "something leaves";
  EXPECT_EQ(machine.charged(shm), 32 * kib);
}

// PLACE-7
TEST(room, comes_from_the_least_recently_used) {
  Machine machine;
  for (std::uint64_t number = 1; number <= 16; ++number) machine.put(number, 4 * kib);
  machine.lease(1, 100);
  machine.release(100);
  EXPECT_EQ(machine.put(17, 4 * kib).reason, Reason::none);
  EXPECT_EQ(machine.see(1).tier, shm) << "was read last";
  EXPECT_EQ(machine.see(2).tier, disk);
  EXPECT_EQ(machine.see(3).tier, shm);
}

// PLACE-7
TEST(room, is_given_by_low_priority_first) {
  Machine machine;
  Retention low;
  low.priority = Priority::low;
  Retention high;
  high.priority = Priority::high;
  machine.put(1, 16 * kib, shm, 0, high);
  machine.put(2, 16 * kib);
  machine.put(3, 16 * kib, shm, 0, low);
  machine.put(4, 16 * kib);
  machine.put(5, 16 * kib);
  EXPECT_EQ(machine.see(3).tier, disk);
  machine.put(6, 16 * kib);
  EXPECT_EQ(machine.see(2).tier, disk);
  EXPECT_EQ(machine.see(1).tier, shm);
}

TEST(room, is_not_blocked_by_a_leased_or_forbidden_head) {
  Machine machine;
  Retention near;
  near.min_residency = shm;
  machine.put(1, 16 * kib);
  machine.put(2, 16 * kib, shm, 0, near);
  machine.put(3, 16 * kib);
  machine.put(4, 16 * kib);
  machine.lease(1, 100);
  EXPECT_EQ(machine.put(5, 16 * kib).reason, Reason::none);
  EXPECT_EQ(machine.see(1).tier, shm);
  EXPECT_EQ(machine.see(2).tier, shm);
  EXPECT_EQ(machine.see(3).tier, disk);
}

TEST(room, of_a_payload_with_a_durable_copy_costs_no_copying) {
  Machine machine;
  machine.put(1, 64 * kib, disk);
  machine.promote(1);
  EXPECT_EQ(machine.charged(shm), 64 * kib);
  Allocate command;
  command.id = make_id(2);
  command.size_bytes = 1;
  command.tier = shm;
  machine.call(command);
  ASSERT_EQ(machine.effects.size(), 1u);
  EXPECT_TRUE(std::holds_alternative<RemoveEffect>(machine.effects.front()));
  machine.do_effects();
  EXPECT_EQ(machine.see(1).tier, disk);
  EXPECT_EQ(machine.see(2).tier, shm);
}

// PLACE-8
TEST(room, of_ephemeral_payloads_is_made_by_deleting_them) {
  Machine machine;
  Retention ephemeral;
  ephemeral.spill_target = nowhere;
  machine.put(1, 64 * kib, shm, 0, ephemeral);
  EXPECT_EQ(machine.put(2, 1).reason, Reason::none);
  EXPECT_EQ(machine.look(1), Reason::payload_not_found);
}

// PAYLOAD-2
TEST(room, waiting_is_first_come_first_served_and_ends_at_the_deadline) {
  Machine machine;
  machine.put(1, 64 * kib);
  machine.lease(1, 100);
  machine.erase(1, true);
  std::vector<Ticket> tickets;
  for (std::uint64_t number = 2; number <= 4; ++number) {
    Allocate command;
    command.id = make_id(number);
    command.size_bytes = number == 2 ? 56 * kib : 4 * kib;
    command.tier = shm;
    command.deadline_ns = machine.now.mono_ns + (number == 3 ? 1 : 30) * second_ns;
    EXPECT_FALSE(machine.call(command).has_value());
    tickets.push_back(machine.ticket);
  }
  machine.pass(2 * second_ns);
  EXPECT_EQ(machine.reply_to(tickets[1])->reason, Reason::tier_full);
  machine.release(100);
  machine.do_effects();
  EXPECT_EQ(machine.reply_to(tickets[0])->reason, Reason::none);
  EXPECT_EQ(machine.reply_to(tickets[2])->reason, Reason::none);
  EXPECT_EQ(machine.charged(shm), 60 * kib);
}

TEST(room, waiters_are_bounded) {
  Limits limits;
  limits.waiters_max = 2;
  Machine machine(three_tiers(), limits);
  machine.put(1, 64 * kib);
  machine.lease(1, 100);
  machine.erase(1, true);
  for (std::uint64_t number = 2; number <= 4; ++number) {
    Allocate command;
    command.id = make_id(number);
    command.size_bytes = 1;
    command.tier = shm;
    const auto reply = machine.call(command);
    EXPECT_EQ(reply.has_value(), number == 4);
    if (reply) {
      EXPECT_EQ(reply->reason, Reason::waiters_full);
    }
  }
}

TEST(room, a_full_tier_below_makes_room_too) {
  std::vector<TierFacts> tiers = three_tiers(64 * kib, 64 * kib);
  tiers[disk].spill_to = nowhere;
  Machine machine(tiers);
  for (std::uint64_t number = 1; number <= 40; ++number) {
    ASSERT_EQ(machine.put(number, 4 * kib).reason, Reason::none) << number;
    ASSERT_LE(machine.charged(shm), 64 * kib);
    ASSERT_LE(machine.charged(disk), 64 * kib);
  }
  EXPECT_EQ(machine.look(1), Reason::payload_not_found);
  EXPECT_EQ(machine.see(40).tier, shm);
}

TEST(room, ends_when_victims_cannot_be_moved) {
  Machine machine;
  for (std::uint64_t number = 1; number <= 16; ++number) machine.put(number, 4 * kib);
  Allocate command;
  command.id = make_id(17);
  command.size_bytes = 1;
  command.tier = shm;
  machine.call(command);
  const Ticket waiting = machine.ticket;
  for (int step = 0; step < 100 && !machine.effects.empty(); ++step) {
    machine.do_effect({14, "away"});
  }
  ASSERT_TRUE(machine.reply_to(waiting).has_value());
  EXPECT_EQ(machine.reply_to(waiting)->reason, Reason::tier_full);
  EXPECT_TRUE(machine.effects.empty());
  EXPECT_EQ(machine.charged(shm), 64 * kib);
}

TEST(room, a_tier_that_is_full_although_admitted_is_asked_a_few_times) {
  Machine machine;
  for (std::uint64_t number = 1; number <= 8; ++number) machine.put(number, 4 * kib);
  Allocate command;
  command.id = make_id(9);
  command.size_bytes = 4 * kib;
  command.tier = shm;
  machine.call(command);
  const Ticket waiting = machine.ticket;
  int refusals = 0;
  for (int step = 0; step < 100 && !machine.effects.empty(); ++step) {
    const bool allocation = std::holds_alternative<AllocateEffect>(machine.effects.front());
    if (allocation) ++refusals;
    machine.do_effect(allocation ? Outcome{8, "fragmented"} : Outcome{});
  }
  EXPECT_EQ(refusals, 3);
  EXPECT_EQ(machine.reply_to(waiting)->reason, Reason::tier_full);
}

Allocate allocation_of(std::uint64_t number, std::uint64_t size) {
  Allocate command;
  command.id = make_id(number);
  command.size_bytes = size;
  command.tier = shm;
  return command;
}

TEST(room, a_move_that_finds_too_many_waiting_is_told_so) {
  Limits limits;
  limits.waiters_max = 1;
  Machine machine(three_tiers(), limits);
  for (std::uint64_t number = 1; number <= 16; ++number) machine.put(number, 4 * kib);
  machine.put(17, 4 * kib, disk);
  EXPECT_FALSE(machine.call(allocation_of(18, 4 * kib)).has_value());
  Promote up;
  up.id = make_id(17);
  up.tier = shm;
  const auto reply = machine.call(up);
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->reason, Reason::waiters_full);
}

TEST(room, those_who_are_asked_again_and_those_behind_them_all_get_theirs) {
  Machine machine;
  machine.put(1, 16 * kib);
  machine.put(2, 16 * kib);
  machine.call(allocation_of(3, 16 * kib));
  machine.call(allocation_of(4, 16 * kib));
  machine.do_effect({8, "fragmented"});
  machine.do_effect({8, "fragmented"});
  machine.call(allocation_of(5, 16 * kib));
  machine.do_effects();
  for (std::uint64_t back = 0; back < 3; ++back) {
    ASSERT_TRUE(machine.reply_to(machine.ticket - back).has_value()) << back << " still waits";
    EXPECT_EQ(machine.reply_to(machine.ticket - back)->reason, Reason::none);
  }
}

TEST(room, of_what_is_deleted_while_it_is_spilled_is_counted_once) {
  Machine machine;
  machine.put(1, 32 * kib);
  machine.put(2, 32 * kib);
  machine.lease(2, 100);
  Spill down;
  down.id = make_id(1);
  machine.call(down);
  Delete gone;
  gone.id = make_id(1);
  EXPECT_EQ(machine.call(gone)->reason, Reason::none);
  const auto reply = machine.call(allocation_of(3, 48 * kib));
  ASSERT_TRUE(reply.has_value()) << "it waits for room that will never come";
  EXPECT_EQ(reply->reason, Reason::tier_full);
}

TEST(room, an_eviction_is_given_up_after_those_for_whom_it_was_begun) {
  Machine machine(three_tiers(64 * kib, 64 * kib));
  machine.call(allocation_of(1, 32 * kib));
  machine.call(allocation_of(2, 32 * kib));
  machine.do_effects();
  machine.commit(1);
  machine.commit(2);
  machine.put(3, 64 * kib, disk);
  Delete gone;
  gone.id = make_id(3);
  machine.call(gone);  // Its bytes are never removed.
  EXPECT_FALSE(machine.call(allocation_of(4, 16 * kib)).has_value());
  const Ticket waiting = machine.ticket;
  EXPECT_EQ(machine.catalog->counts().operations, 2u);
  machine.pass(11 * second_ns);
  EXPECT_EQ(machine.reply_to(waiting)->reason, Reason::tier_full);
  EXPECT_EQ(machine.catalog->counts().operations, 0u) << "a move for nobody has begun";
}

TEST(shutdown, answers_everyone_who_waits) {
  Machine machine;
  machine.put(1, 64 * kib);
  machine.lease(1, 100);
  machine.erase(1, true);
  machine.put(5, 1, disk);
  machine.lease(5, 101);
  Allocate allocation;
  allocation.id = make_id(2);
  allocation.size_bytes = 1;
  allocation.tier = shm;
  machine.call(allocation);
  Spill spill;
  spill.id = make_id(5);
  spill.tier = nowhere;
  spill.wait_for_leases = true;
  machine.call(spill);
  machine.apply(Shutdown{});
  EXPECT_EQ(machine.reply_to(machine.ticket)->reason, Reason::shutting_down);
  EXPECT_EQ(machine.reply_to(machine.ticket - 1)->reason, Reason::shutting_down);
  EXPECT_EQ(machine.catalog->counts().operations, 0u);
}

TEST(shutdown, ends_what_waits_although_nobody_asks_and_begins_nothing) {
  Machine machine;
  machine.put(1, 64 * kib);
  Spill spill;
  spill.id = make_id(1);
  spill.tier = disk;
  spill.wait_for_leases = true;
  spill.best_effort = true;
  machine.lease(1, 100);
  machine.call(spill);
  EXPECT_EQ(machine.catalog->counts().operations, 1u);
  machine.apply(Shutdown{});
  EXPECT_EQ(machine.catalog->counts().operations, 0u);
  machine.release(100);
  EXPECT_TRUE(machine.effects.empty());
}

TEST(room, after_a_restart_who_was_made_first_leaves_first) {
  Machine machine;
  // The order of their ids is another one.
  for (std::uint64_t number = 16; number >= 1; --number) machine.put(number, 4 * kib);
  Machine next = machine.restart();
  Allocate another;
  another.id = make_id(17);
  another.size_bytes = 4 * kib;
  another.tier = shm;
  EXPECT_EQ(next.call(another), std::nullopt) << "there is room";
  ASSERT_TRUE(std::holds_alternative<MoveEffect>(next.effects.front()));
  EXPECT_EQ(std::get<MoveEffect>(next.effects.front()).source.payload, make_id(16));
}

}  // namespace
}  // namespace pm::catalog::test
