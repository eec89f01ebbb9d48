#pragma once

#include <pm/repository.h>

#include <array>
#include <pm/cpp/result.hpp>

#include "core/catalog/command.h"
#include "record_fields.h"

// How streams stand in a repository: a row for each stream, each entry, and each consumer group.

namespace pm::ledger {

enum StreamRecordKind : std::uint32_t {
  kind_stream = 20,
  kind_stream_entry = 21,
  kind_consumer_group = 22
};

namespace stream_field {
enum : std::uint32_t {
  number = 1,
  dead,
  space,
  name,
  swept_offset,
  first_offset,
  next_offset,
  entries_max,
  age_max_s,
  created_at_ns,
  last_append_ns,
};
}
namespace entry_field {
enum : std::uint32_t {
  stream = 1,
  offset,
  payload_id,
  append_time_ns,
  event_time_ns,
  duration_ns,
  tags
};
}
namespace group_field {
enum : std::uint32_t { stream = 1, group, offset };
}

inline constexpr std::array stream_fields = {
    field(stream_field::number, PM_VALUE_U64, "number"),
    field(stream_field::dead, PM_VALUE_U64, "dead"),
    field(stream_field::space, PM_VALUE_TEXT, "namespace"),
    field(stream_field::name, PM_VALUE_TEXT, "name"),
    field(stream_field::swept_offset, PM_VALUE_U64, "swept_offset"),
    field(stream_field::first_offset, PM_VALUE_U64, "first_offset"),
    field(stream_field::next_offset, PM_VALUE_U64, "next_offset"),
    field(stream_field::entries_max, PM_VALUE_U64, "entries_max"),
    field(stream_field::age_max_s, PM_VALUE_U64, "age_max_s"),
    field(stream_field::created_at_ns, PM_VALUE_I64, "created_at_ns"),
    field(stream_field::last_append_ns, PM_VALUE_I64, "last_append_ns"),
};
inline constexpr std::array entry_fields = {
    field(entry_field::stream, PM_VALUE_U64, "stream"),
    field(entry_field::offset, PM_VALUE_U64, "entry_offset"),
    field(entry_field::payload_id, PM_VALUE_BYTES, "payload_id"),
    field(entry_field::append_time_ns, PM_VALUE_I64, "append_time_ns"),
    field(entry_field::event_time_ns, PM_VALUE_I64, "event_time_ns"),
    field(entry_field::duration_ns, PM_VALUE_U64, "duration_ns"),
    field(entry_field::tags, PM_VALUE_BYTES, "tags"),
};
inline constexpr std::array group_fields = {
    field(group_field::stream, PM_VALUE_U64, "stream"),
    field(group_field::group, PM_VALUE_TEXT, "consumer_group"),
    field(group_field::offset, PM_VALUE_U64, "committed_offset"),
};

inline constexpr pm_record_kind_t stream_kind = kind(kind_stream, "stream", stream_fields);
inline constexpr pm_record_kind_t stream_entry_kind =
    kind(kind_stream_entry, "stream_entry", entry_fields, 2);
inline constexpr pm_record_kind_t consumer_group_kind =
    kind(kind_consumer_group, "consumer_group", group_fields, 2);

// An entry as a scan visits it. `tags` is valid as long as the values.
struct StreamEntryRow {
  std::uint64_t offset = 0;
  catalog::Id payload;
  std::int64_t append_time_ns = 0;
  std::int64_t event_time_ns = catalog::no_time_ns;
  std::uint64_t duration_ns = 0;
  std::string_view tags;
};

// These fail with data_loss when a record makes no sense.
Result<catalog::StreamRecord> read_stream(const pm_value_t* values, std::uint32_t count);
Result<catalog::ConsumerGroupRecord> read_consumer_group(const pm_value_t* values,
                                                         std::uint32_t count);
Result<StreamEntryRow> read_stream_entry(const pm_value_t* values, std::uint32_t count);

}  // namespace pm::ledger
