#include <atomic>
#include <set>
#include <thread>

#include "documents.h"
#include "rows.h"

// What is said of a payload is kept as it was given, until the payload goes.

namespace pm::integration {
namespace {

using Metadata = DocumentsTest;

constexpr auto merge = wire_core::METADATA_UPDATE_MODE_MERGE;
const std::string opaque("ab\0cd\xff\xfe", 7);

// META-1, META-2
TEST_P(Metadata, comes_back_byte_for_byte_with_who_and_why) {
  const auto id = make();
  wire_catalog::GetPayloadMetadataResponse found;
  ASSERT_EQ(answer_of(documents_->get(id, &found)), "OK");
  EXPECT_FALSE(found.has_metadata()) << "none was ever given";
  std::string large(1 << 20, '\0');
  for (std::size_t at = 0; at < large.size(); ++at) large[at] = static_cast<char>(at * 31 >> 3);
  for (const std::string& data : {opaque, std::string(), std::string(1, '\0'), large}) {
    auto request = update_of(id, data, "schema/1");
    request.set_actor("who");
    request.set_reason("why");
    wire_catalog::UpdatePayloadMetadataResponse updated;
    ASSERT_EQ(answer_of(documents_->update(request, &updated)), "OK");
    EXPECT_EQ(updated.id().value(), id.value());
    EXPECT_TRUE(updated.metadata().data() == data);
    ASSERT_EQ(answer_of(documents_->get(id, &found)), "OK");
    EXPECT_EQ(found.metadata().id().value(), id.value());
    EXPECT_TRUE(found.metadata().data() == data) << data.size() << " bytes";
    EXPECT_EQ(found.metadata().schema(), "schema/1");
    EXPECT_EQ(found.actor(), "who");
    EXPECT_EQ(found.reason(), "why");
    EXPECT_EQ(found.updated_at().SerializeAsString(), updated.updated_at().SerializeAsString());
  }
}

// META-3
TEST_P(Metadata, merge_overwrites_what_is_given_and_replace_takes_both) {
  const auto id = make();
  wire_catalog::UpdatePayloadMetadataResponse updated;
  const auto stands = [&](const auto& request) {
    EXPECT_EQ(answer_of(documents_->update(request, &updated)), "OK");
    wire_catalog::GetPayloadMetadataResponse found;
    EXPECT_EQ(answer_of(documents_->get(id, &found)), "OK");
    EXPECT_EQ(found.metadata().SerializeAsString(), updated.metadata().SerializeAsString());
    return updated.metadata().data() + "|" + updated.metadata().schema();
  };
  EXPECT_EQ(stands(update_of(id, "a", "", merge)), "a|") << "nothing stood there";
  EXPECT_EQ(stands(update_of(id, "", "s", merge)), "a|s");
  EXPECT_EQ(stands(update_of(id, "b", "", wire_core::METADATA_UPDATE_MODE_UNSPECIFIED)), "b|s");
  EXPECT_EQ(stands(update_of(id, "c", "t", merge)), "c|t");
  EXPECT_EQ(stands(update_of(id, "", "", merge)), "c|t");
  EXPECT_EQ(stands(update_of(id, "d", "")), "d|");
  EXPECT_EQ(stands(update_of(id, "", "")), "|");
}

// META-3
TEST_P(Metadata, concurrent_merges_lose_nothing) {
  const auto id = make();
  constexpr int rounds = 60;
  std::atomic<int> conflicts{0};
  // One keeps to the data, the other to the schema: each must find its own as it left it.
  const auto work = [&](bool gives_data) {
    Wire wire(host_);
    Documents documents(wire);
    for (int round = 0; round < rounds; ++round) {
      const std::string mine = std::to_string(round);
      const auto request =
          gives_data ? update_of(id, mine, "", merge) : update_of(id, "", mine, merge);
      wire_catalog::UpdatePayloadMetadataResponse updated;
      std::string answer;
      while ((answer = answer_of(documents.update(request, &updated))) == "ABORTED CONFLICT") {
        ++conflicts;
      }
      ASSERT_EQ(answer, "OK");
      const auto& metadata = updated.metadata();
      ASSERT_EQ(gives_data ? metadata.data() : metadata.schema(), mine);
    }
  };
  std::thread one(work, true);
  std::thread two(work, false);
  one.join();
  two.join();
  wire_catalog::GetPayloadMetadataResponse found;
  ASSERT_EQ(answer_of(documents_->get(id, &found)), "OK");
  EXPECT_EQ(found.metadata().data(), std::to_string(rounds - 1));
  EXPECT_EQ(found.metadata().schema(), std::to_string(rounds - 1));
}

// META-4
TEST_P(Metadata, a_merge_that_others_overtake_three_times_is_a_conflict) {
  const auto id = make();
  ASSERT_EQ(answer_of(documents_->update(update_of(id, std::string(1 << 20, 'x'), "s"))), "OK");
  std::atomic<bool> stop{false};
  std::vector<std::thread> others;
  for (int thread = 0; thread < 4; ++thread) {
    others.emplace_back([&] {
      Wire wire(host_);
      Documents documents(wire);
      while (!stop) documents.update(update_of(id, std::string(1000, 'y'), "s"));
    });
  }
  EXPECT_TRUE(eventually(
      [&] {
        const std::string answer = answer_of(documents_->update(update_of(id, "", "t", merge)));
        EXPECT_TRUE(answer == "OK" || answer == "ABORTED CONFLICT") << answer;
        return answer == "ABORTED CONFLICT";
      },
      std::chrono::seconds(60)));
  stop = true;
  for (std::thread& other : others) other.join();
}

// META-5
TEST_P(Metadata, does_not_change_the_version_of_the_payload) {
  const auto id = make();
  wire_core::PayloadDescriptor before;
  wire_core::PayloadDescriptor after;
  ASSERT_EQ(answer_of(wire_->resolve(id, &before)), "OK");
  ASSERT_EQ(answer_of(documents_->update(update_of(id, "a", "s"))), "OK");
  ASSERT_EQ(answer_of(documents_->append(event_of(id, "e"))), "OK");
  ASSERT_EQ(answer_of(wire_->resolve(id, &after)), "OK");
  EXPECT_EQ(after.version(), before.version());
}

// META-6
TEST_P(Metadata, events_are_numbered_and_listed_in_pages) {
  const auto id = make();
  const auto other = make();
  wire_catalog::AppendPayloadMetadataEventResponse appended;
  std::int64_t before_ns = 0;
  for (std::uint64_t number = 1; number <= 25; ++number) {
    auto request = event_of(id, opaque + std::to_string(number));
    request.mutable_metadata()->set_schema("schema");
    request.set_source("source");
    request.set_version("version");
    ASSERT_EQ(answer_of(documents_->append(request, &appended)), "OK");
    EXPECT_EQ(appended.number(), number);
    const std::int64_t at_ns =
        appended.event_time().seconds() * 1'000'000'000 + appended.event_time().nanos();
    EXPECT_GE(at_ns, before_ns);
    before_ns = at_ns;
    ASSERT_EQ(answer_of(documents_->append(event_of(other, "other"))), "OK");
  }
  wire_catalog::ListPayloadMetadataEventsRequest list;
  *list.mutable_id() = id;
  list.set_page_size(10);
  std::uint64_t number = 0;
  for (const int size : {10, 10, 5}) {
    wire_catalog::ListPayloadMetadataEventsResponse page;
    ASSERT_EQ(answer_of(documents_->events(list, &page)), "OK");
    ASSERT_EQ(page.events_size(), size);
    for (const auto& event : page.events()) {
      EXPECT_EQ(event.number(), ++number);
      EXPECT_EQ(event.metadata().data(), opaque + std::to_string(number));
      EXPECT_EQ(event.metadata().id().value(), id.value());
      EXPECT_EQ(event.metadata().schema() + event.source() + event.version(),
                "schemasourceversion");
    }
    list.set_page_token(page.next_page_token());
  }
  EXPECT_TRUE(list.page_token().empty());
  for (const char* garbage : {"garbage", "1.", "1.x.5", "2.5"}) {
    list.set_page_token(garbage);
    EXPECT_EQ(answer_of(documents_->events(list)), "INVALID_ARGUMENT PAGE_TOKEN_INVALID")
        << garbage;
  }
  list.clear_page_token();
  list.set_page_size(1);
  wire_catalog::ListPayloadMetadataEventsResponse page;
  ASSERT_EQ(answer_of(documents_->events(list, &page)), "OK");
  *list.mutable_id() = other;
  list.set_page_token(page.next_page_token());
  EXPECT_EQ(answer_of(documents_->events(list)), "INVALID_ARGUMENT PAGE_TOKEN_INVALID")
      << "a token of another payload's list";
  list.clear_page_token();
  list.set_page_size(-1);
  EXPECT_EQ(answer_of(documents_->events(list)), "INVALID_ARGUMENT PAGE_SIZE_INVALID");
}

// META-6
TEST_P(Metadata, concurrent_appends_get_a_number_each_until_there_is_no_more_room) {
  constexpr std::uint64_t events_max = 10'000;
  const auto id = make();
  std::mutex mutex;
  std::set<std::uint64_t> numbers;
  std::atomic<int> refused{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 8; ++thread) {
    threads.emplace_back([&] {
      Wire wire(host_);
      Documents documents(wire);
      std::string answer;
      wire_catalog::AppendPayloadMetadataEventResponse appended;
      while ((answer = answer_of(documents.append(event_of(id, "e"), &appended))) == "OK") {
        const std::lock_guard lock(mutex);
        EXPECT_TRUE(numbers.insert(appended.number()).second) << appended.number() << " twice";
      }
      EXPECT_EQ(answer, "RESOURCE_EXHAUSTED METADATA_EVENTS_FULL");
      ++refused;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(refused, 8);
  EXPECT_EQ(numbers.size(), events_max);
  EXPECT_EQ(*numbers.begin(), 1u);
  EXPECT_EQ(*numbers.rbegin(), events_max);
  // A page ends at 500, and where its data would be too much for a message.
  wire_catalog::ListPayloadMetadataEventsRequest list;
  *list.mutable_id() = id;
  list.set_page_size(100'000);
  std::uint64_t seen = 0;
  do {
    wire_catalog::ListPayloadMetadataEventsResponse page;
    ASSERT_EQ(answer_of(documents_->events(list, &page)), "OK");
    EXPECT_EQ(page.events_size(), 500);
    seen += static_cast<std::uint64_t>(page.events_size());
    list.set_page_token(page.next_page_token());
  } while (!list.page_token().empty());
  EXPECT_EQ(seen, events_max);
  EXPECT_EQ(answer_of(wire_->erase(id)), "OK") << "all of it goes in one piece";
  EXPECT_EQ(answer_of(documents_->events(list)), "NOT_FOUND PAYLOAD_NOT_FOUND");
}

TEST_P(Metadata, a_page_of_large_events_fits_into_a_message) {
  const auto id = make();
  for (int number = 0; number < 80; ++number) {
    ASSERT_EQ(answer_of(documents_->append(event_of(id, std::string(64 << 10, 'x')))), "OK");
  }
  wire_catalog::ListPayloadMetadataEventsRequest list;
  *list.mutable_id() = id;
  list.set_page_size(500);
  int seen = 0;
  do {
    wire_catalog::ListPayloadMetadataEventsResponse page;
    ASSERT_EQ(answer_of(documents_->events(list, &page)), "OK");
    EXPECT_LT(page.ByteSizeLong(), 3u << 20);
    seen += page.events_size();
    list.set_page_token(page.next_page_token());
  } while (!list.page_token().empty());
  EXPECT_EQ(seen, 80);
}

// META-7
TEST_P(Metadata, belongs_to_payloads_that_are_committed) {
  const auto allocated = wire_->make(wire_core::TIER_RAM, false);
  using Call = std::function<grpc::Status(const wire_core::PayloadID&)>;
  const Call calls[] = {
      [&](const auto& id) { return documents_->update(update_of(id, "a", "s")); },
      [&](const auto& id) { return documents_->update(update_of(id, "a", "", merge)); },
      [&](const auto& id) { return documents_->get(id); },
      [&](const auto& id) { return documents_->append(event_of(id, "a")); },
      [&](const auto& id) {
        wire_catalog::ListPayloadMetadataEventsRequest list;
        *list.mutable_id() = id;
        return documents_->events(list);
      }};
  for (const Call& call : calls) {
    EXPECT_EQ(answer_of(call(unknown())), "NOT_FOUND PAYLOAD_NOT_FOUND");
    EXPECT_EQ(answer_of(call(allocated)), "FAILED_PRECONDITION PAYLOAD_NOT_COMMITTED");
    for (const std::size_t length : {0, 15, 17}) {
      EXPECT_EQ(answer_of(call(id_of(std::string(length, 'x')))),
                "INVALID_ARGUMENT PAYLOAD_ID_MALFORMED");
    }
  }
}

TEST_P(Metadata, texts_have_limits_and_modes_are_known) {
  const auto id = make();
  const std::string too_long = "INVALID_ARGUMENT TEXT_TOO_LONG";
  const std::string text(1025, 'x');
  auto request = update_of(id, std::string((1 << 20) + 1, 'x'), "");
  EXPECT_EQ(answer_of(documents_->update(request)), too_long);
  EXPECT_EQ(answer_of(documents_->update(update_of(id, "", text))), too_long);
  request = update_of(id, "a", text.substr(1));
  EXPECT_EQ(answer_of(documents_->update(request)), "OK");
  request.set_actor(text);
  EXPECT_EQ(answer_of(documents_->update(request)), too_long);
  request.clear_actor();
  request.set_reason(text);
  EXPECT_EQ(answer_of(documents_->update(request)), too_long);
  request = update_of(id, "a", "s", static_cast<wire_core::MetadataUpdateMode>(3));
  EXPECT_EQ(answer_of(documents_->update(request)), "INVALID_ARGUMENT UPDATE_MODE_UNKNOWN");
  auto event = event_of(id, std::string((64 << 10) + 1, 'x'));
  EXPECT_EQ(answer_of(documents_->append(event)), too_long);
  event = event_of(id, "a");
  event.set_source(text);
  EXPECT_EQ(answer_of(documents_->append(event)), too_long);
  event.clear_source();
  event.set_version(text);
  EXPECT_EQ(answer_of(documents_->append(event)), too_long);
}

// META-8
TEST_P(Metadata, a_repeated_request_is_not_done_again) {
  const auto id = make();
  auto request = update_of(id, "a", "s");
  request.set_request_id("update once");
  wire_catalog::UpdatePayloadMetadataResponse first;
  wire_catalog::UpdatePayloadMetadataResponse again;
  ASSERT_EQ(answer_of(documents_->update(request, &first)), "OK");
  auto merged = update_of(id, "b", "", merge);
  merged.set_request_id("merge once");
  ASSERT_EQ(answer_of(documents_->update(merged, &again)), "OK");
  ASSERT_EQ(answer_of(documents_->update(request, &again)), "OK");
  EXPECT_EQ(again.SerializeAsString(), first.SerializeAsString());
  wire_catalog::GetPayloadMetadataResponse found;
  ASSERT_EQ(answer_of(documents_->get(id, &found)), "OK");
  EXPECT_EQ(found.metadata().data(), "b") << "the repeat was done again";
  ASSERT_EQ(answer_of(documents_->update(update_of(id, "c", "t"))), "OK");
  ASSERT_EQ(answer_of(documents_->update(merged, &again)), "OK");
  EXPECT_EQ(again.metadata().data() + again.metadata().schema(), "ct") << "what stands now";

  auto event = event_of(id, "e");
  event.set_request_id("append once");
  wire_catalog::AppendPayloadMetadataEventResponse one;
  wire_catalog::AppendPayloadMetadataEventResponse two;
  ASSERT_EQ(answer_of(documents_->append(event, &one)), "OK");
  ASSERT_EQ(answer_of(documents_->append(event, &two)), "OK");
  EXPECT_EQ(one.SerializeAsString(), two.SerializeAsString());
  event.mutable_metadata()->set_data("other");
  EXPECT_EQ(answer_of(documents_->append(event)), "INVALID_ARGUMENT REQUEST_ID_REUSED");
  if (!is_kept()) return;
  kill_and_begin();
  event.mutable_metadata()->set_data("e");
  ASSERT_EQ(answer_of(documents_->append(event, &two)), "OK");
  EXPECT_EQ(one.SerializeAsString(), two.SerializeAsString()) << "after a restart";
}

// META-9
TEST_P(Metadata, survives_a_kill_and_goes_with_its_payload) {
  const auto id = make();
  ASSERT_EQ(answer_of(documents_->update(update_of(id, opaque, "s"))), "OK");
  ASSERT_EQ(answer_of(documents_->append(event_of(id, opaque))), "OK");
  if (is_kept()) {
    kill_and_begin();
    wire_catalog::GetPayloadMetadataResponse found;
    ASSERT_EQ(answer_of(documents_->get(id, &found)), "OK");
    EXPECT_EQ(found.metadata().data(), opaque);
    wire_catalog::UpdatePayloadMetadataResponse updated;
    ASSERT_EQ(answer_of(documents_->update(update_of(id, "", "t", merge), &updated)), "OK");
    EXPECT_EQ(updated.metadata().data(), opaque) << "a merge over a restart";
    wire_catalog::AppendPayloadMetadataEventResponse appended;
    ASSERT_EQ(answer_of(documents_->append(event_of(id, "second"), &appended)), "OK");
    EXPECT_EQ(appended.number(), 2u);
  }
  ASSERT_EQ(answer_of(wire_->erase(id)), "OK");
  EXPECT_EQ(answer_of(documents_->get(id)), "NOT_FOUND PAYLOAD_NOT_FOUND");
}

// META-9, LINEAGE-8
TEST_P(Metadata, leaves_no_row_behind) {
  if (!is_kept()) return;
  const auto file = host_.state_directory() / "catalog.sqlite";
  const auto parent = make();
  std::vector<wire_core::PayloadID> ids;
  for (int made = 0; made < 5; ++made) {
    ids.push_back(make());
    ASSERT_EQ(answer_of(documents_->update(update_of(ids.back(), "a", "s"))), "OK");
    ASSERT_EQ(answer_of(documents_->append(event_of(ids.back(), "e"))), "OK");
    ASSERT_EQ(answer_of(documents_->append(event_of(ids.back(), "e"))), "OK");
    ASSERT_EQ(answer_of(documents_->link(ids.back(), parent)), "OK");
  }
  EXPECT_EQ(count_rows(file, "metadata"), 5);
  EXPECT_EQ(count_rows(file, "metadata_event"), 10);
  EXPECT_EQ(count_rows(file, "lineage"), 5);
  ASSERT_EQ(answer_of(wire_->erase(ids[0])), "OK");
  EXPECT_EQ(count_rows(file, "metadata"), 4);
  for (std::size_t at = 1; at < ids.size(); ++at) {
    ASSERT_EQ(answer_of(wire_->erase(ids[at])), "OK");
  }
  for (const char* table : {"metadata", "metadata_event", "lineage"}) {
    EXPECT_EQ(count_rows(file, table), 0) << table;
  }
}

INSTANTIATE_TEST_SUITE_P(repositories, Metadata, testing::Values("sqlite", "memory"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace pm::integration
