#include <gtest/gtest.h>

#include "core/catalog/mutant.h"
#include "fake_holds.h"

// Leases without a command, as the catalog sees them.

namespace pm::catalog::test {
namespace {

struct Held {
  explicit Held(std::uint64_t shm_bytes = 64 * kib) : machine(tiers_with_holds(shm_bytes)) {
    machine.catalog->use(&holds);
  }
  void look() {
    for (const Unheld& report : holds.look()) machine.apply(report);
    machine.do_effects();
  }

  FakeHolds holds;
  Machine machine;
};

TEST(holds, are_possible_once_a_payload_is_committed_where_it_can_be_mapped) {
  Held held;
  held.machine.allocate(1, 5000);
  EXPECT_EQ(held.holds.hold(1), 0u);
  held.machine.commit(1);
  held.machine.put(2, 5000, disk);
  EXPECT_NE(held.holds.hold(1), 0u);
  EXPECT_EQ(held.holds.hold(2), 0u);
  held.machine.promote(2, shm);
  EXPECT_NE(held.holds.hold(2), 0u);
}

TEST(holds, are_offered_by_a_lease_when_the_directory_came_later) {
  Held held;
  held.holds.in_use = false;
  held.machine.put(1, 5000);
  held.holds.in_use = true;
  EXPECT_EQ(held.holds.hold(1), 0u);
  held.machine.lease(1, 100);
  held.machine.do_effects();
  EXPECT_NE(held.holds.hold(1), 0u);
}

TEST(holds, show_the_revision_that_the_payload_has) {
  Held held;
  held.machine.put(1, 5000, disk);
  held.machine.promote(1, shm);
  const std::uint64_t generation = held.holds.hold(1);
  EXPECT_EQ(held.holds.entries.at(generation).place.revision, held.machine.see(1).revision);
  held.machine.label(1, {{"a", "b"}});
  EXPECT_EQ(held.holds.entries.at(generation).place.revision, held.machine.see(1).revision);
}

// HOLD-1
TEST(a_held_payload, is_not_deleted_unless_forced) {
  Held held;
  held.machine.put(1, 5000);
  const std::uint64_t generation = held.holds.hold(1);
  EXPECT_EQ(held.machine.erase(1).reason, Reason::payload_leased);
  EXPECT_NE(held.holds.hold(1), 0u);
  held.holds.let_go(generation);
  held.holds.let_go(generation);
  EXPECT_EQ(held.machine.erase(1).reason, Reason::none);
  EXPECT_EQ(held.machine.charged(shm), 0u);
}

TEST(a_held_payload, keeps_its_bytes_when_it_is_deleted_by_force) {
  Held held;
  held.machine.put(1, 5000);
  const std::uint64_t generation = held.holds.hold(1);
  EXPECT_EQ(held.machine.erase(1, true).reason, Reason::none);
  EXPECT_EQ(held.holds.hold(1), 0u);
  held.look();
  EXPECT_EQ(held.machine.charged(shm), 8 * kib);
  held.holds.let_go(generation);
  held.look();
  EXPECT_EQ(held.machine.charged(shm), 0u);
}

TEST(a_held_payload, does_not_go_by_a_report_from_before_it_was_deleted) {
  Held held;
  held.machine.put(1, 5000);
  std::uint64_t generation = held.holds.hold(1);
  Spill spill;
  spill.id = make_id(1);
  spill.tier = disk;
  spill.wait_for_leases = true;
  held.machine.call(spill);
  held.holds.let_go(generation);
  const std::vector<Unheld> late = held.holds.look();
  generation = held.holds.hold(1);
  held.machine.erase(1, true);
  for (const Unheld& report : late) held.machine.apply(report);
  held.machine.do_effects();
  EXPECT_EQ(held.machine.charged(shm), 8 * kib);
  held.holds.let_go(generation);
  held.look();
  EXPECT_EQ(held.machine.charged(shm), 0u);
}

TEST(a_held_payload, is_not_spilled_unless_somebody_waits) {
  Held held;
  held.machine.put(1, 5000);
  const std::uint64_t generation = held.holds.hold(1);
  EXPECT_EQ(held.machine.spill(1, disk).reason, Reason::payload_leased);
  Spill spill;
  spill.id = make_id(1);
  spill.tier = disk;
  spill.wait_for_leases = true;
  EXPECT_FALSE(held.machine.call(spill).has_value());
  held.look();
  EXPECT_EQ(held.machine.see(1).tier, shm);
  held.holds.let_go(generation);
  held.look();
  EXPECT_EQ(held.machine.reply_to(held.machine.ticket)->reason, Reason::none);
  EXPECT_EQ(held.machine.see(1).tier, disk);
}

TEST(a_held_payload, is_spilled_after_the_last_of_leases_and_holds_has_ended) {
  Held held;
  held.machine.put(1, 5000);
  held.machine.lease(1, 100);
  const std::uint64_t generation = held.holds.hold(1);
  Spill spill;
  spill.id = make_id(1);
  spill.tier = disk;
  spill.wait_for_leases = true;
  held.machine.call(spill);
  held.machine.release(100);
  held.look();
  EXPECT_EQ(held.machine.see(1).tier, shm);
  held.holds.let_go(generation);
  held.look();
  EXPECT_EQ(held.machine.see(1).tier, disk);
}

TEST(a_held_payload, lets_others_leave_for_room_and_leaves_later) {
  Held held(16 * kib);
  held.machine.put(1, 8 * kib);
  held.machine.put(2, 8 * kib);
  const std::uint64_t generation = held.holds.hold(1);
  held.machine.put(3, 8 * kib);
  EXPECT_EQ(held.machine.see(1).tier, shm);
  EXPECT_EQ(held.machine.see(2).tier, disk);
  held.holds.let_go(generation);
  held.look();
  held.machine.put(4, 8 * kib);
  held.machine.put(5, 8 * kib);
  EXPECT_EQ(held.machine.see(1).tier, disk);
}

TEST(a_held_payload, makes_an_allocation_wait_when_it_is_all_there_is) {
  Held held(8 * kib);
  held.machine.put(1, 8 * kib);
  const std::uint64_t generation = held.holds.hold(1);
  EXPECT_EQ(held.machine.put(2, 8 * kib).reason, Reason::tier_full);
  held.holds.let_go(generation);
  held.look();
  EXPECT_EQ(held.machine.put(2, 8 * kib).reason, Reason::none);
}

TEST(a_held_payload, that_is_bad_can_be_held_by_nobody_else) {
  Held held;
  held.machine.put(1, 5000);
  const std::uint64_t generation = held.holds.hold(1);
  held.machine.apply(CopyGone{make_id(1), generation});
  EXPECT_EQ(held.holds.hold(1), 0u);
  held.holds.let_go(generation);
  held.look();
  held.machine.erase(1, true);
  EXPECT_EQ(held.machine.charged(shm), 0u);
}

TEST(reads_without_a_command, are_uses) {
  Held held(16 * kib);
  held.machine.put(1, 8 * kib);
  held.machine.put(2, 8 * kib);
  held.machine.apply(NoteReads{{make_id(1), make_id(99)}});
  held.machine.put(3, 8 * kib);
  EXPECT_EQ(held.machine.see(1).tier, shm);
  EXPECT_EQ(held.machine.see(2).tier, disk);
}

#if PM_FAILPOINTS
TEST(holds, that_are_ignored_are_found) {
  Held held;
  held.machine.put(1, 5000);
  held.holds.hold(1);
  planted = Mutant::holds_are_ignored;
  const Reason reason = held.machine.erase(1).reason;
  planted = Mutant::none;
  EXPECT_NE(reason, Reason::payload_leased);
}
#endif

}  // namespace
}  // namespace pm::catalog::test
