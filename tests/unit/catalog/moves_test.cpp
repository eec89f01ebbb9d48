#include <gtest/gtest.h>

#include "harness.h"

namespace pm::catalog::test {
namespace {

// PLACE-1
TEST(spill, copies_switches_and_only_then_removes) {
  Machine machine;
  machine.put(1, 5000);
  Spill command;
  command.id = make_id(1);
  command.tier = disk;
  EXPECT_FALSE(machine.call(command).has_value());
  EXPECT_TRUE(machine.see(1).spilling);
  EXPECT_EQ(machine.see(1).tier, shm);
  ASSERT_TRUE(std::holds_alternative<MoveEffect>(machine.effects.front()));
  machine.do_effect();
  EXPECT_EQ(machine.see(1).tier, disk);
  EXPECT_TRUE(machine.see(1).durable);
  ASSERT_EQ(machine.effects.size(), 1u);
  EXPECT_GT(std::get<RemoveEffect>(machine.effects.front()).lsn, 0u);
  machine.do_effects();
  EXPECT_EQ(machine.charged(shm), 0u);
  EXPECT_EQ(machine.charged(disk), 8 * kib);
}

// LEASE-1
TEST(spill, grants_leases_meanwhile_and_keeps_their_copy_until_they_end) {
  Machine machine;
  machine.put(1, 1);
  Spill command;
  command.id = make_id(1);
  command.tier = disk;
  machine.call(command);
  AcquireLease lease;
  lease.id = make_id(1);
  lease.lease = make_id(100);
  const auto granted = machine.call(lease);
  ASSERT_EQ(granted->reason, Reason::none);
  EXPECT_EQ(granted->view.tier, shm);
  machine.do_effect();
  EXPECT_EQ(machine.see(1).tier, disk);
  EXPECT_TRUE(machine.effects.empty()) << "the leased copy must stay";
  machine.release(100);
  EXPECT_EQ(machine.effects.size(), 1u);
}

// PLACE-3
TEST(spill, refuses_what_its_owner_forbade) {
  Machine machine;
  Retention durable;
  durable.require_durable = true;
  machine.put(1, 1, disk, 0, durable);
  EXPECT_EQ(machine.spill(1, nowhere).reason, Reason::target_not_durable);
  Retention near;
  near.min_residency = shm;
  machine.put(2, 1, shm, 0, near);
  EXPECT_EQ(machine.spill(2, disk).reason, Reason::target_below_min_residency);
  machine.put(3, 1);
  machine.lease(3, 100);
  EXPECT_EQ(machine.spill(3, disk).reason, Reason::payload_leased);
  EXPECT_EQ(machine.spill(9, disk).reason, Reason::payload_not_found);
  machine.put(4, 1, disk);
  EXPECT_EQ(machine.spill(4, shm).reason, Reason::target_not_slower);
  EXPECT_EQ(machine.spill(4, disk).reason, Reason::none);
}

TEST(spill, waits_for_leases_when_asked) {
  Machine machine;
  machine.put(1, 1);
  machine.lease(1, 100);
  Spill command;
  command.id = make_id(1);
  command.tier = disk;
  command.wait_for_leases = true;
  EXPECT_FALSE(machine.call(command).has_value());
  const Ticket waiting = machine.ticket;
  EXPECT_TRUE(machine.effects.empty());
  machine.release(100);
  machine.do_effects();
  ASSERT_TRUE(machine.reply_to(waiting).has_value());
  EXPECT_EQ(machine.reply_to(waiting)->view.tier, disk);
}

TEST(spill, gives_up_waiting_for_leases_at_its_deadline) {
  Machine machine;
  machine.put(1, 1);
  machine.lease(1, 100, 100 * second_ns);
  Spill command;
  command.id = make_id(1);
  command.tier = disk;
  command.wait_for_leases = true;
  command.deadline_ns = machine.now.mono_ns + second_ns;
  machine.call(command);
  const Ticket waiting = machine.ticket;
  machine.pass(2 * second_ns);
  EXPECT_EQ(machine.reply_to(waiting)->reason, Reason::payload_leased);
  EXPECT_EQ(machine.erase(1, true).reason, Reason::none);
}

// PLACE-8
TEST(spill, to_a_tier_that_keeps_nothing_deletes_and_says_ok) {
  Machine machine;
  machine.put(1, 1);
  const Reply reply = machine.spill(1, nowhere);
  EXPECT_EQ(reply.reason, Reason::none);
  EXPECT_FALSE(reply.has_view);
  EXPECT_GT(reply.lsn, 0u);
  EXPECT_EQ(machine.look(1), Reason::payload_not_found);
  EXPECT_EQ(machine.charged(shm), 0u);
}

TEST(spill, that_fails_leaves_the_payload_where_it_was) {
  Machine machine;
  machine.put(1, 5000);
  Spill command;
  command.id = make_id(1);
  command.tier = disk;
  machine.call(command);
  machine.do_effect({14, "away"});
  EXPECT_EQ(machine.reply_to(machine.ticket)->reason, Reason::storage_error);
  EXPECT_EQ(machine.see(1).tier, shm);
  EXPECT_FALSE(machine.see(1).spilling);
  EXPECT_EQ(machine.charged(disk), 0u);
}

TEST(promote, keeps_the_durable_copy_and_spill_then_just_drops_the_upper_one) {
  Machine machine;
  machine.put(1, 5000, disk);
  EXPECT_EQ(machine.promote(1).view.tier, shm);
  EXPECT_FALSE(machine.see(1).durable);
  EXPECT_EQ(machine.charged(disk), 8 * kib);
  EXPECT_EQ(machine.charged(shm), 8 * kib);
  Spill command;
  command.id = make_id(1);
  command.tier = disk;
  const auto reply = machine.call(command);
  ASSERT_TRUE(reply.has_value()) << "nothing to copy";
  EXPECT_EQ(reply->view.tier, disk);
  machine.do_effects();
  EXPECT_EQ(machine.charged(shm), 0u);
}

// PLACE-2
TEST(promote, drops_the_durable_copy_only_when_told) {
  Machine machine;
  machine.put(1, 1, disk);
  EXPECT_EQ(machine.promote(1, shm, true).reason, Reason::none);
  EXPECT_EQ(machine.charged(disk), 0u);
  Retention durable;
  durable.require_durable = true;
  machine.put(2, 1, disk, 0, durable);
  EXPECT_EQ(machine.promote(2, shm, true).reason, Reason::target_not_durable);
  EXPECT_EQ(machine.promote(2, shm).reason, Reason::none);
  EXPECT_EQ(machine.charged(disk), 4 * kib);
}

TEST(promote, to_where_it_is_changes_nothing) {
  Machine machine;
  machine.put(1, 1);
  const std::uint64_t revision = machine.see(1).revision;
  const std::size_t records = machine.records.size();
  EXPECT_EQ(machine.promote(1, shm).reason, Reason::none);
  EXPECT_EQ(machine.see(1).revision, revision);
  EXPECT_EQ(machine.records.size(), records);
}

TEST(promote, of_the_same_payload_joins) {
  Machine machine;
  machine.put(1, 1, disk);
  Promote command;
  command.id = make_id(1);
  command.tier = shm;
  machine.call(command);
  const Ticket first = machine.ticket;
  machine.call(command);
  const Ticket second = machine.ticket;
  EXPECT_EQ(machine.effects.size(), 1u);
  machine.do_effects();
  EXPECT_EQ(machine.reply_to(first)->view.tier, shm);
  EXPECT_EQ(machine.reply_to(second)->view.tier, shm);
}

TEST(lease, with_min_tier_promotes_and_is_granted_with_the_switch) {
  Machine machine;
  machine.put(1, 1, disk);
  EXPECT_EQ(machine.lease(1, 100, 0, shm, true).reason, Reason::min_tier_not_met);
  const Reply reply = machine.lease(1, 101, 0, shm);
  ASSERT_EQ(reply.reason, Reason::none);
  EXPECT_EQ(reply.view.tier, shm);
  EXPECT_EQ(machine.see(1).leases, 1u);
  EXPECT_EQ(machine.charged(disk), 4 * kib) << "reading costs no durability";
}

TEST(moves, survive_deletion_of_their_payload) {
  Machine machine;
  machine.put(1, 1);
  Spill command;
  command.id = make_id(1);
  command.tier = disk;
  machine.call(command);
  const Ticket spilling = machine.ticket;
  Delete erase;
  erase.id = make_id(1);
  EXPECT_EQ(machine.call(erase)->reason, Reason::none);
  ASSERT_EQ(machine.effects.size(), 1u) << "the source is being read: it must not be removed yet";
  machine.do_effect();
  EXPECT_EQ(machine.reply_to(spilling)->reason, Reason::payload_not_found);
  machine.do_effects();
  EXPECT_EQ(machine.charged(shm), 0u);
  EXPECT_EQ(machine.charged(disk), 0u);
}

// CHECKSUM-3
TEST(moves, with_a_wrong_checksum_lose_the_copy_and_say_so) {
  Machine machine;
  machine.put(1, 1, disk);
  Promote command;
  command.id = make_id(1);
  command.tier = shm;
  machine.call(command);
  const auto effect = std::get<MoveEffect>(machine.effects.front());
  machine.effects.clear();
  machine.apply(Moved{effect.operation, {15, "wrong"}, {}, {}, true});
  EXPECT_EQ(machine.reply_to(machine.ticket)->reason, Reason::checksum_mismatch);
  EXPECT_EQ(machine.look(1), Reason::payload_lost);
  EXPECT_FALSE(machine.catalog->counts().tiers[shm].failed);
}

TEST(cancel, of_the_last_who_waits_undoes_the_reservation) {
  Machine machine;
  Retention stays;
  stays.no_evict = true;
  machine.put(1, 64 * kib, shm, 0, stays);
  Delete erase;
  erase.id = make_id(1);
  machine.call(erase);
  Allocate command;
  command.id = make_id(2);
  command.size_bytes = 8 * kib;
  command.tier = shm;
  EXPECT_FALSE(machine.call(command).has_value()) << "waits for the removal";
  const Ticket waiting = machine.ticket;
  machine.apply(Cancel{waiting});
  EXPECT_EQ(machine.reply_to(waiting)->reason, Reason::request_cancelled);
  machine.do_effects();
  EXPECT_EQ(machine.charged(shm), 0u);
  EXPECT_EQ(machine.catalog->counts().operations, 0u);
}

TEST(cancel, of_an_allocation_under_way_gives_the_block_back) {
  Machine machine;
  Allocate command;
  command.id = make_id(1);
  command.size_bytes = 1;
  command.tier = shm;
  machine.call(command);
  machine.apply(Cancel{machine.ticket});
  EXPECT_EQ(machine.reply_to(machine.ticket)->reason, Reason::request_cancelled);
  machine.do_effects();
  EXPECT_EQ(machine.look(1), Reason::payload_not_found);
  EXPECT_EQ(machine.charged(shm), 0u);
}

TEST(moves, what_a_failed_one_leaves_takes_its_room_until_it_is_removed) {
  Machine machine;
  machine.put(1, 5000);
  Spill down;
  down.id = make_id(1);
  down.tier = disk;
  machine.call(down);
  const auto move = std::get<MoveEffect>(machine.effects.front());
  machine.effects.clear();
  Moved report;
  report.operation = move.operation;
  report.outcome = {14, "the disk does not answer"};
  report.target_remains = true;
  machine.apply(report);
  EXPECT_EQ(machine.reply_to(machine.ticket)->reason, Reason::storage_error);
  EXPECT_EQ(machine.see(1).tier, shm);
  EXPECT_EQ(machine.charged(disk), 8 * kib) << "its room is given to others";
  const auto removal = std::get<RemoveEffect>(machine.effects.front());
  EXPECT_EQ(removal.object.generation, move.target.generation);
  machine.do_effects();
  EXPECT_EQ(machine.charged(disk), 0u);
}

}  // namespace
}  // namespace pm::catalog::test
