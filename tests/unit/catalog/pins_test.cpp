#include <gtest/gtest.h>

#include "harness.h"

namespace pm::catalog::test {
namespace {

Reply pin(Machine& machine, std::uint64_t number, std::uint64_t duration_ns = 0) {
  Pin command;
  command.id = make_id(number);
  command.duration_ns = duration_ns;
  return machine.finish(command);
}

Reply unpin(Machine& machine, std::uint64_t number) {
  Unpin command;
  command.id = make_id(number);
  return machine.finish(command);
}

TEST(pin, keeps_a_payload_from_being_spilled_until_it_is_unpinned) {
  Machine machine;
  machine.put(1, 5000);
  EXPECT_EQ(pin(machine, 1).reason, Reason::none);
  EXPECT_EQ(machine.spill(1, disk).reason, Reason::payload_pinned);
  EXPECT_EQ(machine.spill(1, nowhere).reason, Reason::payload_pinned);
  EXPECT_EQ(machine.promote(1, disk).reason, Reason::payload_pinned) << "a promote that goes down";
  EXPECT_EQ(unpin(machine, 1).reason, Reason::none);
  EXPECT_EQ(unpin(machine, 1).reason, Reason::none) << "a second time";
  EXPECT_EQ(machine.spill(1, disk).reason, Reason::none);
}

TEST(pin, unpin_that_finds_nothing_to_do_waits_for_who_did_it) {
  Machine machine;
  machine.put(1, 5000);
  pin(machine, 1);
  const Reply first = unpin(machine, 1);
  EXPECT_GT(first.lsn, 0u);
  EXPECT_EQ(unpin(machine, 1).lsn, first.lsn);
  const Reply deleted = machine.erase(1);
  EXPECT_EQ(unpin(machine, 1).lsn, deleted.lsn) << "its pin went with the payload";
}

TEST(pin, refusal_of_a_spill_waits_for_the_pin_to_be_durable) {
  Machine machine;
  machine.put(1, 5000);
  const Reply pinned = pin(machine, 1);
  EXPECT_GT(pinned.lsn, 0u);
  EXPECT_EQ(machine.spill(1, disk).lsn, pinned.lsn);
}

TEST(pin, keeps_a_payload_from_being_a_victim) {
  Machine machine(three_tiers(16 * kib));
  machine.put(1, 8 * kib);
  machine.put(2, 8 * kib);
  pin(machine, 1);
  EXPECT_EQ(machine.put(3, 8 * kib).reason, Reason::none);
  EXPECT_EQ(machine.see(1).tier, shm) << "the oldest, but pinned";
  EXPECT_EQ(machine.see(2).tier, disk);
  pin(machine, 3);
  EXPECT_EQ(machine.put(4, 8 * kib).reason, Reason::tier_full) << "only pinned ones are left";
}

TEST(pin, lets_those_who_wait_for_room_in_when_it_ends) {
  Limits limits;
  limits.wait_max_ns = 10 * second_ns;
  Machine machine(three_tiers(16 * kib), limits);
  machine.put(1, 8 * kib);
  machine.put(2, 8 * kib);
  machine.lease(2, 100, 60 * second_ns);
  pin(machine, 1, second_ns);
  EXPECT_EQ(machine.put(3, 8 * kib).reason, Reason::tier_full) << "nobody can leave now";
  machine.pass(second_ns + 1);
  EXPECT_FALSE(machine.see(1).additions.pinned);
  EXPECT_EQ(machine.put(3, 8 * kib).reason, Reason::none);
  EXPECT_EQ(machine.see(1).tier, disk);
}

TEST(pin, ends_a_spill_that_only_waits) {
  Machine machine;
  machine.put(1, 5000);
  machine.lease(1, 100, 60 * second_ns);
  Spill command;
  command.id = make_id(1);
  command.tier = disk;
  command.wait_for_leases = true;
  EXPECT_FALSE(machine.call(command).has_value());
  const Ticket waiting = machine.ticket;
  EXPECT_EQ(pin(machine, 1).reason, Reason::none);
  ASSERT_TRUE(machine.reply_to(waiting).has_value());
  EXPECT_EQ(machine.reply_to(waiting)->reason, Reason::payload_pinned);
}

TEST(pin, keeps_its_payload_from_those_who_wait_behind_the_spill_that_it_ends) {
  Machine machine(three_tiers(64 * kib, 16 * kib));
  machine.put(1, 16 * kib);
  machine.put(2, 16 * kib, disk);
  Delete gone;
  gone.id = make_id(2);
  machine.call(gone);  // Its bytes are on their way out.
  Spill down;
  down.id = make_id(1);
  EXPECT_FALSE(machine.call(down).has_value());
  Allocate next;
  next.id = make_id(3);
  next.size_bytes = 56 * kib;
  next.tier = shm;
  EXPECT_FALSE(machine.call(next).has_value());
  const Ticket waiting = machine.ticket;
  Pin command;
  command.id = make_id(1);
  EXPECT_EQ(machine.call(command)->reason, Reason::none);
  EXPECT_EQ(machine.reply_to(waiting)->reason, Reason::tier_full);
  EXPECT_EQ(machine.catalog->counts().operations, 0u) << "it leaves although it is pinned";
  machine.do_effects();
  EXPECT_EQ(machine.see(1).tier, shm);
}

TEST(pin, of_a_lost_payload_does_not_come_back_after_unpin_and_a_restart) {
  Machine machine;
  machine.put(1, 5000);
  pin(machine, 1);
  machine.apply(CopyGone{make_id(1), machine.see(1).generation});
  EXPECT_EQ(machine.look(1), Reason::payload_lost);
  EXPECT_EQ(unpin(machine, 1).reason, Reason::none);
  EXPECT_EQ(machine.restart().catalog->counts().pinned, 0u);
}

TEST(pin, may_end_with_the_payload_leaving_at_once) {
  Machine machine;
  Retention ephemeral;
  ephemeral.spill_target = nowhere;
  machine.put(1, 28 * kib, shm, 0, ephemeral);
  machine.put(2, 32 * kib);
  machine.put(3, 4 * kib);
  pin(machine, 1);
  Delete gone;
  gone.id = make_id(3);
  machine.call(gone);
  machine.effects.clear();  // Its bytes are on their way out, and stay there.
  Spill down;
  down.id = make_id(2);
  machine.call(down);
  AcquireLease lease;
  lease.id = make_id(2);
  lease.lease = make_id(100);
  machine.call(lease);
  Allocate next;
  next.id = make_id(4);
  next.size_bytes = 32 * kib;
  next.tier = shm;
  EXPECT_FALSE(machine.call(next).has_value());
  machine.do_effect({14, "the move fails"});
  EXPECT_FALSE(machine.reply_to(machine.ticket).has_value()) << "it has not waited in vain yet";
  Unpin command;
  command.id = make_id(1);
  const auto reply = machine.call(command);
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(machine.look(1), Reason::payload_not_found);
  EXPECT_GT(reply->lsn, 0u) << "it is answered before its record is durable";
}

TEST(pin, survives_a_restart_with_its_end) {
  Machine machine;
  machine.put(1, 5000);
  machine.put(2, 5000);
  machine.put(3, 5000);
  pin(machine, 1);
  pin(machine, 2, 10 * second_ns);
  pin(machine, 3);
  unpin(machine, 3);
  Machine next = machine.restart();
  EXPECT_TRUE(next.see(1).additions.pinned);
  EXPECT_EQ(next.see(2).additions.pin_expires_at_ns,
            machine.now.wall_ns + static_cast<std::int64_t>(10 * second_ns));
  EXPECT_FALSE(next.see(3).additions.pinned);
  EXPECT_EQ(next.catalog->counts().pinned, 2u);
  next.pass(10 * second_ns);
  EXPECT_FALSE(next.see(2).additions.pinned);
  EXPECT_EQ(next.catalog->counts().pinned, 1u);
  EXPECT_EQ(next.spill(1, disk).reason, Reason::payload_pinned);
}

TEST(pin, may_be_replaced_and_goes_with_its_payload) {
  Machine machine;
  machine.put(1, 5000, shm, 30 * second_ns);
  pin(machine, 1, second_ns);
  pin(machine, 1, 20 * second_ns);
  machine.pass(2 * second_ns);
  EXPECT_TRUE(machine.see(1).additions.pinned);
  EXPECT_EQ(machine.catalog->counts().pinned, 1u);
  machine.pass(30 * second_ns);
  EXPECT_EQ(machine.look(1), Reason::payload_not_found) << "a time to live is not held up";
  EXPECT_EQ(machine.catalog->counts().pinned, 0u);
  EXPECT_EQ(pin(machine, 1).reason, Reason::payload_not_found);
  EXPECT_EQ(unpin(machine, 1).reason, Reason::none);
  EXPECT_EQ(machine.catalog->next_due_wall_ns(), 0);
}

TEST(prefetch, moves_nothing_down_and_says_yes_when_there_is_nothing_to_do) {
  Machine machine;
  machine.put(1, 5000);
  Promote hint;
  hint.id = make_id(1);
  hint.tier = disk;
  hint.best_effort = true;
  hint.only_up = true;
  EXPECT_EQ(machine.finish(hint).reason, Reason::none);
  EXPECT_EQ(machine.see(1).tier, shm);
  machine.spill(1, disk);
  hint.tier = shm;
  const auto reply = machine.call(hint);
  ASSERT_TRUE(reply.has_value()) << "a hint is answered at once";
  EXPECT_EQ(machine.see(1).tier, disk);
  EXPECT_EQ(machine.call(hint)->reason, Reason::none) << "and again while it moves";
  machine.do_effects();
  EXPECT_EQ(machine.see(1).tier, shm);
}

TEST(abort, gives_up_an_allocation_and_nothing_else) {
  Machine machine;
  machine.allocate(1, 5000);
  Delete abort;
  abort.id = make_id(1);
  abort.only_uncommitted = true;
  EXPECT_EQ(machine.finish(abort).reason, Reason::none);
  EXPECT_EQ(machine.look(1), Reason::payload_not_found);
  EXPECT_EQ(machine.charged(shm), 0u);
  machine.put(2, 5000);
  abort.id = make_id(2);
  EXPECT_EQ(machine.finish(abort).reason, Reason::payload_already_committed);
  EXPECT_EQ(machine.see(2).tier, shm);
}

}  // namespace
}  // namespace pm::catalog::test
