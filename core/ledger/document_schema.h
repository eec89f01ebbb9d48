#pragma once

#include <pm/repository.h>

#include <array>
#include <pm/cpp/result.hpp>

#include "core/catalog/documents.h"
#include "record_fields.h"

// How what is said about payloads stands in a repository: a row for a payload's metadata, for each
// event, and for each edge of lineage. All of a payload's go by the first field of their keys.

namespace pm::ledger {

enum DocumentRecordKind : std::uint32_t {
  kind_metadata = 10,
  kind_metadata_event = 11,
  kind_lineage = 12
};

namespace metadata_field {
enum : std::uint32_t { payload_id = 1, data, schema, actor, reason, updated_at_ns };
}
namespace metadata_event_field {
enum : std::uint32_t { payload_id = 1, number, data, schema, source, version, event_time_ns };
}
namespace lineage_field {
enum : std::uint32_t { child = 1, parent, fingerprint, operation, role, parameters };
}

inline constexpr std::array metadata_fields = {
    field(metadata_field::payload_id, PM_VALUE_BYTES, "payload_id"),
    field(metadata_field::data, PM_VALUE_BYTES, "data"),
    field(metadata_field::schema, PM_VALUE_TEXT, "schema"),
    field(metadata_field::actor, PM_VALUE_TEXT, "actor"),
    field(metadata_field::reason, PM_VALUE_TEXT, "reason"),
    field(metadata_field::updated_at_ns, PM_VALUE_I64, "updated_at_ns"),
};
inline constexpr std::array metadata_event_fields = {
    field(metadata_event_field::payload_id, PM_VALUE_BYTES, "payload_id"),
    field(metadata_event_field::number, PM_VALUE_U64, "number"),
    field(metadata_event_field::data, PM_VALUE_BYTES, "data"),
    field(metadata_event_field::schema, PM_VALUE_TEXT, "schema"),
    field(metadata_event_field::source, PM_VALUE_TEXT, "source"),
    field(metadata_event_field::version, PM_VALUE_TEXT, "version"),
    field(metadata_event_field::event_time_ns, PM_VALUE_I64, "event_time_ns"),
};
inline constexpr std::array lineage_fields = {
    field(lineage_field::child, PM_VALUE_BYTES, "child"),
    field(lineage_field::parent, PM_VALUE_BYTES, "parent"),
    field(lineage_field::fingerprint, PM_VALUE_BYTES, "fingerprint"),
    field(lineage_field::operation, PM_VALUE_TEXT, "operation"),
    field(lineage_field::role, PM_VALUE_TEXT, "role"),
    field(lineage_field::parameters, PM_VALUE_BYTES, "parameters"),
};
// For the way down.
inline constexpr std::uint32_t lineage_by_parent_fields[] = {lineage_field::parent};
inline constexpr std::array lineage_indexes = {
    pm_index_t{sizeof(pm_index_t), 1, "by_parent", lineage_by_parent_fields},
};

inline constexpr pm_record_kind_t metadata_kind = kind(kind_metadata, "metadata", metadata_fields);
inline constexpr pm_record_kind_t metadata_event_kind =
    kind(kind_metadata_event, "metadata_event", metadata_event_fields, 2);
inline constexpr pm_record_kind_t lineage_kind =
    kind(kind_lineage, "lineage", lineage_fields, 3, lineage_indexes.data(), 1);

// As a scan visits them.
struct MetadataRow {
  catalog::Metadata metadata;
  std::int64_t updated_at_ns = 0;
};
MetadataRow read_metadata(const pm_value_t* values, std::uint32_t count);

struct MetadataEventRow {
  std::uint64_t number = 0;
  std::int64_t at_ns = 0;
  catalog::MetadataEvent event;
};
MetadataEventRow read_metadata_event(const pm_value_t* values, std::uint32_t count);

struct LineageRow {
  catalog::Id child;
  catalog::LineageEdge edge;
};
// DATA_LOSS: its ids are none.
Result<LineageRow> read_lineage(const pm_value_t* values, std::uint32_t count);

}  // namespace pm::ledger
