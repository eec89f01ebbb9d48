#include <gtest/gtest.h>

#include <set>

#include "stream_wire.h"

// Streams: what each method does, over both repositories. Subscribe has a file of its own.

namespace pm::integration {
namespace {

class Streams : public testing::TestWithParam<const char*> {
 protected:
  Streams() : host_(host_options()) {}

  void SetUp() override { start(); }
  void start() {
    ASSERT_TRUE(host_.start_ready()) << host_.log();
    wire_ = std::make_unique<StreamWire>(host_);
  }
  static HostOptions host_options() {
    HostOptions options;
    options.repository = GetParam();
    return options;
  }
  static bool survives() { return std::string(GetParam()) == "sqlite"; }
  wire_core::PayloadID payload() { return wire_->make(wire_core::TIER_DISK); }
  static wire_runtime::StreamID id(const std::string& name = "s") {
    return StreamWire::named(name);
  }
  static std::vector<std::uint64_t> offsets(const wire_runtime::ReadResponse& response) {
    std::vector<std::uint64_t> offsets;
    for (const auto& entry : response.entries()) offsets.push_back(entry.offset());
    return offsets;
  }

  HostProcess host_;
  std::unique_ptr<StreamWire> wire_;
};

// STREAM-1, STREAM-9
TEST_P(Streams, a_stream_is_found_by_its_namespace_and_name) {
  const auto given = payload();
  EXPECT_EQ(answer_of(wire_->create(StreamWire::named("a"))), "OK");
  EXPECT_EQ(answer_of(wire_->create(StreamWire::named("a"))), "ALREADY_EXISTS STREAM_EXISTS");
  EXPECT_EQ(answer_of(wire_->create(StreamWire::named("a", "space"))), "OK");
  EXPECT_EQ(answer_of(wire_->append(StreamWire::named("a", "space"), given, 2)), "OK");
  EXPECT_EQ(wire_->all(StreamWire::named("a")).next_offset(), 0u);
  EXPECT_EQ(wire_->all(StreamWire::named("a", "space")).next_offset(), 2u);

  EXPECT_EQ(answer_of(wire_->commit_offset(StreamWire::named("a", "space"), "g", 2)), "OK");
  EXPECT_EQ(answer_of(wire_->remove(StreamWire::named("a", "space"))), "OK");
  EXPECT_EQ(answer_of(wire_->remove(StreamWire::named("a", "space"))), "OK") << "it is gone";
  EXPECT_EQ(answer_of(wire_->append(StreamWire::named("a", "space"), given)),
            "NOT_FOUND STREAM_NOT_FOUND");
  EXPECT_EQ(answer_of(wire_->create(StreamWire::named("a", "space"))), "OK");
  EXPECT_EQ(wire_->all(StreamWire::named("a", "space")).entries_size(), 0);
  wire_runtime::GetCommittedResponse committed;
  EXPECT_EQ(answer_of(wire_->committed(StreamWire::named("a", "space"), "g", &committed)), "OK");
  EXPECT_FALSE(committed.has_committed());
  wire_runtime::AppendResponse appended;
  EXPECT_EQ(answer_of(wire_->append(StreamWire::named("a", "space"), given, 1, &appended)), "OK");
  EXPECT_EQ(appended.first_offset(), 0u);
}

// STREAM-2, STREAM-4
TEST_P(Streams, offsets_are_contiguous_and_an_append_is_all_or_none) {
  const auto given = payload();
  ASSERT_EQ(answer_of(wire_->create(id())), "OK");
  wire_runtime::AppendResponse appended;
  ASSERT_EQ(answer_of(wire_->append(id(), given, 3, &appended)), "OK");
  EXPECT_EQ(appended.first_offset(), 0u);
  EXPECT_EQ(appended.last_offset(), 2u);

  wire_runtime::AppendRequest mixed;
  *mixed.mutable_stream() = id();
  *mixed.add_items()->mutable_payload_id() = given;
  *mixed.add_items()->mutable_payload_id() = wire_->make(wire_core::TIER_RAM, false);
  EXPECT_EQ(answer_of(wire_->append(mixed)), "FAILED_PRECONDITION PAYLOAD_NOT_COMMITTED");
  mixed.mutable_items(1)->mutable_payload_id()->set_value(std::string(16, '\x22'));
  EXPECT_EQ(answer_of(wire_->append(mixed)), "NOT_FOUND PAYLOAD_NOT_FOUND");
  *mixed.mutable_items(1)->mutable_payload_id() = given;
  ASSERT_EQ(answer_of(wire_->append(mixed, &appended)), "OK");
  EXPECT_EQ(appended.first_offset(), 3u);
  ASSERT_EQ(answer_of(wire_->append(id(), given, 1000, &appended)), "OK");
  EXPECT_EQ(appended.last_offset(), 1004u);
  const auto all = wire_->all(id());
  ASSERT_EQ(all.entries_size(), 1005);
  for (int at = 0; at < all.entries_size(); ++at) {
    ASSERT_EQ(all.entries(at).offset(), static_cast<std::uint64_t>(at));
  }
  // The entries of a payload that is deleted stay.
  EXPECT_EQ(answer_of(wire_->erase(given)), "OK");
  EXPECT_EQ(wire_->all(id()).entries_size(), 1005);
}

// STREAM-5
TEST_P(Streams, an_entry_comes_back_as_it_was_given) {
  const auto given = payload();
  const auto stream = StreamWire::named("s", "n/amespace");
  ASSERT_EQ(answer_of(wire_->create(stream)), "OK");
  wire_runtime::AppendRequest request;
  *request.mutable_stream() = stream;
  auto& full = *request.add_items();
  *full.mutable_payload_id() = given;
  full.mutable_event_time()->set_seconds(1'234'567'890);
  full.mutable_event_time()->set_nanos(123'456'789);
  full.set_duration_ns(UINT64_MAX);
  (*full.mutable_tags())[""] = "";
  (*full.mutable_tags())["k\xc3\xa4y"] = std::string("a\0b", 3);
  *request.add_items()->mutable_payload_id() = given;
  request.mutable_items(1)->mutable_event_time();  // 1970, which is not the same as none.
  *request.add_items()->mutable_payload_id() = given;
  ASSERT_EQ(answer_of(wire_->append(request)), "OK");
  const auto all = wire_->all(stream);
  ASSERT_EQ(all.entries_size(), 3);
  const auto& entry = all.entries(0);
  EXPECT_EQ(entry.stream().SerializeAsString(), stream.SerializeAsString());
  EXPECT_EQ(entry.payload_id().value(), given.value());
  EXPECT_EQ(entry.event_time().seconds(), 1'234'567'890);
  EXPECT_EQ(entry.event_time().nanos(), 123'456'789);
  EXPECT_EQ(entry.duration_ns(), UINT64_MAX);
  ASSERT_EQ(entry.tags().size(), 2u);
  EXPECT_EQ(entry.tags().at("k\xc3\xa4y"), std::string("a\0b", 3));
  EXPECT_TRUE(all.entries(1).has_event_time());
  EXPECT_FALSE(all.entries(2).has_event_time());
  EXPECT_GT(entry.append_time().seconds(), 1'600'000'000);

  ASSERT_EQ(answer_of(wire_->append(stream, given)), "OK");
  const auto later = wire_->all(stream).entries(3).append_time();
  EXPECT_GE(std::pair(later.seconds(), later.nanos()),
            std::pair(entry.append_time().seconds(), entry.append_time().nanos()));
}

// STREAM-6
TEST_P(Streams, reads_start_where_they_are_told_and_end_at_their_limits) {
  const auto given = payload();
  ASSERT_EQ(answer_of(wire_->create(id())), "OK");
  for (int batch = 0; batch < 11; ++batch) wire_->append(id(), given, 1000);
  wire_runtime::ReadRequest request;
  *request.mutable_stream() = id();
  wire_runtime::ReadResponse response;
  ASSERT_EQ(answer_of(wire_->read(request, &response)), "OK");
  EXPECT_EQ(response.entries_size(), 10'000);
  EXPECT_EQ(response.first_offset(), 0u);
  EXPECT_EQ(response.next_offset(), 11'000u);
  request.set_start_offset(10'998);
  ASSERT_EQ(answer_of(wire_->read(request, &response)), "OK");
  EXPECT_EQ(offsets(response), (std::vector<std::uint64_t>{10'998, 10'999}));
  request.set_start_offset(500);
  request.set_max_entries(2);
  ASSERT_EQ(answer_of(wire_->read(request, &response)), "OK");
  EXPECT_EQ(offsets(response), (std::vector<std::uint64_t>{500, 501}));
  request.set_start_offset(UINT64_MAX);
  ASSERT_EQ(answer_of(wire_->read(request, &response)), "OK");
  EXPECT_EQ(response.entries_size(), 0);

  wire_runtime::GetRangeResponse range;
  ASSERT_EQ(answer_of(wire_->range(id(), 5, 7, &range)), "OK");
  ASSERT_EQ(range.entries_size(), 3);
  EXPECT_EQ(range.entries(2).offset(), 7u);
  ASSERT_EQ(answer_of(wire_->range(id(), 0, UINT64_MAX, &range)), "OK");
  EXPECT_EQ(range.entries_size(), 10'000);
  EXPECT_EQ(answer_of(wire_->range(id(), 7, 5)), "INVALID_ARGUMENT RANGE_REVERSED");

  sleep_ms(5);
  wire_->append(id(), given, 1);
  const auto last = wire_->all(id(), 11'000).entries(0).append_time();
  request.Clear();
  *request.mutable_stream() = id();
  *request.mutable_not_before() = last;
  ASSERT_EQ(answer_of(wire_->read(request, &response)), "OK");
  EXPECT_EQ(offsets(response), (std::vector<std::uint64_t>{11'000}));
}

// STREAM-6
TEST_P(Streams, a_reply_stays_small_enough_for_every_client) {
  const auto given = payload();
  ASSERT_EQ(answer_of(wire_->create(id())), "OK");
  wire_runtime::AppendRequest request;
  *request.mutable_stream() = id();
  for (int item = 0; item < 100; ++item) {
    auto& added = *request.add_items();
    *added.mutable_payload_id() = given;
    (*added.mutable_tags())["big"] = std::string(60'000, 'x');
  }
  ASSERT_EQ(answer_of(wire_->append(request)), "OK");
  std::uint64_t next = 0;
  int calls = 0;
  while (next < 100) {
    const auto part = wire_->all(id(), next);
    ASSERT_GT(part.entries_size(), 0);
    EXPECT_LT(part.ByteSizeLong(), 4u << 20);
    EXPECT_EQ(part.entries(0).offset(), next);
    next = part.entries(part.entries_size() - 1).offset() + 1;
    ++calls;
  }
  EXPECT_EQ(calls, 2);
}

// STREAM-2, STREAM-7
TEST_P(Streams, a_count_limit_keeps_the_newest_and_no_offset_comes_back) {
  const auto given = payload();
  ASSERT_EQ(answer_of(wire_->create(id(), 5)), "OK");
  for (int batch = 0; batch < 3; ++batch) wire_->append(id(), given, 1000);
  wire_->append(id(), given, 2);
  auto all = wire_->all(id());
  EXPECT_EQ(offsets(all), (std::vector<std::uint64_t>{2997, 2998, 2999, 3000, 3001}));
  EXPECT_EQ(all.first_offset(), 2997u);
  EXPECT_EQ(all.next_offset(), 3002u);
  if (!survives()) return;
  host_.kill();
  start();
  EXPECT_EQ(offsets(wire_->all(id())), offsets(all));
  wire_runtime::AppendResponse appended;
  ASSERT_EQ(answer_of(wire_->append(id(), given, 1, &appended)), "OK");
  EXPECT_EQ(appended.first_offset(), 3002u);
}

// STREAM-8
TEST_P(Streams, an_age_limit_hides_without_any_append) {
  const auto given = payload();
  ASSERT_EQ(answer_of(wire_->create(id(), 0, 1)), "OK");
  ASSERT_EQ(answer_of(wire_->append(id(), given, 10)), "OK");
  EXPECT_EQ(wire_->all(id()).entries_size(), 10);
  sleep_ms(600);
  ASSERT_EQ(answer_of(wire_->append(id(), given, 2)), "OK");
  sleep_ms(600);
  auto all = wire_->all(id());
  EXPECT_EQ(offsets(all), (std::vector<std::uint64_t>{10, 11}));
  EXPECT_EQ(all.first_offset(), 10u);
  sleep_ms(600);
  all = wire_->all(id());
  EXPECT_EQ(all.entries_size(), 0);
  EXPECT_EQ(all.first_offset(), 12u);
  EXPECT_EQ(all.next_offset(), 12u);
  wire_runtime::AppendResponse appended;
  ASSERT_EQ(answer_of(wire_->append(id(), given, 1, &appended)), "OK");
  EXPECT_EQ(appended.first_offset(), 12u);
}

// STREAM-10, STREAM-11
TEST_P(Streams, a_group_goes_back_only_when_asked) {
  const auto given = payload();
  ASSERT_EQ(answer_of(wire_->create(id())), "OK");
  ASSERT_EQ(answer_of(wire_->append(id(), given, 10)), "OK");
  wire_runtime::GetCommittedResponse committed;
  ASSERT_EQ(answer_of(wire_->committed(id(), "g", &committed)), "OK");
  EXPECT_FALSE(committed.has_committed());
  EXPECT_EQ(answer_of(wire_->commit_offset(id(), "g", 0)), "OK");
  ASSERT_EQ(answer_of(wire_->committed(id(), "g", &committed)), "OK");
  EXPECT_TRUE(committed.has_committed());
  EXPECT_EQ(committed.offset(), 0u);
  EXPECT_EQ(answer_of(wire_->commit_offset(id(), "g", 10)), "OK");
  EXPECT_EQ(answer_of(wire_->commit_offset(id(), "g", 11)), "OUT_OF_RANGE OFFSET_BEYOND_END");
  EXPECT_EQ(answer_of(wire_->commit_offset(id(), "g", 9)), "ABORTED OFFSET_GOES_BACK");
  EXPECT_EQ(answer_of(wire_->commit_offset(id(), "g", 9, true)), "OK");
  EXPECT_EQ(answer_of(wire_->commit_offset(id(), "other", 3)), "OK");
  if (survives()) {
    host_.kill();
    start();
  }
  ASSERT_EQ(answer_of(wire_->committed(id(), "g", &committed)), "OK");
  EXPECT_EQ(committed.offset(), 9u);
}

// STREAM-3, STREAM-9
TEST_P(Streams, what_was_acknowledged_survives_a_kill) {
  if (!survives()) GTEST_SKIP() << "a repository in memory goes with the host";
  const auto given = payload();
  ASSERT_EQ(answer_of(wire_->create(id(), 0, 1'000'000)), "OK");
  ASSERT_EQ(answer_of(wire_->create(id("dead"))), "OK");
  for (int batch = 0; batch < 20; ++batch) wire_->append(id("dead"), given, 1000);
  for (int round = 0; round < 3; ++round) {
    for (int batch = 0; batch < 50; ++batch) {
      ASSERT_EQ(answer_of(wire_->append(id(), given, 2)), "OK");
    }
    if (round == 1) {
      ASSERT_EQ(answer_of(wire_->remove(id("dead"))), "OK");
    }
    host_.kill();
    start();
    const auto all = wire_->all(id());
    ASSERT_EQ(all.entries_size(), 100 * (round + 1));
    ASSERT_EQ(all.next_offset(), 100u * (round + 1));
  }
  wire_runtime::ReadRequest read;
  *read.mutable_stream() = id("dead");
  EXPECT_EQ(answer_of(wire_->read(read)), "NOT_FOUND STREAM_NOT_FOUND");
}

// STREAM-17
TEST_P(Streams, a_repeat_with_the_same_request_id_does_nothing_twice) {
  const auto given = payload();
  EXPECT_EQ(answer_of(wire_->create(id(), 0, 0, "create")), "OK");
  EXPECT_EQ(answer_of(wire_->create(id(), 0, 0, "create")), "OK");
  wire_runtime::AppendRequest append;
  *append.mutable_stream() = id();
  *append.add_items()->mutable_payload_id() = given;
  append.set_request_id("append");
  wire_runtime::AppendResponse appended;
  EXPECT_EQ(answer_of(wire_->append(append)), "OK");
  if (survives()) {
    host_.kill();
    start();
  }
  EXPECT_EQ(answer_of(wire_->append(append, &appended)), "OK");
  EXPECT_EQ(appended.last_offset(), 0u);
  EXPECT_EQ(wire_->all(id()).next_offset(), 1u);
  EXPECT_EQ(answer_of(wire_->commit_offset(id(), "g", 1, false, "commit")), "OK");
  EXPECT_EQ(answer_of(wire_->commit_offset(id(), "g", 0, true, "rewind")), "OK");
  EXPECT_EQ(answer_of(wire_->commit_offset(id(), "g", 1, false, "commit")), "OK");
  wire_runtime::GetCommittedResponse committed;
  EXPECT_EQ(answer_of(wire_->committed(id(), "g", &committed)), "OK");
  EXPECT_EQ(committed.offset(), 0u) << "the repeat committed again";
  EXPECT_EQ(answer_of(wire_->remove(id(), "remove")), "OK");
  EXPECT_EQ(answer_of(wire_->create(id())), "OK");
  EXPECT_EQ(answer_of(wire_->remove(id(), "remove")), "OK");
  EXPECT_EQ(wire_->all(id()).next_offset(), 0u) << "the repeat deleted the new stream";
  EXPECT_EQ(answer_of(wire_->remove(id("other"), "remove")), "INVALID_ARGUMENT REQUEST_ID_REUSED");
}

// STREAM-18
TEST_P(Streams, are_listed_in_pages_by_namespace_and_name) {
  for (const char* space : {"", "x", "xy"}) {
    for (const char* name : {"c", "a", "b"}) wire_->create(StreamWire::named(name, space), 7, 70);
  }
  wire_->commit_offset(StreamWire::named("a", "x"), "g", 0);
  wire_runtime::ListStreamsRequest request;
  request.set_page_size(2);
  std::vector<std::string> names;
  do {
    wire_runtime::ListStreamsResponse page;
    ASSERT_EQ(answer_of(wire_->list_streams(request, &page)), "OK");
    for (const auto& summary : page.streams()) {
      names.push_back(summary.stream().namespace_() + "/" + summary.stream().name());
      EXPECT_EQ(summary.retention_max_entries(), 7u);
      EXPECT_EQ(summary.retention_max_age_sec(), 70u);
      EXPECT_EQ(summary.consumer_groups(), names.back() == "x/a" ? 1u : 0u);
      EXPECT_GT(summary.created_at().seconds(), 1'600'000'000);
    }
    request.set_page_token(page.next_page_token());
    // One that comes and one that goes meanwhile change no other row.
    wire_->create(StreamWire::named("0", "a"), 7, 70);
    wire_->remove(StreamWire::named("c", ""));
  } while (!request.page_token().empty());
  const std::vector<std::string> expected = {"/a",  "/b",   "a/0",  "x/a", "x/b",
                                             "x/c", "xy/a", "xy/b", "xy/c"};
  EXPECT_EQ(names, expected);
  request.Clear();
  request.set_namespace_("x");
  wire_runtime::ListStreamsResponse page;
  ASSERT_EQ(answer_of(wire_->list_streams(request, &page)), "OK");
  EXPECT_EQ(page.streams_size(), 3);
  EXPECT_TRUE(page.next_page_token().empty());
}

INSTANTIATE_TEST_SUITE_P(repositories, Streams, testing::Values("sqlite", "memory"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace pm::integration
