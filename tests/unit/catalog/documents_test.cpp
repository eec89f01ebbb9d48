#include <gtest/gtest.h>

#include "harness.h"

// Metadata, events and lineage: what the catalog keeps of them, and what it records.

namespace pm::catalog::test {
namespace {

std::shared_ptr<const Metadata> saying(const std::string& data) {
  return std::make_shared<const Metadata>(Metadata{data, "schema", "actor", "reason"});
}

Reply update(Machine& machine, std::uint64_t number, const std::string& data,
             std::optional<std::uint64_t> seen_lsn = {}) {
  UpdateMetadata command;
  command.id = make_id(number);
  command.metadata = saying(data);
  command.is_derived = seen_lsn.has_value();
  command.seen_lsn = seen_lsn.value_or(0);
  return machine.finish(command);
}

Reply append(Machine& machine, std::uint64_t number) {
  AppendMetadataEvent command;
  command.id = make_id(number);
  command.event = std::make_shared<const MetadataEvent>();
  return machine.finish(command);
}

LineageEdges edges_to(const std::vector<std::uint64_t>& parents) {
  LineageEdges edges;
  for (const std::uint64_t parent : parents) {
    edges.push_back({make_id(parent), make_id(parent), "made", "input", ""});
  }
  return edges;
}

LineageNeeds needs_of(const Machine& machine, std::uint64_t child,
                      const std::vector<std::uint64_t>& parents) {
  return machine.catalog->lineage_needs(make_id(child), edges_to(parents), machine.now);
}

// As one that has looked up what it needed to know when `seen` was given.
Reply link(Machine& machine, std::uint64_t child, const std::vector<std::uint64_t>& parents,
           std::optional<LineageNeeds> seen = {}) {
  AddLineage command;
  command.child = make_id(child);
  command.edges = std::make_shared<const LineageEdges>(edges_to(parents));
  if (seen) {
    command.knows_edges = seen->edges;
    command.knows_no_cycle = seen->search;
    command.seen_lsn = seen->seen_lsn;
  }
  return machine.finish(command);
}

template <typename Kind>
std::size_t count_of(const Machine& machine) {
  std::size_t count = 0;
  for (const Record& record : machine.records) count += std::holds_alternative<Kind>(record);
  return count;
}

TEST(documents, are_refused_for_what_is_not_there_or_not_committed) {
  Machine machine;
  machine.allocate(1, 100);
  machine.put(2, 100);
  EXPECT_EQ(update(machine, 9, "a").reason, Reason::payload_not_found);
  EXPECT_EQ(update(machine, 1, "a").reason, Reason::payload_not_committed);
  EXPECT_EQ(append(machine, 9).reason, Reason::payload_not_found);
  EXPECT_EQ(append(machine, 1).reason, Reason::payload_not_committed);
  Reply reply = link(machine, 2, {1, 9});
  EXPECT_EQ(reply.reason, Reason::payload_not_committed);
  EXPECT_EQ(reply.first_number, 1u);
  reply = link(machine, 2, {2, 9});
  EXPECT_EQ(reply.reason, Reason::payload_not_found);
  EXPECT_EQ(reply.first_number, 2u) << "which one";
  reply = link(machine, 9, {2});
  EXPECT_EQ(reply.reason, Reason::payload_not_found);
  EXPECT_EQ(reply.first_number, 0u);
  EXPECT_EQ(count_of<MetadataRecord>(machine) + count_of<LineageRecord>(machine), 0u);
}

TEST(documents, a_derived_update_is_refused_when_what_it_saw_has_changed) {
  Machine machine;
  machine.put(1, 100);
  const std::uint64_t before = machine.catalog->describe(make_id(1), machine.now).seen_lsn;
  EXPECT_EQ(update(machine, 1, "first").reason, Reason::none);
  EXPECT_EQ(update(machine, 1, "second", before).reason, Reason::conflict);
  const Described seen = machine.catalog->describe(make_id(1), machine.now);
  EXPECT_TRUE(seen.has_metadata);
  machine.spill(1, disk);
  append(machine, 1);
  EXPECT_EQ(update(machine, 1, "second", seen.seen_lsn).reason, Reason::none)
      << "only other updates count";
  EXPECT_EQ(update(machine, 1, "third", seen.seen_lsn).reason, Reason::conflict);
  EXPECT_EQ(count_of<MetadataRecord>(machine), 2u);
}

TEST(documents, an_update_records_one_row_moves_the_lsn_and_leaves_the_revision) {
  Machine machine;
  machine.put(1, 100, disk);
  update(machine, 1, "first");
  const std::uint64_t revision = machine.see(1).revision;
  const std::uint64_t lsn = machine.catalog->describe(make_id(1), machine.now).lsn;
  const Reply reply = update(machine, 1, "second");
  EXPECT_EQ(machine.last_records, 1u) << "the payload's own row was written again";
  EXPECT_TRUE(machine.last_power) << "on a durable tier what is said is durable, too";
  EXPECT_GT(reply.lsn, lsn);
  EXPECT_EQ(machine.catalog->describe(make_id(1), machine.now).lsn, reply.lsn);
  EXPECT_EQ(machine.see(1).revision, revision);
}

TEST(documents, events_are_numbered_from_one_bounded_and_never_go_back_in_time) {
  Limits limits;
  limits.metadata_events_max = 3;
  Machine machine(three_tiers(), limits);
  machine.put(1, 100);
  const Reply first = append(machine, 1);
  EXPECT_EQ(first.first_number, 1u);
  machine.now.wall_ns -= 100 * static_cast<std::int64_t>(second_ns);
  const Reply second = append(machine, 1);
  EXPECT_EQ(second.first_number, 2u);
  EXPECT_EQ(second.at_ns, first.at_ns) << "the wall clock was set back";
  Machine next = machine.restart(three_tiers(), limits);
  const Reply third = append(next, 1);
  EXPECT_EQ(third.first_number, 3u);
  EXPECT_EQ(third.at_ns, first.at_ns) << "over a restart, too";
  EXPECT_EQ(append(next, 1).reason, Reason::metadata_events_full);
}

TEST(documents, only_a_child_with_edges_or_children_needs_a_look) {
  Machine machine;
  for (std::uint64_t number = 1; number <= 5; ++number) machine.put(number, 100);
  EXPECT_FALSE(needs_of(machine, 2, {1}).edges);
  EXPECT_EQ(link(machine, 2, {1}).reason, Reason::none);
  EXPECT_EQ(link(machine, 3, {2, 1}).reason, Reason::none) << "nobody is made from it";
  EXPECT_TRUE(needs_of(machine, 3, {4}).edges);
  EXPECT_FALSE(needs_of(machine, 3, {4}).search);
  EXPECT_TRUE(needs_of(machine, 1, {3}).search);
  EXPECT_EQ(link(machine, 1, {5}).reason, Reason::conflict) << "did not search";
  EXPECT_EQ(link(machine, 3, {4}).reason, Reason::conflict) << "did not look";
  EXPECT_EQ(link(machine, 3, {4}, needs_of(machine, 3, {4})).reason, Reason::none);
  Machine next = machine.restart();
  EXPECT_TRUE(needs_of(next, 1, {3}).search) << "also after a restart";
  EXPECT_TRUE(needs_of(next, 3, {5}).edges);
}

TEST(documents, a_search_is_outdated_by_the_edges_that_could_matter_and_by_no_other) {
  Machine machine;
  for (std::uint64_t number = 1; number <= 9; ++number) machine.put(number, 100);
  // 1 <- 2, and 5 <- 6: may 1 be made from 6?
  link(machine, 2, {1});
  link(machine, 6, {5});
  LineageNeeds seen = needs_of(machine, 1, {6});
  EXPECT_TRUE(seen.search);
  link(machine, 7, {2});  // A new child of the child's child.
  link(machine, 8, {6});  // A new child of the parent.
  link(machine, 9, {8});  // Something else.
  EXPECT_EQ(link(machine, 1, {6}, seen).reason, Reason::none) << "a leaf closes nothing";

  // 3 <- 4 <- 9 and 5 <- 6: may 3 be made from 6?
  link(machine, 4, {3});
  seen = needs_of(machine, 3, {6});
  EXPECT_TRUE(seen.search);
  EXPECT_EQ(link(machine, 6, {4}, needs_of(machine, 6, {4})).reason, Reason::none);
  EXPECT_EQ(link(machine, 3, {6}, seen).reason, Reason::conflict) << "6 is now made from 3";
  // An edge to a leaf that is one of the parents.
  machine.put(10, 100);
  machine.put(11, 100);
  machine.put(12, 100);
  link(machine, 11, {10});  // 10 <- 11, and 12 gets a parent so that a search is needed.
  link(machine, 12, {5});
  seen = needs_of(machine, 10, {12});
  EXPECT_EQ(link(machine, 12, {11}, needs_of(machine, 12, {11})).reason, Reason::none);
  EXPECT_EQ(link(machine, 10, {12}, seen).reason, Reason::conflict);
}

TEST(documents, a_child_has_so_many_edges_and_no_more) {
  Limits limits;
  limits.lineage_parents_max = 3;
  Machine machine(three_tiers(), limits);
  for (std::uint64_t number = 1; number <= 5; ++number) machine.put(number, 100);
  EXPECT_EQ(link(machine, 5, {1, 2, 3, 4}).reason, Reason::lineage_full);
  EXPECT_EQ(link(machine, 5, {1, 2}).reason, Reason::none);
  EXPECT_EQ(link(machine, 5, {3, 4}, needs_of(machine, 5, {3, 4})).reason, Reason::lineage_full);
  EXPECT_EQ(link(machine, 5, {3}, needs_of(machine, 5, {3})).reason, Reason::none);
  EXPECT_EQ(link(machine, 5, {}, needs_of(machine, 5, {})).reason, Reason::none)
      << "all of them were there already";
}

TEST(documents, a_delete_says_what_goes_with_it_and_a_plain_one_says_nothing) {
  Machine machine;
  for (std::uint64_t number = 1; number <= 3; ++number) machine.put(number, 100);
  update(machine, 1, "said");
  append(machine, 1);
  link(machine, 1, {2});
  machine.erase(1);
  const auto erased = [&] {
    for (auto record = machine.records.rbegin(); record != machine.records.rend(); ++record) {
      const auto* payload = std::get_if<PayloadRecord>(&*record);
      if (payload != nullptr && payload->erased) return *payload;
    }
    return PayloadRecord{};
  };
  EXPECT_TRUE(erased().additions.has_metadata);
  EXPECT_EQ(erased().additions.metadata_events, 1u);
  EXPECT_EQ(erased().additions.parents, 1u);
  machine.erase(2);
  EXPECT_EQ(erased().additions.parents, 0u) << "an edge to a parent stays with the child";
  machine.erase(3);
  EXPECT_FALSE(erased().additions.any());
}

TEST(documents, a_repeat_is_answered_as_the_first_one_was) {
  Machine machine;
  machine.put(1, 100);
  AppendMetadataEvent command;
  command.id = make_id(1);
  command.event = std::make_shared<const MetadataEvent>();
  command.request = {true, make_id(77), 5};
  const Reply first = machine.finish(command);
  machine.pass(second_ns);
  const Reply again = machine.finish(command);
  EXPECT_EQ(again.first_number, first.first_number);
  EXPECT_EQ(again.at_ns, first.at_ns);
  EXPECT_TRUE(again.is_repeat);
  EXPECT_FALSE(first.is_repeat);
  EXPECT_EQ(count_of<MetadataEventRecord>(machine), 1u);
}

}  // namespace
}  // namespace pm::catalog::test
