#include "core/ledger/stream_schema.h"

#include <gtest/gtest.h>

#include "core/ledger/schema.h"

namespace pm::ledger::test {
namespace {

const TierNames no_tiers;

TEST(stream_schema, keeps_every_field_of_a_stream) {
  catalog::StreamRecord written;
  written.number = UINT64_MAX;
  written.dead = true;
  written.name = {"space", std::string("n\xc3\xa4me")};
  written.swept_offset = 1;
  written.first_offset = 2;
  written.next_offset = UINT64_MAX - 1;
  written.entries_max = 4;
  written.age_max_s = 5;
  written.created_at_ns = 6;
  written.last_append_ns = 7;
  const catalog::Record record = written;  // What the operations point into.
  OperationWriter writer(no_tiers);
  writer.add(record);
  const pm_operation_t& operation = writer.operations().at(0);
  EXPECT_EQ(operation.type, std::uint32_t{PM_OPERATION_PUT});
  const auto read = read_stream(operation.values, operation.value_count);
  ASSERT_TRUE(read.ok()) << read.status().to_string();
  EXPECT_EQ(read->number, written.number);
  EXPECT_TRUE(read->dead);
  EXPECT_EQ(read->name, written.name);
  EXPECT_EQ(read->swept_offset, 1u);
  EXPECT_EQ(read->first_offset, 2u);
  EXPECT_EQ(read->next_offset, UINT64_MAX - 1);
  EXPECT_EQ(read->entries_max, 4u);
  EXPECT_EQ(read->age_max_s, 5u);
  EXPECT_EQ(read->created_at_ns, 6);
  EXPECT_EQ(read->last_append_ns, 7);
}

TEST(stream_schema, writes_a_row_for_each_entry_and_keeps_opaque_tags) {
  catalog::StreamItem item;
  item.payload.bytes[0] = 9;
  item.event_time_ns = 123'456'789;
  item.duration_ns = UINT64_MAX;
  item.tags = std::string("a\0b", 3);
  const catalog::StreamEntries entries{7, 100, 55,
                                       std::make_shared<const catalog::StreamItems>(3, item)};
  const catalog::Record record = entries;
  OperationWriter writer(no_tiers);
  writer.add(record);
  ASSERT_EQ(writer.operations().size(), 3u);
  const pm_operation_t& operation = writer.operations()[2];
  EXPECT_EQ(operation.kind, std::uint32_t{kind_stream_entry});
  const auto row = read_stream_entry(operation.values, operation.value_count);
  ASSERT_TRUE(row.ok());
  EXPECT_EQ(row->offset, 102u);
  EXPECT_EQ(row->payload, item.payload);
  EXPECT_EQ(row->append_time_ns, 55);
  EXPECT_EQ(row->event_time_ns, item.event_time_ns);
  EXPECT_EQ(row->duration_ns, UINT64_MAX);
  EXPECT_EQ(row->tags, item.tags);
}

TEST(stream_schema, a_sweep_deletes_its_rows_and_no_others) {
  const catalog::Record record = catalog::StreamSweepRecord{7, 10, 13};
  OperationWriter writer(no_tiers);
  writer.add(record);
  ASSERT_EQ(writer.operations().size(), 3u);
  for (std::uint64_t at = 0; at < 3; ++at) {
    const pm_operation_t& operation = writer.operations()[at];
    EXPECT_EQ(operation.type, std::uint32_t{PM_OPERATION_DELETE});
    ASSERT_EQ(operation.value_count, 2u);
    EXPECT_EQ(operation.values[0].as.u64, 7u);
    EXPECT_EQ(operation.values[1].as.u64, 10 + at);
  }
}

TEST(stream_schema, keeps_what_a_group_has_committed) {
  const catalog::Record record = catalog::ConsumerGroupRecord{7, "group", false, 99};
  OperationWriter writer(no_tiers);
  writer.add(record);
  const pm_operation_t& operation = writer.operations().at(0);
  const auto read = read_consumer_group(operation.values, operation.value_count);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->stream, 7u);
  EXPECT_EQ(read->group, "group");
  EXPECT_EQ(read->offset, 99u);
}

TEST(stream_schema, refuses_records_that_make_no_sense) {
  EXPECT_EQ(read_stream(nullptr, 0).status().code(), Code::data_loss);
  EXPECT_EQ(read_consumer_group(nullptr, 0).status().code(), Code::data_loss);
  EXPECT_EQ(read_stream_entry(nullptr, 0).status().code(), Code::data_loss);
}

}  // namespace
}  // namespace pm::ledger::test
