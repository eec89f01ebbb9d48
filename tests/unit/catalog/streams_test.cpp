#include <gtest/gtest.h>

#include "streams_harness.h"

namespace pm::catalog::test {
namespace {

TEST(streams, offsets_are_contiguous_from_0_and_never_used_again) {
  StreamMachine machine;
  ASSERT_EQ(machine.create("s", 3), Reason::none);
  for (std::uint64_t batch = 0; batch < 4; ++batch) {
    const Reply reply = machine.append("s", 5);
    ASSERT_EQ(reply.reason, Reason::none);
    EXPECT_EQ(reply.first_number, batch * 5);
    EXPECT_EQ(reply.last_number, batch * 5 + 4);
  }
  EXPECT_EQ(machine.head("s").first_offset, 17u);
  EXPECT_EQ(machine.rows("s"), (std::set<std::uint64_t>{17, 18, 19}));
  StreamMachine next = machine.restart();
  EXPECT_EQ(next.append("s", 1).first_number, 20u);
}

TEST(streams, a_deleted_stream_and_its_successor_are_two) {
  StreamMachine machine;
  machine.create("s");
  machine.append("s", 600);
  machine.commit("s", "g", 100);
  const std::uint64_t number = machine.head("s").number;
  EXPECT_EQ(machine.erase("s").reason, Reason::none);
  EXPECT_EQ(machine.erase("s").reason, Reason::none) << "a missing stream is as good";
  EXPECT_EQ(machine.append("s", 1).reason, Reason::stream_not_found);
  ASSERT_EQ(machine.create("s"), Reason::none);
  EXPECT_NE(machine.head("s").number, number);
  EXPECT_EQ(machine.append("s", 1).first_number, 0u);
  EXPECT_FALSE(machine.catalog().streams().committed({"", "s"}, "g").any);
  EXPECT_FALSE(machine.entries[number].empty()) << "entries are deleted in slices";
  StreamMachine next = machine.restart();
  EXPECT_FALSE(next.entries[number].empty());
  next.settle();
  EXPECT_TRUE(next.entries[number].empty());
  EXPECT_FALSE(next.heads.contains(number));
  EXPECT_EQ(next.rows("s").size(), 1u);
}

TEST(streams, no_call_deletes_more_than_256_entries_or_as_many_as_it_appends) {
  StreamMachine machine;
  machine.create("s", 0);
  for (int batch = 0; batch < 3; ++batch) machine.append("s", 1000);
  machine.erase("s");
  EXPECT_EQ(machine.swept, 256u);
  machine.pass(10'000'000);
  EXPECT_EQ(machine.swept, 512u);
  machine.create("t", 10);
  machine.swept = 0;
  machine.append("t", 1000);
  EXPECT_EQ(machine.swept, 990u);
}

TEST(streams, append_time_never_goes_back) {
  StreamMachine machine;
  machine.create("s");
  const std::int64_t first = machine.append("s", 1).at_ns;
  machine.now().wall_ns -= 3'600 * static_cast<std::int64_t>(second_ns);
  EXPECT_EQ(machine.append("s", 1).at_ns, first);
  StreamMachine next = machine.restart();
  EXPECT_EQ(next.append("s", 1).at_ns, first);
  next.now().wall_ns += 7'200 * static_cast<std::int64_t>(second_ns);
  EXPECT_GT(next.append("s", 1).at_ns, first);
}

TEST(streams, an_age_limit_hides_at_once_and_deletes_without_appends) {
  StreamMachine machine;
  machine.create("s", 0, 100);
  for (int batch = 0; batch < 200; ++batch) {
    machine.append("s", 2);
    machine.pass(second_ns);
  }
  const StreamHead head = machine.head("s");
  EXPECT_EQ(head.next_offset, 400u);
  // The entries of the last 100 s stay, and at most two runs more.
  EXPECT_LE(head.first_offset, 200u);
  EXPECT_GE(head.first_offset, 190u);
  EXPECT_EQ(head.keep_from_ns, machine.now().wall_ns - 100 * static_cast<std::int64_t>(second_ns));
  const std::int64_t due = machine.catalog().next_due_wall_ns();
  EXPECT_GT(due, machine.now().wall_ns);
  for (int step = 0; step < 103; ++step) machine.pass(second_ns);
  EXPECT_EQ(machine.head("s").first_offset, 400u);
  machine.settle();
  EXPECT_TRUE(machine.rows("s").empty());
  EXPECT_EQ(machine.catalog().next_due_wall_ns(), 0);
  EXPECT_EQ(machine.append("s", 1).first_number, 400u);
}

TEST(streams, a_restored_stream_grows_old_by_what_is_known_of_its_entries) {
  StreamMachine machine;
  machine.create("s", 0, 100);
  for (int batch = 0; batch < 90; ++batch) {
    machine.append("s", 10);
    machine.pass(second_ns);
  }
  StreamMachine next = machine.restart();
  next.pass(50 * second_ns);
  EXPECT_GT(next.head("s").first_offset, 300u);
  EXPECT_LE(next.head("s").first_offset, 400u) << "entries that are 100 s old at most have left";
  next.pass(60 * second_ns);
  EXPECT_EQ(next.head("s").first_offset, 900u);
}

TEST(streams, groups_go_back_only_when_asked) {
  StreamMachine machine;
  machine.create("s");
  machine.append("s", 10);
  EXPECT_FALSE(machine.catalog().streams().committed({"", "s"}, "g").any);
  EXPECT_EQ(machine.commit("s", "g", 11).reason, Reason::offset_beyond_end);
  EXPECT_EQ(machine.commit("s", "g", 10).reason, Reason::none);
  EXPECT_EQ(machine.commit("s", "g", 9).reason, Reason::offset_goes_back);
  EXPECT_EQ(machine.commit("s", "g", 10).reason, Reason::none);
  EXPECT_EQ(machine.commit("s", "g", 9, true).reason, Reason::none);
  EXPECT_EQ(machine.commit("none", "g", 0).reason, Reason::stream_not_found);
  StreamMachine next = machine.restart();
  const auto committed = next.catalog().streams().committed({"", "s"}, "g");
  EXPECT_TRUE(committed.any);
  EXPECT_EQ(committed.offset, 9u);
}

TEST(streams, limits_are_kept) {
  Limits limits;
  limits.streams = {2, 2};
  StreamMachine machine(limits);
  EXPECT_EQ(machine.create("a"), Reason::none);
  EXPECT_EQ(machine.create("a"), Reason::stream_exists);
  EXPECT_EQ(machine.create("b"), Reason::none);
  EXPECT_EQ(machine.create("c"), Reason::streams_full);
  EXPECT_EQ(machine.commit("a", "g", 0).reason, Reason::none);
  EXPECT_EQ(machine.commit("a", "h", 0).reason, Reason::none);
  EXPECT_EQ(machine.commit("a", "i", 0).reason, Reason::consumer_groups_full);
  EXPECT_EQ(machine.commit("b", "i", 0).reason, Reason::none);
  machine.erase("b");
  EXPECT_EQ(machine.create("c"), Reason::none);
}

TEST(streams, only_committed_payloads_are_appended_and_all_or_none) {
  StreamMachine machine;
  machine.create("s");
  machine.machine().allocate(1, 4096);
  EXPECT_EQ(machine.append("s", {1}).reason, Reason::payload_not_committed);
  machine.machine().put(2, 4096);
  const Reply refused = machine.append("s", {2, 3});
  EXPECT_EQ(refused.reason, Reason::payload_not_found);
  EXPECT_EQ(refused.view.id, make_id(3));
  EXPECT_EQ(machine.head("s").next_offset, 0u);
  EXPECT_EQ(machine.append("s", {2, 2}).last_number, 1u);
  EXPECT_EQ(machine.append("none", {2}).reason, Reason::stream_not_found);
}

TEST(streams, a_repeat_is_answered_as_the_first_also_after_a_restart) {
  StreamMachine machine;
  RequestKey key{true, make_id(77), 1};
  CreateStream create;
  create.name = {"", "s"};
  create.request = key;
  EXPECT_EQ(machine.run(create).reason, Reason::none);
  EXPECT_EQ(machine.run(create).reason, Reason::none);
  AppendToStream append = machine.append_command("s", 3);
  append.request = {true, make_id(78), 2};
  EXPECT_EQ(machine.run(append).last_number, 2u);
  EXPECT_EQ(machine.run(append).last_number, 2u);
  StreamMachine next = machine.restart();
  EXPECT_EQ(next.run(append).last_number, 2u);
  EXPECT_EQ(next.head("s").next_offset, 3u);
  append.request.digest = 3;
  EXPECT_EQ(next.run(append).reason, Reason::request_id_reused);
}

TEST(streams, are_listed_by_namespace_and_name) {
  StreamMachine machine;
  for (const char* name : {"b", "a", "c"}) machine.create(name);
  CreateStream other;
  other.name = {"space", "a"};
  machine.run(other);
  std::vector<StreamTable::Listed> listed;
  const StreamTable& streams = machine.catalog().streams();
  streams.list(nullptr, nullptr, 2, machine.now(), listed);
  ASSERT_EQ(listed.size(), 2u);
  EXPECT_EQ(listed[1].name.name, "b");
  const StreamName last = listed[1].name;
  streams.list(&last, nullptr, 10, machine.now(), listed);
  ASSERT_EQ(listed.size(), 4u);
  EXPECT_EQ(listed[3].name.space, "space");
  listed.clear();
  const std::string space = "space";
  streams.list(nullptr, &space, 10, machine.now(), listed);
  EXPECT_EQ(listed.size(), 1u);
}

}  // namespace
}  // namespace pm::catalog::test
