#include <gtest/gtest.h>

#include <algorithm>

#include "harness.h"

// What the owner of a payload asked for holds on every path that a payload can take.

namespace pm::catalog::test {
namespace {

constexpr TierIndex archive = 3;

// shm -> disk -> archive, and one that keeps nothing.
std::vector<TierFacts> four_tiers(std::uint64_t shm_bytes = 64 * kib,
                                  std::uint64_t disk_bytes = 64 * kib) {
  std::vector<TierFacts> tiers = three_tiers(shm_bytes, disk_bytes);
  TierFacts slow = tiers[disk];
  slow.rank = 40;
  slow.capacity_bytes = UINT64_MAX;
  tiers[disk].spill_to = archive;
  tiers.push_back(slow);
  return tiers;
}

Retention with(Priority priority) {
  Retention retention;
  retention.priority = priority;
  return retention;
}

// PLACE-7
TEST(retention, orders_victims_by_priority_and_then_by_their_last_use) {
  Machine machine;
  machine.put(1, 8 * kib, shm, 0, with(Priority::never));
  machine.put(2, 8 * kib, shm, 0, with(Priority::high));
  machine.put(3, 8 * kib, shm, 0, with(Priority::normal));
  machine.put(4, 8 * kib, shm, 0, with(Priority::normal));
  machine.put(5, 8 * kib, shm, 0, with(Priority::low));
  machine.put(6, 8 * kib, shm, 0, with(Priority::low));
  machine.put(7, 8 * kib, shm, 0, with(Priority::high));
  machine.put(8, 8 * kib, shm, 0, with(Priority::never));
  for (const std::uint64_t number : {5u, 3u, 2u}) {
    machine.lease(number, 100 + number);
    machine.release(100 + number);
  }
  std::vector<std::uint64_t> left;
  for (std::uint64_t next = 20; next < 26; ++next) {
    ASSERT_EQ(machine.put(next, 8 * kib, shm, 0, with(Priority::never)).reason, Reason::none);
    for (std::uint64_t number = 1; number <= 8; ++number) {
      const bool seen = std::find(left.begin(), left.end(), number) != left.end();
      if (!seen && machine.see(number).tier == disk) left.push_back(number);
    }
  }
  EXPECT_EQ(left, (std::vector<std::uint64_t>{6, 5, 4, 3, 7, 2}));
  EXPECT_EQ(machine.put(30, 8 * kib).reason, Reason::tier_full) << "NEVER is never";
  EXPECT_EQ(machine.see(1).tier, shm);
  EXPECT_EQ(machine.see(8).tier, shm);
}

// PLACE-3
TEST(retention, require_durable_holds_on_every_path) {
  std::vector<TierFacts> tiers = four_tiers();
  tiers[archive].traits = traits_keeps_bytes | traits_survives_process;
  Machine machine(tiers);
  Retention durable;
  durable.require_durable = true;
  durable.spill_target = archive;
  machine.put(1, 64 * kib, shm, 0, durable);
  EXPECT_EQ(machine.spill(1).reason, Reason::target_not_durable) << "its own target";
  EXPECT_EQ(machine.spill(1, archive).reason, Reason::target_not_durable);
  EXPECT_EQ(machine.spill(1, nowhere).reason, Reason::target_not_durable);
  EXPECT_EQ(machine.promote(1, archive).reason, Reason::target_not_durable) << "downwards";
  EXPECT_EQ(machine.put(2, kib).reason, Reason::tier_full) << "eviction";
  EXPECT_EQ(machine.see(1).tier, shm);

  ASSERT_EQ(machine.spill(1, disk).reason, Reason::none);
  EXPECT_EQ(machine.promote(1, shm, true).reason, Reason::target_not_durable);
  ASSERT_EQ(machine.promote(1, shm).reason, Reason::none);
  // The copy below is durable, so the one above may go.
  EXPECT_EQ(machine.put(2, kib).reason, Reason::none);
  EXPECT_EQ(machine.see(1).tier, disk);
  EXPECT_EQ(machine.put(3, kib, disk).reason, Reason::tier_full) << "eviction from below";
}

// PLACE-3
TEST(retention, min_residency_tier_holds_on_every_path) {
  Machine machine(four_tiers());
  Retention near;
  near.min_residency = disk;
  machine.put(1, 64 * kib, shm, 0, near);
  EXPECT_EQ(machine.spill(1, archive).reason, Reason::target_below_min_residency);
  EXPECT_EQ(machine.spill(1, nowhere).reason, Reason::target_below_min_residency);
  EXPECT_EQ(machine.promote(1, archive).reason, Reason::target_below_min_residency);
  // Down to where it may be, also to make room, and no further.
  ASSERT_EQ(machine.put(2, 64 * kib).reason, Reason::none);
  EXPECT_EQ(machine.see(1).tier, disk);
  EXPECT_EQ(machine.spill(1).reason, Reason::target_below_min_residency) << "its tier's target";
  EXPECT_EQ(machine.put(3, kib, disk).reason, Reason::tier_full) << "eviction";
  // The cascade: who leaves the memory finds the disk full of what may not leave it.
  EXPECT_EQ(machine.put(4, 64 * kib).reason, Reason::tier_full);
  EXPECT_EQ(machine.see(1).tier, disk);
  EXPECT_EQ(machine.see(2).tier, shm);
}

// PLACE-3
TEST(retention, min_residency_tier_keeps_the_upper_copy_when_the_one_below_is_too_far_down) {
  Machine machine(four_tiers());
  Retention near;
  near.min_residency = shm;
  machine.put(1, 64 * kib, archive, 0, near);
  ASSERT_EQ(machine.promote(1, shm).reason, Reason::none);
  EXPECT_EQ(machine.put(2, kib).reason, Reason::tier_full);
  EXPECT_EQ(machine.see(1).tier, shm);
}

// PLACE-3
TEST(retention, spill_target_is_where_it_goes_when_room_is_needed_and_by_spill) {
  Machine machine(four_tiers());
  Retention far;
  far.spill_target = archive;
  machine.put(1, 64 * kib, shm, 0, far);
  ASSERT_EQ(machine.put(2, 64 * kib).reason, Reason::none);
  EXPECT_EQ(machine.see(1).tier, archive);
  EXPECT_EQ(machine.charged(disk), 0u);
  machine.erase(2);
  machine.put(3, 64 * kib, shm, 0, far);
  ASSERT_EQ(machine.spill(3).reason, Reason::none);
  EXPECT_EQ(machine.see(3).tier, archive);
}

// PLACE-8
TEST(retention, spill_target_that_keeps_nothing_means_that_eviction_deletes) {
  Machine machine(four_tiers());
  Retention ephemeral;
  ephemeral.spill_target = nowhere;
  machine.put(1, 64 * kib, shm, 0, ephemeral);
  machine.put(2, 64 * kib, disk, 0, ephemeral);
  ASSERT_EQ(machine.put(3, 64 * kib).reason, Reason::none);
  EXPECT_EQ(machine.look(1), Reason::payload_not_found);
  // Also when the disk makes room for what leaves the memory.
  ASSERT_EQ(machine.put(4, 64 * kib).reason, Reason::none);
  EXPECT_EQ(machine.look(2), Reason::payload_not_found);
  EXPECT_EQ(machine.see(3).tier, disk);
  EXPECT_EQ(machine.charged(shm), 64 * kib);
  EXPECT_EQ(machine.charged(disk), 64 * kib);
}

// PLACE-9
TEST(retention, spill_target_above_a_payload_is_passed_over_for_that_of_its_tier) {
  Machine machine(four_tiers());
  Retention up;
  up.spill_target = shm;
  machine.put(1, 64 * kib, disk, 0, up);
  ASSERT_EQ(machine.put(2, 64 * kib, disk).reason, Reason::none);
  EXPECT_EQ(machine.see(1).tier, archive);
  EXPECT_EQ(machine.charged(shm), 0u);
}

// PLACE-9
TEST(retention, spill_targets_that_point_in_a_circle_take_no_payload_twice) {
  Machine machine(four_tiers(64 * kib, 64 * kib));
  Retention up;
  up.spill_target = shm;
  Retention down;
  down.spill_target = disk;
  machine.put(1, 64 * kib, shm, 0, down);
  machine.put(2, 64 * kib, disk, 0, up);
  ASSERT_EQ(machine.put(3, 64 * kib).reason, Reason::none);
  EXPECT_EQ(machine.see(1).tier, disk);
  EXPECT_EQ(machine.see(2).tier, archive);
  EXPECT_EQ(machine.see(3).tier, shm);
}

// PLACE-3
TEST(retention, cascade_orders_victims_on_the_tier_below_too) {
  Machine machine(four_tiers());
  machine.put(1, 32 * kib, disk, 0, with(Priority::high));
  machine.put(2, 32 * kib, disk, 0, with(Priority::low));
  machine.put(3, 32 * kib, shm);
  machine.put(4, 32 * kib, shm);
  ASSERT_EQ(machine.put(5, 32 * kib).reason, Reason::none);
  EXPECT_EQ(machine.see(3).tier, disk);
  EXPECT_EQ(machine.see(2).tier, archive);
  EXPECT_EQ(machine.see(1).tier, disk);
}

TEST(retention, a_copy_below_a_failed_one_lets_the_upper_one_go) {
  Machine machine(four_tiers(64 * kib, 128 * kib));
  machine.put(1, 64 * kib, archive);
  machine.promote(1, disk);
  machine.promote(1, shm);
  machine.allocate(2, kib, disk);
  Commit fails;
  fails.id = make_id(2);
  machine.call(fails);
  constexpr std::int32_t data_loss = 15;
  machine.do_effect({data_loss, "fsync"});
  ASSERT_TRUE(machine.catalog->counts().tiers[disk].failed);
  ASSERT_EQ(machine.put(3, 64 * kib).reason, Reason::none);
  EXPECT_EQ(machine.see(3).tier, shm);
  EXPECT_EQ(machine.charged(shm), 64 * kib);
}

// PAYLOAD-3, PAYLOAD-7
TEST(time_to_live, that_ends_during_a_lease_takes_the_payload_and_leaves_the_bytes) {
  Machine machine;
  machine.put(1, 4 * kib, shm, 10 * second_ns);
  machine.put(2, 4 * kib, shm, 10 * second_ns);
  const Reply lease = machine.lease(1, 100, 60 * second_ns);
  machine.pass(10 * second_ns);
  machine.do_effects();
  EXPECT_EQ(machine.look(1), Reason::payload_not_found);
  EXPECT_EQ(machine.lease(1, 101).reason, Reason::payload_not_found);
  EXPECT_EQ(machine.look(2), Reason::payload_not_found) << "the leased one stalls others";
  EXPECT_EQ(machine.charged(shm), 4 * kib) << "the bytes of the lease";
  // Room that is coming: who waits for it gets it as soon as the lease ends.
  machine.put(3, 60 * kib, shm, 0, with(Priority::never));
  Allocate waits;
  waits.id = make_id(4);
  waits.size_bytes = 4 * kib;
  waits.tier = shm;
  machine.call(waits);
  const Ticket ticket = machine.ticket;
  EXPECT_FALSE(machine.reply_to(ticket).has_value());
  machine.release(100);
  machine.do_effects();
  ASSERT_TRUE(machine.reply_to(ticket).has_value());
  EXPECT_EQ(machine.reply_to(ticket)->reason, Reason::none);
  EXPECT_EQ(lease.lease_duration_ns, 60 * second_ns);
}

// PAYLOAD-3
TEST(time_to_live, that_has_ended_hides_a_payload_also_while_it_is_moved_or_committed) {
  Machine machine;
  machine.put(1, 4 * kib, shm, 10 * second_ns);
  machine.allocate(2, 4 * kib, shm, 10 * second_ns);
  Spill spill;
  spill.id = make_id(1);
  spill.tier = disk;
  machine.call(spill);
  const Ticket moving = machine.ticket;
  Commit commit;
  commit.id = make_id(2);
  machine.call(commit);
  machine.now.wall_ns += 10 * static_cast<std::int64_t>(second_ns);
  EXPECT_EQ(machine.look(1), Reason::payload_not_found) << "before any Tick";
  EXPECT_EQ(machine.look(2), Reason::payload_not_found);
  AcquireLease late;
  late.id = make_id(1);
  late.lease = make_id(100);
  EXPECT_EQ(machine.call(late)->reason, Reason::payload_not_found);
  machine.pass(0);
  machine.do_effects();
  EXPECT_EQ(machine.reply_to(moving)->reason, Reason::payload_not_found);
  machine.pass(0);
  machine.do_effects();
  EXPECT_EQ(machine.charged(shm) + machine.charged(disk), 0u);
  EXPECT_EQ(machine.catalog->counts().operations, 0u);
}

// PAYLOAD-3
TEST(time_to_live, counts_from_allocate_also_when_room_had_to_be_waited_for) {
  Machine machine;
  machine.put(1, 64 * kib, shm, 0, with(Priority::never));
  machine.lease(1, 100, 5 * second_ns);
  machine.erase(1, true);
  Allocate command;
  command.id = make_id(2);
  command.size_bytes = kib;
  command.tier = shm;
  command.ttl_ns = 10 * second_ns;
  machine.call(command);
  const Ticket ticket = machine.ticket;
  machine.pass(6 * second_ns);
  machine.do_effects();
  ASSERT_EQ(machine.reply_to(ticket)->reason, Reason::none);
  machine.commit(2);
  machine.pass(3 * second_ns);
  EXPECT_EQ(machine.look(2), Reason::none);
  machine.pass(second_ns);
  EXPECT_EQ(machine.look(2), Reason::payload_not_found);
}

// PLACE-10
TEST(time_to_live, is_dropped_for_what_is_never_to_leave) {
  Machine machine;
  Retention kept;
  kept.no_evict = true;
  machine.put(1, kib, shm, second_ns, kept);
  machine.put(2, kib, shm, second_ns, with(Priority::never));
  machine.put(3, kib, shm, second_ns, with(Priority::high));
  machine.pass(2 * second_ns);
  EXPECT_EQ(machine.see(1).expires_at_ns, 0);
  EXPECT_EQ(machine.see(2).expires_at_ns, 0);
  EXPECT_EQ(machine.look(3), Reason::payload_not_found);
}

}  // namespace
}  // namespace pm::catalog::test
