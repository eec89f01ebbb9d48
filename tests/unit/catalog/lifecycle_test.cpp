#include <gtest/gtest.h>

#include "harness.h"

namespace pm::catalog::test {
namespace {

// PAYLOAD-1
TEST(allocate, gives_a_place_and_nobody_may_read_it_before_commit) {
  Machine machine;
  const Reply reply = machine.allocate(1, 5000);
  ASSERT_EQ(reply.reason, Reason::none);
  EXPECT_EQ(reply.view.phase, Phase::allocated);
  EXPECT_EQ(reply.view.revision, 1u);
  EXPECT_EQ(machine.charged(shm), 8 * kib);
  EXPECT_EQ(machine.lease(1, 100).reason, Reason::payload_not_committed);
  EXPECT_EQ(machine.spill(1, disk).reason, Reason::payload_not_committed);
  EXPECT_EQ(machine.promote(1).reason, Reason::payload_not_committed);
  EXPECT_EQ(machine.lease(1, 100, 0, shm).reason, Reason::payload_not_committed);
}

TEST(allocate, refuses_what_makes_no_sense) {
  Machine machine;
  EXPECT_EQ(machine.allocate(1, 0).reason, Reason::payload_size_invalid);
  EXPECT_EQ(machine.allocate(1, (128ULL << 30) + 1).reason, Reason::payload_size_invalid);
  EXPECT_EQ(machine.allocate(1, 1, 7).reason, Reason::tier_unknown);
  EXPECT_EQ(machine.allocate(1, 1, nowhere).reason, Reason::tier_keeps_no_bytes);
  EXPECT_EQ(machine.allocate(1, 65 * kib).reason, Reason::tier_full);
  EXPECT_EQ(machine.look(1), Reason::payload_not_found);
  EXPECT_EQ(machine.charged(shm), 0u);
}

TEST(allocate, leaves_nothing_when_the_tier_fails) {
  Machine machine;
  Allocate command;
  command.id = make_id(1);
  command.size_bytes = 1;
  command.tier = shm;
  machine.call(command);
  machine.do_effect({13, "broken"});
  const auto reply = machine.reply_to(machine.ticket);
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->reason, Reason::storage_error);
  EXPECT_EQ(reply->message, "broken");
  EXPECT_EQ(machine.charged(shm), 0u);
  EXPECT_EQ(machine.look(1), Reason::payload_not_found);
}

TEST(allocate, writes_no_record_so_that_it_dies_with_the_host) {
  Machine machine;
  machine.allocate(1, 1);
  EXPECT_TRUE(machine.records.empty());
  EXPECT_EQ(machine.restart().look(1), Reason::payload_not_found);
}

TEST(commit, publishes_once_and_records_it) {
  Machine machine;
  machine.allocate(1, 5000);
  const Reply reply = machine.commit(1);
  ASSERT_EQ(reply.reason, Reason::none);
  EXPECT_EQ(reply.view.phase, Phase::committed);
  EXPECT_EQ(reply.view.revision, 2u);
  EXPECT_GT(reply.lsn, 0u);
  EXPECT_EQ(machine.records.size(), 1u);
  EXPECT_EQ(machine.commit(1).reason, Reason::payload_already_committed);
  EXPECT_EQ(machine.commit(2).reason, Reason::payload_not_found);
}

TEST(commit, on_a_durable_tier_must_survive_power) {
  Machine machine;
  machine.put(1, 1, shm);
  EXPECT_FALSE(machine.last_power);
  machine.put(2, 1, disk);
  EXPECT_TRUE(machine.last_power);
  EXPECT_TRUE(machine.see(2).durable);
  EXPECT_FALSE(machine.see(1).durable);
}

TEST(commit, is_refused_when_the_writer_shortened_the_bytes) {
  Machine machine;
  machine.allocate(1, 5000);
  Commit command;
  command.id = make_id(1);
  machine.call(command);
  machine.do_effect({9, "too short"});
  EXPECT_EQ(machine.reply_to(machine.ticket)->reason, Reason::writer_changed_length);
  EXPECT_EQ(machine.see(1).phase, Phase::allocated);
  EXPECT_EQ(machine.commit(1).reason, Reason::none);
}

TEST(commit, of_what_a_process_still_maps_is_refused_and_can_be_tried_again) {
  Machine machine;
  Allocate sealed;
  sealed.id = make_id(1);
  sealed.size_bytes = 5000;
  sealed.tier = shm;
  sealed.layout = Layout::sealed;
  machine.call(sealed);
  EXPECT_EQ(std::get<AllocateEffect>(machine.effects.front()).layout, Layout::sealed);
  machine.do_effects();
  Commit command;
  command.id = make_id(1);
  machine.call(command);
  const auto seal = std::get<SealEffect>(machine.effects.front());
  EXPECT_EQ(seal.layout, Layout::sealed);
  machine.effects.clear();
  machine.apply(
      Sealed{.operation = seal.operation, .outcome = {9, "it is mapped"}, .is_whole = true});
  EXPECT_EQ(machine.reply_to(machine.ticket)->reason, Reason::writer_not_done);
  EXPECT_EQ(machine.see(1).phase, Phase::allocated);
  EXPECT_EQ(machine.commit(1).reason, Reason::none);
}

TEST(commit, with_a_failed_sync_takes_the_tier_out_of_service) {
  Machine machine;
  machine.allocate(1, 1, disk);
  Commit command;
  command.id = make_id(1);
  machine.call(command);
  machine.do_effect({15, "fsync failed"});
  EXPECT_EQ(machine.reply_to(machine.ticket)->reason, Reason::storage_error);
  EXPECT_TRUE(machine.catalog->counts().tiers[disk].failed);
  EXPECT_EQ(machine.commit(1).reason, Reason::tier_failed);
  EXPECT_EQ(machine.allocate(2, 1, disk).reason, Reason::tier_failed);
  machine.put(3, 1);
  EXPECT_EQ(machine.spill(3, disk).reason, Reason::tier_failed);
  EXPECT_EQ(machine.restart().allocate(4, 1, disk).reason, Reason::tier_failed);
}

TEST(tier, keeps_its_medium_and_its_failure_over_restarts) {
  Machine machine;
  machine.apply(Mounted{disk, "disk:1"});
  const auto& record = std::get<TierRecord>(machine.records.back());
  EXPECT_EQ(record.medium, "disk:1");
  EXPECT_FALSE(record.failed);
  machine.allocate(1, 1, disk);
  Commit command;
  command.id = make_id(1);
  machine.call(command);
  machine.do_effect({15, "fsync failed"});
  EXPECT_EQ(std::get<TierRecord>(machine.records.back()).medium, "disk:1");
  EXPECT_TRUE(std::get<TierRecord>(machine.records.back()).failed);
}

TEST(erase, frees_the_room_only_when_the_tier_has_removed_the_bytes) {
  Machine machine;
  machine.put(1, 5000);
  Delete command;
  command.id = make_id(1);
  const auto reply = machine.call(command);
  ASSERT_EQ(reply->reason, Reason::none);
  EXPECT_EQ(machine.look(1), Reason::payload_not_found);
  EXPECT_EQ(machine.charged(shm), 8 * kib);
  ASSERT_EQ(machine.effects.size(), 1u);
  EXPECT_EQ(std::get<RemoveEffect>(machine.effects.front()).lsn, reply->lsn);
  EXPECT_GT(reply->lsn, 0u);
  machine.do_effects();
  EXPECT_EQ(machine.charged(shm), 0u);
  EXPECT_EQ(machine.erase(1).reason, Reason::payload_not_found);
}

TEST(erase, tells_nobody_that_the_payload_is_gone_before_that_is_durable) {
  Machine machine;
  machine.put(1, 5000);
  const std::uint64_t lsn = machine.erase(1).lsn;
  EXPECT_GT(lsn, 0u);
  EXPECT_EQ(machine.erase(1).lsn, lsn);
  EXPECT_EQ(machine.commit(1).lsn, lsn);
  EXPECT_EQ(machine.spill(1, disk).lsn, lsn);
  View view;
  std::uint64_t resolved = 0;
  EXPECT_EQ(machine.catalog->resolve(make_id(1), machine.now, view, resolved),
            Reason::payload_not_found);
  EXPECT_EQ(resolved, lsn);
  EXPECT_EQ(machine.catalog->describe(make_id(1), machine.now).lsn, lsn);
}

TEST(commit, tells_nobody_that_it_was_done_before_that_is_durable) {
  Machine machine;
  machine.put(1, 5000);
  const Reply again = machine.commit(1);
  EXPECT_EQ(again.reason, Reason::payload_already_committed);
  EXPECT_GT(again.lsn, 0u);
}

TEST(erase, tries_again_when_the_tier_fails_to_remove) {
  Machine machine;
  machine.put(1, 5000);
  Delete command;
  command.id = make_id(1);
  machine.call(command);
  machine.do_effect({13, "busy"});
  EXPECT_EQ(machine.charged(shm), 8 * kib);
  EXPECT_TRUE(machine.effects.empty());
  machine.pass(2 * second_ns);
  ASSERT_EQ(machine.effects.size(), 1u);
  machine.do_effects();
  EXPECT_EQ(machine.charged(shm), 0u);
}

// LEASE-1, LEASE-2
TEST(erase, of_a_leased_payload_needs_force_and_keeps_the_block) {
  Machine machine;
  machine.put(1, 5000);
  machine.lease(1, 100);
  EXPECT_EQ(machine.erase(1).reason, Reason::payload_leased);
  EXPECT_EQ(machine.erase(1, true).reason, Reason::none);
  EXPECT_EQ(machine.look(1), Reason::payload_not_found);
  EXPECT_EQ(machine.charged(shm), 8 * kib);
  machine.release(100);
  machine.do_effects();
  EXPECT_EQ(machine.charged(shm), 0u);
}

TEST(lease, ends_by_monotonic_time_whatever_the_wall_clock_does) {
  Machine machine;
  machine.put(1, 1);
  const Reply reply = machine.lease(1, 100, 10 * second_ns);
  EXPECT_EQ(reply.lease_duration_ns, 10 * second_ns);
  machine.now.wall_ns += 86'400LL * 1'000'000'000;
  machine.apply(Tick{});
  EXPECT_EQ(machine.catalog->counts().leases, 1u);
  machine.now.wall_ns -= 10 * 86'400LL * 1'000'000'000;
  machine.now.mono_ns += 11 * second_ns;
  machine.apply(Tick{});
  EXPECT_EQ(machine.catalog->counts().leases, 0u);
  EXPECT_EQ(machine.erase(1).reason, Reason::none);
}

TEST(lease, says_what_duration_it_granted) {
  Machine machine;
  machine.put(1, 1);
  EXPECT_EQ(machine.lease(1, 100).lease_duration_ns, 20 * second_ns);
  EXPECT_EQ(machine.lease(1, 101, 1000 * second_ns).lease_duration_ns, 120 * second_ns);
  EXPECT_EQ(machine.see(1).leases, 2u);
  machine.release(100);
  machine.release(100);
  machine.release(999);
  EXPECT_EQ(machine.see(1).leases, 1u);
}

// PAYLOAD-3
TEST(time_to_live, counts_from_allocate_and_ends_at_once) {
  Machine machine;
  machine.put(1, 1, shm, 10 * second_ns);
  machine.pass(9 * second_ns);
  EXPECT_EQ(machine.look(1), Reason::none);
  machine.now.wall_ns += static_cast<std::int64_t>(second_ns);
  EXPECT_EQ(machine.look(1), Reason::payload_not_found) << "before the sweep";
  EXPECT_EQ(machine.lease(1, 100).reason, Reason::payload_not_found);
  machine.pass(0);
  machine.do_effects();
  EXPECT_EQ(machine.charged(shm), 0u);
}

// PAYLOAD-7
TEST(time_to_live, of_a_leased_payload_stalls_nobody_and_keeps_the_block) {
  Machine machine;
  machine.put(1, 1, shm, 10 * second_ns);
  machine.lease(1, 100, 60 * second_ns);
  machine.pass(11 * second_ns);
  EXPECT_EQ(machine.look(1), Reason::payload_not_found);
  EXPECT_EQ(machine.charged(shm), 4 * kib);
  machine.pass(60 * second_ns);
  machine.do_effects();
  EXPECT_EQ(machine.charged(shm), 0u);
}

// PLACE-10
TEST(time_to_live, does_not_touch_what_is_never_to_be_evicted) {
  Machine machine;
  Retention never;
  never.priority = Priority::never;
  Retention no_evict;
  no_evict.no_evict = true;
  machine.put(1, 1, shm, second_ns, never);
  machine.put(2, 1, shm, second_ns, no_evict);
  machine.pass(100 * second_ns);
  EXPECT_EQ(machine.look(1), Reason::none);
  EXPECT_EQ(machine.look(2), Reason::none);
}

TEST(time_to_live, of_an_abandoned_allocation_ends_and_its_block_rests) {
  Limits limits;
  limits.uncommitted_max_ns = 100 * second_ns;
  limits.orphan_grace_ns = 50 * second_ns;
  Machine machine(three_tiers(), limits);
  machine.allocate(1, 1);
  machine.pass(101 * second_ns);
  EXPECT_EQ(machine.look(1), Reason::payload_not_found);
  EXPECT_EQ(machine.charged(shm), 4 * kib) << "a writer may be alive";
  EXPECT_TRUE(machine.effects.empty());
  machine.pass(51 * second_ns);
  machine.do_effects();
  EXPECT_EQ(machine.charged(shm), 0u);
}

TEST(time_to_live, of_an_abandoned_allocation_does_not_follow_the_clock) {
  Limits limits;
  limits.uncommitted_max_ns = 100 * second_ns;
  constexpr auto day_ns = static_cast<std::int64_t>(86'400 * second_ns);
  Machine machine(three_tiers(), limits);
  machine.allocate(1, 1);
  machine.now.wall_ns += day_ns;
  machine.pass(99 * second_ns);
  EXPECT_NE(machine.look(1), Reason::payload_not_found) << "its writer is at work";
  machine.now.wall_ns -= 2 * day_ns;
  machine.pass(2 * second_ns);
  EXPECT_EQ(machine.look(1), Reason::payload_not_found) << "its writer is dead";
}

TEST(time_to_live, expires_a_storm_in_slices_of_256) {
  Machine machine(three_tiers(UINT64_MAX));
  for (std::uint64_t number = 1; number <= 1000; ++number) {
    machine.put(number, 1, shm, second_ns);
  }
  machine.now.wall_ns += static_cast<std::int64_t>(2 * second_ns);
  Changes changes;
  machine.catalog->apply(Tick{}, machine.now, changes);
  EXPECT_TRUE(changes.more);
  EXPECT_EQ(changes.effects.size(), 256u);
}

TEST(restart, brings_back_what_was_committed_with_its_revision) {
  Machine machine;
  machine.put(1, 5000, shm, 100 * second_ns);
  machine.put(2, 5000, disk);
  machine.put(3, 1);
  machine.erase(3);
  Machine next = machine.restart();
  EXPECT_EQ(next.see(1).revision, machine.see(1).revision);
  EXPECT_EQ(next.see(1).generation, machine.see(1).generation);
  EXPECT_EQ(next.see(1).expires_at_ns, machine.see(1).expires_at_ns);
  EXPECT_TRUE(next.see(2).durable);
  EXPECT_EQ(next.look(3), Reason::payload_not_found);
  EXPECT_EQ(next.charged(shm), 8 * kib);
  next.put(4, 1);
  EXPECT_GT(next.see(4).generation, machine.see(2).generation);
  EXPECT_GT(next.see(4).order, next.see(2).order);
}

TEST(restart, keeps_blocks_of_the_earlier_life_until_its_leases_cannot_run) {
  Machine machine;
  machine.put(1, 1);
  Limits limits;
  limits.quarantine_until_ns = machine.now.mono_ns + 120 * second_ns;
  Machine next = machine.restart(three_tiers(), limits);
  EXPECT_EQ(next.erase(1).reason, Reason::none);
  EXPECT_TRUE(next.effects.empty());
  next.pass(119 * second_ns);
  EXPECT_TRUE(next.effects.empty());
  next.pass(2 * second_ns);
  EXPECT_EQ(next.effects.size(), 1u);
}

TEST(restart, says_that_a_payload_is_lost_when_its_bytes_are_gone) {
  Machine machine;
  machine.put(1, 1);
  const std::uint64_t revision = machine.see(1).revision;
  Machine next = machine.restart();
  next.apply(CopyGone{make_id(1), machine.see(1).generation});
  EXPECT_EQ(next.look(1), Reason::payload_lost);
  EXPECT_EQ(next.lease(1, 100).reason, Reason::payload_lost);
  EXPECT_EQ(next.catalog->counts().lost, 1u);
  std::vector<View> views;
  std::uint64_t lsn = 0;
  next.catalog->list(UINT64_MAX, no_tier, 10, views, lsn);
  ASSERT_EQ(views.size(), 1u);
  EXPECT_EQ(views[0].phase, Phase::lost);
  EXPECT_GT(views[0].revision, revision);
  EXPECT_EQ(next.erase(1).reason, Reason::none);
  EXPECT_EQ(next.catalog->counts().lost, 0u);
}

TEST(restart, removes_what_nobody_knows_after_its_grace) {
  Limits limits;
  limits.orphan_grace_ns = 30 * second_ns;
  Machine machine(three_tiers(), limits);
  machine.put(1, 1);
  Machine next = machine.restart(three_tiers(), limits);
  const View known = next.see(1);
  next.apply(Found{{shm, make_id(1), known.generation, {}, 1}});
  next.apply(Found{{shm, make_id(77), known.generation + 1, {}, 5000}});
  next.apply(Found{{shm, make_id(77), known.generation + 1, {}, 5000}});
  EXPECT_EQ(next.charged(shm), 12 * kib);
  EXPECT_TRUE(next.effects.empty());
  next.pass(31 * second_ns);
  ASSERT_EQ(next.effects.size(), 1u);
  next.do_effects();
  EXPECT_EQ(next.charged(shm), 4 * kib);
  EXPECT_EQ(next.look(1), Reason::none);
}

TEST(list, pages_by_cursor_newest_first_while_payloads_come_and_go) {
  Machine machine(three_tiers(UINT64_MAX));
  for (std::uint64_t number = 1; number <= 100; ++number) {
    machine.put(number, 1, number % 2 == 0 ? shm : disk);
  }
  std::vector<View> all;
  std::uint64_t before = UINT64_MAX;
  std::uint64_t lsn = 0;
  std::uint64_t next_number = 101;
  while (true) {
    std::vector<View> page;
    machine.catalog->list(before, no_tier, 7, page, lsn);
    if (page.empty()) break;
    before = page.back().order;
    all.insert(all.end(), page.begin(), page.end());
    machine.put(next_number++, 1);
    machine.erase(all.size());
  }
  ASSERT_GE(all.size(), 90u);
  for (std::size_t index = 1; index < all.size(); ++index) {
    EXPECT_LT(all[index].order, all[index - 1].order);
  }
  std::vector<View> on_disk;
  machine.catalog->list(UINT64_MAX, disk, 1000, on_disk, lsn);
  for (const View& view : on_disk) EXPECT_EQ(view.tier, disk);
  EXPECT_EQ(on_disk.size(), machine.catalog->count_listed(disk));
}

}  // namespace
}  // namespace pm::catalog::test
