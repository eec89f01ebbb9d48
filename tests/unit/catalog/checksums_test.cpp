#include <gtest/gtest.h>

#include "harness.h"

// Checksums that clients choose, and payloads that they upload from outside.

namespace pm::catalog::test {
namespace {

constexpr std::int32_t failed_precondition = 9;

Checksum make_checksum(ChecksumKind kind, std::uint8_t first = 1) {
  Checksum checksum;
  checksum.kind = kind;
  for (std::size_t index = 0; index < checksum.length(); ++index) {
    checksum.bytes[index] = static_cast<std::uint8_t>(first + index);
  }
  return checksum;
}

Commit commit_with(std::uint64_t number, const Checksum& checksum, bool has_value = true) {
  Commit command;
  command.id = make_id(number);
  command.checksum = {checksum, has_value};
  return command;
}

Import import_of(std::uint64_t number, std::uint64_t size_bytes = 0) {
  Import command;
  command.id = make_id(number);
  command.size_bytes = size_bytes;
  return command;
}

std::vector<TierFacts> with_uploads() {
  std::vector<TierFacts> tiers = three_tiers();
  tiers[disk].takes_uploads = true;
  tiers[disk].capacity_bytes = 64 * kib;
  return tiers;
}

TEST(checksum, of_every_kind_is_kept_shown_and_survives_a_restart) {
  Machine machine;
  std::uint64_t number = 0;
  for (const ChecksumKind kind :
       {ChecksumKind::xxh3_128, ChecksumKind::sha256, ChecksumKind::crc32c}) {
    const Checksum checksum = make_checksum(kind);
    machine.allocate(++number, kib);
    const Reply reply = machine.finish(commit_with(number, checksum));
    ASSERT_EQ(reply.reason, Reason::none);
    EXPECT_EQ(reply.view.checksum, checksum);
    EXPECT_EQ(machine.see(number).checksum, checksum);
    EXPECT_EQ(machine.restart().see(number).checksum, checksum);
  }
  machine.put(++number, kib);
  EXPECT_EQ(machine.see(number).checksum, Checksum{}) << "nobody asked for one";
}

TEST(checksum, without_a_value_is_the_one_that_was_computed) {
  Machine machine;
  machine.allocate(1, kib);
  machine.call(commit_with(1, {ChecksumKind::sha256, {}}, false));
  const auto seal = std::get<SealEffect>(machine.effects.front());
  machine.effects.clear();
  EXPECT_EQ(seal.checksum.checksum.kind, ChecksumKind::sha256);
  EXPECT_FALSE(seal.checksum.has_value);
  const Checksum computed = make_checksum(ChecksumKind::sha256, 7);
  machine.apply(Sealed{.operation = seal.operation, .outcome = {}, .checksum = computed});
  EXPECT_EQ(machine.see(1).checksum, computed);
}

TEST(checksum, that_differs_leaves_the_payload_uncommitted_and_to_be_written_again) {
  Machine machine;
  machine.allocate(1, kib);
  machine.call(commit_with(1, make_checksum(ChecksumKind::crc32c)));
  const auto seal = std::get<SealEffect>(machine.effects.front());
  machine.effects.clear();
  machine.apply(Sealed{.operation = seal.operation, .outcome = {}, .checksum_differs = true});
  EXPECT_EQ(machine.reply_to(machine.ticket)->reason, Reason::commit_checksum_mismatch);
  EXPECT_EQ(machine.see(1).phase, Phase::allocated);
  EXPECT_TRUE(machine.records.empty());
  EXPECT_EQ(machine.finish(commit_with(1, make_checksum(ChecksumKind::crc32c))).reason,
            Reason::none);
}

TEST(checksum, is_given_to_every_move_and_replaced_by_none) {
  Machine machine;
  const Checksum checksum = make_checksum(ChecksumKind::sha256);
  machine.allocate(1, kib);
  machine.finish(commit_with(1, checksum));
  Spill spill;
  spill.id = make_id(1);
  spill.tier = disk;
  machine.call(spill);
  ASSERT_FALSE(machine.effects.empty());
  EXPECT_EQ(std::get<MoveEffect>(machine.effects.front()).checksum, checksum);
  machine.do_effects();  // Their report says XXH3-128, which is not what it is kept with.
  EXPECT_EQ(machine.see(1).checksum, checksum);

  machine.put(2, kib);
  machine.spill(2, disk);
  EXPECT_EQ(machine.see(2).checksum.kind, ChecksumKind::xxh3_128) << "computed by the move";
}

TEST(checksum, goes_with_its_payload) {
  Machine machine;
  for (std::uint64_t number = 1; number <= 3; ++number) {
    machine.allocate(number, kib);
    machine.finish(commit_with(number, make_checksum(ChecksumKind::sha256)));
    machine.erase(number);
    machine.put(number + 10, kib);
    EXPECT_EQ(machine.see(number + 10).checksum, Checksum{}) << "of the one before";
  }
}

TEST(import, publishes_what_was_uploaded) {
  Machine machine(with_uploads());
  machine.allocate(1, 10 * kib, disk);
  Import command = import_of(1);
  command.checksum = {make_checksum(ChecksumKind::sha256), true};
  machine.call(command);
  const auto& seal = std::get<SealEffect>(machine.effects.front());
  EXPECT_TRUE(seal.uploaded);
  EXPECT_EQ(seal.length, 10 * kib);
  machine.do_effects();
  const Reply reply = *machine.reply_to(machine.ticket);
  ASSERT_EQ(reply.reason, Reason::none);
  EXPECT_EQ(reply.view.phase, Phase::committed);
  EXPECT_TRUE(reply.view.durable);
  EXPECT_EQ(reply.view.checksum, make_checksum(ChecksumKind::sha256));
  EXPECT_EQ(machine.finish(import_of(1)).reason, Reason::payload_already_committed);
}

TEST(import, of_fewer_bytes_than_allocated_gives_the_rest_back) {
  Machine machine(with_uploads());
  machine.allocate(1, 60 * kib, disk);
  Allocate waits;
  waits.id = make_id(2);
  waits.size_bytes = 32 * kib;
  waits.tier = disk;
  machine.allocate(3, 4 * kib, disk);
  machine.call(waits);
  EXPECT_EQ(machine.reply_to(machine.ticket)->reason, Reason::tier_full);

  const Reply reply = machine.finish(import_of(1, 5 * kib));
  ASSERT_EQ(reply.reason, Reason::none);
  EXPECT_EQ(reply.view.size_bytes, 5 * kib);
  EXPECT_EQ(machine.charged(disk), 12 * kib);
  EXPECT_EQ(machine.catalog->counts().tiers[disk].payload_bytes, 9 * kib);
  EXPECT_EQ(machine.finish(waits).reason, Reason::none);
  EXPECT_EQ(machine.restart(with_uploads()).see(1).size_bytes, 5 * kib);
  machine.erase(1);
  EXPECT_EQ(machine.charged(disk), 36 * kib);
}

TEST(import, lets_those_who_wait_into_the_room_that_it_gives_back) {
  Machine machine(with_uploads());
  machine.allocate(1, 32 * kib, disk);
  machine.put(2, 32 * kib, disk);
  machine.lease(2, 100);
  machine.erase(2, true);
  machine.do_effects();
  Allocate waits;
  waits.id = make_id(3);
  waits.size_bytes = 16 * kib;
  waits.tier = disk;
  machine.call(waits);
  const Ticket ticket = machine.ticket;
  EXPECT_FALSE(machine.reply_to(ticket).has_value()) << "room is coming with the lease's end";
  machine.finish(import_of(1, 4 * kib));
  ASSERT_TRUE(machine.reply_to(ticket).has_value());
  EXPECT_EQ(machine.reply_to(ticket)->reason, Reason::none);
}

TEST(import, is_refused_where_clients_do_not_upload_and_for_other_lengths) {
  Machine machine(with_uploads());
  machine.allocate(1, kib, shm);
  EXPECT_EQ(machine.finish(import_of(1)).reason, Reason::import_not_uploadable);
  machine.allocate(2, kib, disk);
  EXPECT_EQ(machine.finish(import_of(2, kib + 1)).reason, Reason::import_length_mismatch);
  EXPECT_EQ(machine.finish(import_of(9)).reason, Reason::payload_not_found);

  machine.call(import_of(2, 100));
  machine.do_effect({failed_precondition, "it has another length"});
  EXPECT_EQ(machine.reply_to(machine.ticket)->reason, Reason::import_length_mismatch);
  EXPECT_EQ(machine.see(2).phase, Phase::allocated);
  EXPECT_EQ(machine.see(2).size_bytes, kib);
  EXPECT_EQ(machine.commit(2).reason, Reason::none) << "as any other payload";
}

TEST(import, that_fails_after_the_object_was_cut_keeps_its_new_length) {
  Machine machine(with_uploads());
  machine.allocate(1, 10 * kib, disk);
  machine.call(import_of(1, 100));
  const auto seal = std::get<SealEffect>(machine.effects.front());
  machine.effects.clear();
  constexpr std::int32_t unavailable = 14;
  machine.apply(
      Sealed{.operation = seal.operation, .outcome = {unavailable, "later"}, .length = 100});
  EXPECT_EQ(machine.reply_to(machine.ticket)->reason, Reason::storage_error);
  EXPECT_EQ(machine.see(1).size_bytes, 100u);
  EXPECT_EQ(machine.charged(disk), 4 * kib);
  machine.erase(1);
  EXPECT_EQ(machine.charged(disk), 0u);
}

}  // namespace
}  // namespace pm::catalog::test
