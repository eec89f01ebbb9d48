#include <gtest/gtest.h>

#include "core/catalog/mutant.h"
#include "harness.h"

// The end of a session gives back what it holds.

namespace pm::catalog::test {
namespace {

constexpr std::uint64_t alice = 7;
constexpr std::uint64_t bob = 8;

Reply lease_for(Machine& machine, std::uint64_t session, std::uint64_t number,
                std::uint64_t lease) {
  AcquireLease command;
  command.id = make_id(number);
  command.lease = make_id(lease);
  command.session = session;
  return machine.finish(command);
}

Reply allocate_for(Machine& machine, std::uint64_t session, std::uint64_t number) {
  Allocate command;
  command.id = make_id(number);
  command.size_bytes = 4 * kib;
  command.tier = shm;
  command.session = session;
  return machine.finish(command);
}

// SESSION-1
TEST(the_end_of_a_session, ends_its_leases_and_nobody_elses) {
  Machine machine;
  machine.put(1, 5000);
  lease_for(machine, alice, 1, 100);
  lease_for(machine, alice, 1, 101);
  lease_for(machine, bob, 1, 102);
  machine.lease(1, 103);
  machine.apply(EndSession{alice});
  EXPECT_EQ(machine.see(1).leases, 2u);
  machine.apply(EndSession{bob});
  EXPECT_EQ(machine.see(1).leases, 1u);
  machine.apply(EndSession{alice});
  machine.apply(EndSession{4711});
  EXPECT_EQ(machine.see(1).leases, 1u);
}

TEST(the_end_of_a_session, gives_back_what_was_not_committed) {
  Machine machine;
  allocate_for(machine, alice, 1);
  allocate_for(machine, alice, 2);
  allocate_for(machine, bob, 3);
  machine.commit(2);
  machine.apply(EndSession{alice});
  machine.do_effects();
  EXPECT_EQ(machine.look(1), Reason::payload_not_found);
  EXPECT_EQ(machine.look(2), Reason::none);
  EXPECT_EQ(machine.look(3), Reason::none);
  EXPECT_EQ(machine.charged(shm), 8 * kib);
}

TEST(the_end_of_a_session, leaves_a_commit_that_is_under_way) {
  Machine machine;
  allocate_for(machine, alice, 1);
  Commit commit;
  commit.id = make_id(1);
  machine.call(commit);
  machine.apply(EndSession{alice});
  machine.do_effects();
  EXPECT_EQ(machine.see(1).phase, Phase::committed);
}

TEST(the_end_of_a_session, keeps_the_room_of_a_writer_that_lives_for_a_while) {
  Machine machine;
  allocate_for(machine, alice, 1);
  EXPECT_TRUE(machine.catalog->has_allocations(alice));
  machine.apply(EndSession{alice, true});
  machine.do_effects();
  EXPECT_FALSE(machine.catalog->has_allocations(alice));
  EXPECT_EQ(machine.look(1), Reason::payload_not_found);
  EXPECT_EQ(machine.charged(shm), 4 * kib);
  machine.pass(Limits{}.orphan_grace_ns);
  machine.do_effects();
  EXPECT_EQ(machine.charged(shm), 0u);
}

TEST(the_end_of_a_session, gives_up_what_a_commit_under_way_could_not_commit) {
  Machine machine;
  allocate_for(machine, alice, 1);
  Commit commit;
  commit.id = make_id(1);
  machine.call(commit);
  machine.apply(EndSession{alice});
  machine.do_effect({13, "broken"});
  EXPECT_EQ(machine.look(1), Reason::payload_not_found);
}

TEST(the_end_of_a_session, is_cut_into_slices) {
  Machine machine(three_tiers(UINT64_MAX));
  machine.put(1, 5000);
  for (std::uint64_t lease = 1; lease <= 600; ++lease) lease_for(machine, alice, 1, 1000 + lease);
  for (std::uint64_t number = 2; number <= 200; ++number) allocate_for(machine, alice, number);
  machine.apply(EndSession{alice});
  EXPECT_EQ(machine.see(1).leases, 600u - 256u);
  int ticks = 0;
  while (machine.catalog->next_due_mono_ns() == 1 && ++ticks < 10) machine.apply(Tick{});
  machine.do_effects();
  EXPECT_EQ(machine.see(1).leases, 0u);
  EXPECT_EQ(machine.catalog->counts().uncommitted, 0u);
  EXPECT_EQ(machine.charged(shm), 8 * kib);
  EXPECT_EQ(ticks, 3);
}

// SESSION-2
TEST(a_session, may_see_what_it_leased_and_what_it_writes) {
  Machine machine;
  machine.put(1, 5000);
  lease_for(machine, alice, 1, 100);
  machine.lease(1, 101);
  allocate_for(machine, alice, 2);
  Object object;
  EXPECT_EQ(machine.catalog->find_leased(alice, make_id(100), object), Reason::none);
  EXPECT_EQ(object.payload, make_id(1));
  EXPECT_EQ(machine.catalog->find_leased(bob, make_id(100), object), Reason::lease_not_found);
  EXPECT_EQ(machine.catalog->find_leased(alice, make_id(101), object), Reason::lease_not_found);
  EXPECT_EQ(machine.catalog->find_allocated(alice, make_id(2), object), Reason::none);
  EXPECT_EQ(object.payload, make_id(2));
  EXPECT_EQ(machine.catalog->find_allocated(bob, make_id(2), object), Reason::payload_not_found);
  Commit commit;
  commit.id = make_id(2);
  machine.call(commit);
  EXPECT_EQ(machine.catalog->find_allocated(alice, make_id(2), object), Reason::payload_busy);
  machine.do_effects();
  EXPECT_EQ(machine.catalog->find_allocated(alice, make_id(2), object), Reason::payload_not_found);
  // What was deleted by force is read on until the lease ends.
  machine.erase(1, true);
  EXPECT_EQ(machine.catalog->find_leased(alice, make_id(100), object), Reason::none);
  EXPECT_EQ(object.payload, make_id(1));
}

#if PM_FAILPOINTS
TEST(the_end_of_a_session, that_is_forgotten_is_found) {
  Machine machine;
  machine.put(1, 5000);
  lease_for(machine, alice, 1, 100);
  planted = Mutant::session_end_is_forgotten;
  machine.apply(EndSession{alice});
  planted = Mutant::none;
  EXPECT_NE(machine.see(1).leases, 0u);
}
#endif

}  // namespace
}  // namespace pm::catalog::test
