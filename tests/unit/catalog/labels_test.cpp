#include <gtest/gtest.h>

#include "harness.h"

namespace pm::catalog::test {
namespace {

Labels labels_of(const View& view) {
  return view.additions.labels != nullptr ? *view.additions.labels : Labels{};
}

Reply allocate_labelled(Machine& machine, std::uint64_t number, const Labels& labels) {
  Allocate command;
  command.id = make_id(number);
  command.size_bytes = 1;
  command.tier = shm;
  command.labels = std::make_shared<const Labels>(labels);
  return machine.finish(command);
}

Labels many_labels(int count) {
  Labels labels;
  for (int number = 0; number < count; ++number) {
    labels.push_back({"key" + std::to_string(1000 + number), "v"});
  }
  return labels;
}

std::vector<std::uint64_t> sizes_with(const Machine& machine, const LabelTerm& term) {
  std::vector<Listed> found;
  machine.catalog->walk({ListOrder::newest_first, no_tier, term}, std::nullopt, 100, found);
  std::vector<std::uint64_t> sizes;
  for (const Listed& listed : found) sizes.push_back(listed.view.size_bytes);
  return sizes;
}

TEST(labels, set_remove_and_keep_what_is_not_named) {
  Machine machine;
  machine.put(1, 10);
  machine.label(1, {{"b", "1"}, {"d", "1"}});
  const Reply reply = machine.label(1, {{"a", "2"}, {"d", "2"}, {"e", ""}}, {"b", "c"});
  EXPECT_EQ(reply.reason, Reason::none);
  const Labels wanted{{"a", "2"}, {"d", "2"}, {"e", ""}};
  EXPECT_EQ(labels_of(reply.view), wanted);
  EXPECT_EQ(labels_of(machine.see(1)), wanted);
}

TEST(labels, of_an_allocation_come_with_it_and_survive_its_commit) {
  Machine machine;
  allocate_labelled(machine, 1, {{"a", "1"}});
  EXPECT_EQ(sizes_with(machine, {"a", "1"}).size(), 1u) << "found before the commit";
  machine.label(1, {{"b", "2"}});
  EXPECT_TRUE(machine.records.empty()) << "an allocation is not recorded";
  machine.commit(1);
  const Machine next = machine.restart();
  EXPECT_EQ(labels_of(next.see(1)), (Labels{{"a", "1"}, {"b", "2"}}));
  EXPECT_EQ(sizes_with(next, {"b", "2"}).size(), 1u);
}

TEST(labels, of_a_committed_payload_are_durable_and_leave_its_revision) {
  Machine machine;
  machine.put(1, 10);
  const std::uint64_t revision = machine.see(1).revision;
  const Reply reply = machine.label(1, {{"a", "1"}});
  EXPECT_EQ(machine.last_records, 1u);
  EXPECT_NE(reply.lsn, 0u);
  EXPECT_EQ(reply.view.revision, revision);
  machine.label(1, {{"a", "1"}}, {"never-there"});
  EXPECT_EQ(machine.last_records, 0u) << "nothing changed";
  EXPECT_EQ(labels_of(machine.restart().see(1)), (Labels{{"a", "1"}}));
  machine.label(1, {}, {"a"});
  EXPECT_EQ(machine.restart().see(1).additions.labels, nullptr);
}

TEST(labels, stay_with_a_payload_that_moves) {
  Machine machine;
  machine.put(1, 10);
  machine.label(1, {{"a", "1"}});
  machine.spill(1, disk);
  EXPECT_EQ(sizes_with(machine, {"a", std::nullopt}), (std::vector<std::uint64_t>{10}));
  machine.erase(1);
  EXPECT_EQ(machine.catalog->count_labelled({"a", std::nullopt}), 0u);
}

TEST(labels, are_refused_when_there_are_too_many) {
  Machine machine;
  EXPECT_EQ(allocate_labelled(machine, 1, many_labels(65)).reason, Reason::labels_full);
  EXPECT_EQ(allocate_labelled(machine, 1, many_labels(64)).reason, Reason::none);
  EXPECT_EQ(machine.label(1, {{"one-more", ""}}).reason, Reason::labels_full);
  EXPECT_EQ(machine.label(1, {{"key1000", "other"}}).reason, Reason::none);
  EXPECT_EQ(machine.label(1, {{"one-more", ""}}, {"key1001"}).reason, Reason::none);
  EXPECT_EQ(labels_of(machine.see(1)).size(), 64u);
}

TEST(labels, are_for_payloads_that_are_there) {
  Machine machine;
  EXPECT_EQ(machine.label(1, {{"a", "1"}}).reason, Reason::payload_not_found);
  machine.put(1, 10);
  machine.apply(CopyGone{make_id(1), machine.see(1).generation});
  EXPECT_EQ(machine.label(1, {{"a", "1"}}).reason, Reason::payload_lost);
}

TEST(labels, are_changed_once_for_a_request_id) {
  Machine machine;
  machine.put(1, 10);
  UpdateLabels command;
  command.id = make_id(1);
  command.set = {{"a", "1"}};
  command.request = {true, make_id(500), 1};
  machine.finish(command);
  machine.label(1, {}, {"a"});
  const Reply repeat = machine.finish(command);
  EXPECT_EQ(labels_of(repeat.view), (Labels{{"a", "1"}})) << "as it was answered before";
  EXPECT_EQ(labels_of(machine.see(1)), Labels{}) << "and not done again";
  Machine next = machine.restart();
  EXPECT_EQ(labels_of(next.finish(command).view), (Labels{{"a", "1"}})) << "in a later life, too";
  command.request.digest = 2;
  EXPECT_EQ(machine.finish(command).reason, Reason::request_id_reused);
}

TEST(labels, end_in_slices_with_the_payloads_that_have_them) {
  Machine machine(three_tiers(1 << 20));
  for (std::uint64_t number = 1; number <= 40; ++number) {
    machine.put(number, 1, shm, second_ns);
    machine.label(number, many_labels(64));
  }
  machine.pass(2 * second_ns);
  const std::uint64_t left = machine.catalog->count_listed(no_tier);
  EXPECT_LT(left, 40u);
  EXPECT_GT(left, 30u) << "one Tick took more labels than it should";
  for (int tick = 0; tick < 20; ++tick) machine.apply(Tick{});
  EXPECT_EQ(machine.catalog->count_listed(no_tier), 0u);
  EXPECT_EQ(machine.catalog->count_labelled({"key1000", "v"}), 0u);
}

}  // namespace
}  // namespace pm::catalog::test
