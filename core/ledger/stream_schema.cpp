#include "stream_schema.h"

#include "schema.h"

namespace pm::ledger {

// ---- writing ----

void OperationWriter::add_stream(const catalog::StreamRecord& record) {
  begin(kind_stream, record.erased ? PM_OPERATION_DELETE : PM_OPERATION_PUT);
  u64(stream_field::number, record.number);
  if (record.erased) return;
  u64(stream_field::dead, record.dead ? 1 : 0);
  text(stream_field::space, record.name.space);
  text(stream_field::name, record.name.name);
  u64(stream_field::swept_offset, record.swept_offset);
  u64(stream_field::first_offset, record.first_offset);
  u64(stream_field::next_offset, record.next_offset);
  u64(stream_field::entries_max, record.entries_max);
  u64(stream_field::age_max_s, record.age_max_s);
  i64(stream_field::created_at_ns, record.created_at_ns);
  i64(stream_field::last_append_ns, record.last_append_ns);
}

void OperationWriter::add_stream_entries(const catalog::StreamEntries& entries) {
  std::uint64_t offset = entries.first_offset;
  for (const catalog::StreamItem& item : *entries.items) {
    begin(kind_stream_entry, PM_OPERATION_PUT);
    u64(entry_field::stream, entries.stream);
    u64(entry_field::offset, offset++);
    bytes(entry_field::payload_id, item.payload.bytes.data(), item.payload.bytes.size());
    i64(entry_field::append_time_ns, entries.append_time_ns);
    i64(entry_field::event_time_ns, item.event_time_ns);
    u64(entry_field::duration_ns, item.duration_ns);
    bytes(entry_field::tags, item.tags.data(), item.tags.size());
  }
}

void OperationWriter::add_stream_sweep(const catalog::StreamSweepRecord& sweep) {
  for (std::uint64_t offset = sweep.first_offset; offset < sweep.end_offset; ++offset) {
    begin(kind_stream_entry, PM_OPERATION_DELETE);
    u64(entry_field::stream, sweep.stream);
    u64(entry_field::offset, offset);
  }
}

void OperationWriter::add_consumer_group(const catalog::ConsumerGroupRecord& record) {
  begin(kind_consumer_group, record.erased ? PM_OPERATION_DELETE : PM_OPERATION_PUT);
  u64(group_field::stream, record.stream);
  text(group_field::group, record.group);
  if (!record.erased) u64(group_field::offset, record.offset);
}

// ---- reading ----

Result<catalog::StreamRecord> read_stream(const pm_value_t* values, std::uint32_t count) {
  const Fields in(values, count);
  catalog::StreamRecord record;
  record.number = in.u64(stream_field::number);
  record.dead = in.u64(stream_field::dead) != 0;
  record.name.space = in.text(stream_field::space);
  record.name.name = in.text(stream_field::name);
  record.swept_offset = in.u64(stream_field::swept_offset);
  record.first_offset = in.u64(stream_field::first_offset);
  record.next_offset = in.u64(stream_field::next_offset);
  record.entries_max = in.u64(stream_field::entries_max);
  record.age_max_s = in.u64(stream_field::age_max_s);
  record.created_at_ns = in.i64(stream_field::created_at_ns);
  record.last_append_ns = in.i64(stream_field::last_append_ns);
  const bool in_order =
      record.swept_offset <= record.first_offset && record.first_offset <= record.next_offset;
  if (record.number == 0 || !in_order || record.name.name.empty()) {
    return Status{Code::data_loss, "a record of kind 'stream' makes no sense"};
  }
  return record;
}

Result<catalog::ConsumerGroupRecord> read_consumer_group(const pm_value_t* values,
                                                         std::uint32_t count) {
  const Fields in(values, count);
  catalog::ConsumerGroupRecord record;
  record.stream = in.u64(group_field::stream);
  record.group = in.text(group_field::group);
  record.offset = in.u64(group_field::offset);
  if (record.stream == 0 || record.group.empty()) {
    return Status{Code::data_loss, "a record of kind 'consumer_group' makes no sense"};
  }
  return record;
}

Result<StreamEntryRow> read_stream_entry(const pm_value_t* values, std::uint32_t count) {
  const Fields in(values, count);
  StreamEntryRow row;
  row.offset = in.u64(entry_field::offset);
  row.append_time_ns = in.i64(entry_field::append_time_ns);
  row.event_time_ns = in.i64(entry_field::event_time_ns);
  row.duration_ns = in.u64(entry_field::duration_ns);
  row.tags = in.bytes(entry_field::tags);
  if (!read_id(in.bytes(entry_field::payload_id), row.payload)) {
    return Status{Code::data_loss, "a record of kind 'stream_entry' makes no sense"};
  }
  return row;
}

}  // namespace pm::ledger
