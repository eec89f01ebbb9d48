#include "core/ledger/schema.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "core/ledger/document_schema.h"

namespace pm::ledger::test {
namespace {

const TierNames tiers{"shm", "disk"};

// Writes a record and hands its values back to the reader, as a repository would.
template <typename Read>
auto round_trip(const catalog::Record& record, Read read, const TierNames& names = tiers) {
  OperationWriter writer(tiers);
  writer.add(record);
  const pm_operation_t& operation = writer.operations().at(0);
  return read(operation.values, operation.value_count, names);
}

catalog::PayloadRecord full_record() {
  catalog::PayloadRecord record;
  record.id.bytes[3] = 9;
  record.size_bytes = UINT64_MAX;
  record.revision = 7;
  record.created_at_ns = 1;
  record.expires_at_ns = 2;
  record.order = 3;
  record.checksum.kind = catalog::ChecksumKind::xxh3_128;
  record.checksum.bytes[0] = 0xab;
  record.retention = {catalog::Priority::high, true, true, 1, 0};
  catalog::CopyRecord first;
  first.tier = 0;
  first.generation = 11;
  first.cookie.length = 3;
  first.cookie.bytes = {1, 0, 2};
  catalog::CopyRecord second;
  second.tier = 1;
  second.generation = 12;
  second.cookie.length = catalog::cookie_bytes_max;
  second.cookie.bytes.fill(0xff);
  record.copies = {first, second};
  return record;
}

TEST(schema, keeps_every_field_of_a_payload) {
  const catalog::PayloadRecord written = full_record();
  const auto read = round_trip(written, read_payload);
  ASSERT_TRUE(read.ok()) << read.status().to_string();
  EXPECT_EQ(read->id, written.id);
  EXPECT_EQ(read->size_bytes, written.size_bytes);
  EXPECT_EQ(read->revision, written.revision);
  EXPECT_EQ(read->created_at_ns, written.created_at_ns);
  EXPECT_EQ(read->expires_at_ns, written.expires_at_ns);
  EXPECT_EQ(read->order, written.order);
  EXPECT_EQ(read->checksum.bytes, written.checksum.bytes);
  EXPECT_EQ(read->retention.priority, written.retention.priority);
  EXPECT_TRUE(read->retention.no_evict);
  EXPECT_TRUE(read->retention.require_durable);
  EXPECT_EQ(read->retention.spill_target, 1);
  EXPECT_EQ(read->retention.min_residency, 0);
  ASSERT_EQ(read->copies.size(), 2u);
  EXPECT_EQ(read->copies[0].generation, 11u);
  EXPECT_EQ(read->copies[0].cookie.bytes, written.copies[0].cookie.bytes);
  EXPECT_EQ(read->copies[1].tier, 1);
  EXPECT_EQ(read->copies[1].cookie.length, catalog::cookie_bytes_max);
}

TEST(schema, keeps_which_copies_are_bad) {
  catalog::PayloadRecord written = full_record();
  written.copies.back().bad = true;
  auto read = round_trip(written, read_payload);
  ASSERT_TRUE(read.ok()) << read.status().to_string();
  EXPECT_FALSE(read->copies[0].bad);
  EXPECT_TRUE(read->copies[1].bad);
  EXPECT_TRUE(read->retention.no_evict);
  written.lost = true;
  read = round_trip(written, read_payload);
  ASSERT_TRUE(read.ok()) << read.status().to_string();
  EXPECT_TRUE(read->copies[0].bad);
  written.copies.front().bad = true;
  written.lost = false;
  EXPECT_EQ(round_trip(written, read_payload).status().code(), Code::data_loss);
}

TEST(schema, keeps_what_only_some_payloads_have) {
  catalog::PayloadRecord written = full_record();
  EXPECT_EQ(round_trip(written, read_payload)->additions.labels, nullptr);
  const catalog::Labels labels{{"a.b/c", "= \xc3\xa4 = "}, {"empty", ""}, {"z", "2"}};
  written.additions.labels = std::make_shared<const catalog::Labels>(labels);
  written.additions.pinned = true;
  written.additions.pin_expires_at_ns = INT64_MAX;
  written.additions.has_metadata = true;
  written.additions.metadata_events = UINT32_MAX;
  written.additions.parents = 3;
  const auto read = round_trip(written, read_payload);
  ASSERT_TRUE(read.ok()) << read.status().to_string();
  ASSERT_NE(read->additions.labels, nullptr);
  EXPECT_EQ(*read->additions.labels, labels);
  EXPECT_TRUE(read->additions.pinned);
  EXPECT_EQ(read->additions.pin_expires_at_ns, INT64_MAX);
  EXPECT_TRUE(read->additions.has_metadata);
  EXPECT_EQ(read->additions.metadata_events, UINT32_MAX);
  EXPECT_EQ(read->additions.parents, 3u);
}

TEST(schema, keeps_what_is_counted_of_a_payload) {
  catalog::PayloadRecord written = full_record();
  written.additions.has_metadata = true;
  written.additions.has_children = true;
  written.additions.metadata_events = 3;
  written.additions.last_event_at_ns = 4;
  written.additions.parents = 5;
  const auto read = round_trip(written, read_payload);
  ASSERT_TRUE(read.ok()) << read.status().to_string();
  EXPECT_TRUE(read->additions.has_metadata);
  EXPECT_TRUE(read->additions.has_children);
  EXPECT_EQ(read->additions.metadata_events, 3u);
  EXPECT_EQ(read->additions.last_event_at_ns, 4);
  EXPECT_EQ(read->additions.parents, 5u);
}

// META-9, LINEAGE-8
TEST(schema, an_erased_payload_takes_only_what_there_is_with_it) {
  catalog::PayloadRecord erased;
  erased.erased = true;
  const auto operations_of = [](const catalog::Record& record) {
    OperationWriter writer(tiers);
    writer.add(record);
    std::vector<std::pair<std::uint32_t, std::uint32_t>> operations;
    for (const pm_operation_t& each : writer.operations()) {
      operations.emplace_back(each.kind, each.type);
    }
    return operations;
  };
  using Operations = std::vector<std::pair<std::uint32_t, std::uint32_t>>;
  EXPECT_EQ(operations_of(erased), (Operations{{kind_payload, PM_OPERATION_DELETE}}));
  erased.additions.has_children = true;
  EXPECT_EQ(operations_of(erased).size(), 1u) << "edges to children stay";
  erased.additions.has_metadata = true;
  erased.additions.metadata_events = 1;
  erased.additions.parents = 1;
  EXPECT_EQ(operations_of(erased), (Operations{{kind_payload, PM_OPERATION_DELETE},
                                               {kind_metadata, PM_OPERATION_DELETE},
                                               {kind_metadata_event, PM_OPERATION_DELETE_PREFIX},
                                               {kind_lineage, PM_OPERATION_DELETE_PREFIX}}));
}

TEST(schema, keeps_a_checksum_of_every_kind) {
  for (const auto kind : {catalog::ChecksumKind::none, catalog::ChecksumKind::xxh3_128,
                          catalog::ChecksumKind::sha256, catalog::ChecksumKind::crc32c}) {
    catalog::PayloadRecord written = full_record();
    written.checksum = {};
    written.checksum.kind = kind;
    for (std::size_t index = 0; index < written.checksum.length(); ++index) {
      written.checksum.bytes[index] = static_cast<std::uint8_t>(index + 1);
    }
    const auto read = round_trip(written, read_payload);
    ASSERT_TRUE(read.ok()) << read.status().to_string();
    EXPECT_EQ(read->checksum, written.checksum);

    catalog::RequestRecord request;
    request.reply.has_view = true;
    request.reply.view.checksum = written.checksum;
    const auto repeated = round_trip(request, read_request);
    ASSERT_TRUE(repeated.ok()) << repeated.status().to_string();
    EXPECT_EQ(repeated->reply.view.checksum, written.checksum);
  }
}

TEST(schema, finds_tiers_by_name_when_their_order_has_changed) {
  const auto read = round_trip(full_record(), read_payload, {"disk", "new", "shm"});
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->copies[0].tier, 2);
  EXPECT_EQ(read->copies[1].tier, 0);
}

TEST(schema, names_the_tier_that_is_no_longer_configured) {
  const auto read = round_trip(full_record(), read_payload, {"shm"});
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.status().code(), Code::failed_precondition);
  EXPECT_NE(read.status().message().find("'disk'"), std::string::npos);
}

TEST(schema, refuses_a_record_that_makes_no_sense) {
  catalog::PayloadRecord record = full_record();
  record.copies.clear();
  EXPECT_EQ(round_trip(record, read_payload).status().code(), Code::data_loss);
  record = full_record();
  record.size_bytes = 0;
  EXPECT_EQ(round_trip(record, read_payload).status().code(), Code::data_loss);
  EXPECT_EQ(read_payload(nullptr, 0, tiers).status().code(), Code::data_loss);
}

TEST(schema, keeps_the_answer_of_a_request) {
  catalog::RequestRecord written;
  written.key.bytes[0] = 1;
  written.digest = UINT64_MAX;
  written.answered_at_ns = -5;
  written.reply.has_view = true;
  written.reply.view.size_bytes = 77;
  written.reply.view.phase = catalog::Phase::committed;
  written.reply.view.tier = 1;
  written.reply.view.generation = 12;
  written.reply.view.cookie.length = 2;
  written.reply.view.cookie.bytes = {0, 9};
  const catalog::Labels labels{{"a", "1"}, {"b", ""}};
  written.reply.view.additions.labels = std::make_shared<const catalog::Labels>(labels);
  const auto read = round_trip(written, read_request);
  ASSERT_TRUE(read.ok()) << read.status().to_string();
  ASSERT_NE(read->reply.view.additions.labels, nullptr);
  EXPECT_EQ(*read->reply.view.additions.labels, labels);
  EXPECT_EQ(read->digest, written.digest);
  EXPECT_EQ(read->reply.view.size_bytes, 77u);
  EXPECT_EQ(read->reply.view.tier, 1);
  EXPECT_EQ(read->reply.view.cookie.bytes, written.reply.view.cookie.bytes);
}

TEST(schema, keeps_the_health_and_the_medium_of_a_tier) {
  const auto read = round_trip(catalog::TierRecord{1, true, "disk:5"}, read_tier);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->tier, 1);
  EXPECT_TRUE(read->failed);
  EXPECT_EQ(read->medium, "disk:5");
}

}  // namespace
}  // namespace pm::ledger::test
