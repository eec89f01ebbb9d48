#include "records.h"

namespace pm::contract {

namespace {

constexpr std::uint32_t field_size = sizeof(pm_field_t);

constexpr pm_field_t thing_fields[] = {
    {field_size, thing_id, PM_VALUE_BYTES, 0, "id"},
    {field_size, thing_amount, PM_VALUE_U64, 0, "amount"},
    {field_size, thing_delta, PM_VALUE_I64, 0, "delta"},
    {field_size, thing_blob, PM_VALUE_BYTES, 0, "blob"},
    // A word of SQL: a store must not trip over it.
    {field_size, thing_note, PM_VALUE_TEXT, 0, "order"},
    {field_size, thing_extra, PM_VALUE_U64, 0, "extra"},
    {field_size, thing_label, PM_VALUE_TEXT, 0, "label"},
};
constexpr pm_field_t entry_fields[] = {
    {field_size, entry_stream, PM_VALUE_BYTES, 0, "stream"},
    {field_size, entry_offset, PM_VALUE_U64, 0, "sequence"},
    {field_size, entry_body, PM_VALUE_BYTES, 0, "body"},
};
constexpr pm_field_t counter_fields[] = {
    {field_size, counter_number, PM_VALUE_U64, 0, "number"},
    {field_size, counter_value, PM_VALUE_U64, 0, "value"},
};
constexpr pm_field_t edge_fields[] = {
    {field_size, edge_child, PM_VALUE_BYTES, 0, "child"},
    {field_size, edge_parent, PM_VALUE_BYTES, 0, "parent"},
    {field_size, edge_number, PM_VALUE_U64, 0, "number"},
    {field_size, edge_note, PM_VALUE_TEXT, 0, "note"},
};

constexpr std::uint32_t by_amount[] = {thing_amount};
constexpr std::uint32_t by_note[] = {thing_note, thing_delta};
constexpr std::uint32_t by_extra[] = {thing_extra};
constexpr pm_index_t thing_indexes[] = {
    {sizeof(pm_index_t), 1, "by_amount", by_amount},
    {sizeof(pm_index_t), 2, "by_note", by_note},
    {sizeof(pm_index_t), 1, "by_extra", by_extra},
};

constexpr std::uint32_t by_parent[] = {edge_parent};
constexpr pm_index_t edge_indexes[] = {{sizeof(pm_index_t), 1, "by_parent", by_parent}};

constexpr pm_record_kind_t kind_of(std::uint32_t id, const char* name, const pm_field_t* fields,
                                   std::uint32_t field_count, std::uint32_t key_count,
                                   std::uint32_t index_count,
                                   const pm_index_t* indexes = thing_indexes) {
  return {
      sizeof(pm_record_kind_t), id, name, fields, field_count, key_count, indexes, index_count, 0};
}

constexpr pm_record_kind_t kinds_1[] = {
    kind_of(thing, "thing", thing_fields, 5, 1, 2),
    kind_of(entry, "entry", entry_fields, 3, 2, 0),
    kind_of(counter, "group", counter_fields, 2, 1, 0),
    kind_of(edge, "edge", edge_fields, 4, 3, 1, edge_indexes),
};
constexpr pm_record_kind_t kinds_2[] = {
    kind_of(thing, "thing", thing_fields, 7, 1, 3),
    kind_of(entry, "entry", entry_fields, 3, 2, 0),
    kind_of(counter, "group", counter_fields, 2, 1, 0),
    kind_of(late, "late", counter_fields, 2, 1, 0),
    kind_of(edge, "edge", edge_fields, 4, 3, 1, edge_indexes),
};
constexpr pm_schema_t schemas[] = {{sizeof(pm_schema_t), 1, kinds_1, 4, 0},
                                   {sizeof(pm_schema_t), 2, kinds_2, 5, 0}};

}  // namespace

int compare(const Cell& a, const Cell& b) {
  if (a.type == PM_VALUE_I64) {
    const auto x = static_cast<std::int64_t>(a.number);
    const auto y = static_cast<std::int64_t>(b.number);
    return x < y ? -1 : x > y;
  }
  if (a.type == PM_VALUE_U64) return a.number < b.number ? -1 : a.number > b.number;
  return a.bytes.compare(b.bytes);
}

const Cell& cell_of(const Record& record, std::uint32_t field) {
  std::size_t at = 0;
  while (record[at].field != field) ++at;
  return record[at].cell;
}

pm_value_t to_abi(const FieldValue& value) {
  pm_value_t result{};
  result.field = value.field;
  result.type = value.cell.type;
  if (value.cell.type == PM_VALUE_BYTES || value.cell.type == PM_VALUE_TEXT) {
    // Empty bytes come without a place sometimes.
    result.as.bytes.data = value.cell.bytes.empty() ? nullptr : value.cell.bytes.data();
    result.as.bytes.length = value.cell.bytes.size();
  } else {
    result.as.u64 = value.cell.number;
  }
  return result;
}

FieldValue from_abi(const pm_value_t& value) {
  FieldValue result{value.field, {value.type, 0, {}}};
  if (value.type != PM_VALUE_BYTES && value.type != PM_VALUE_TEXT) {
    result.cell.number = value.as.u64;
  } else if (value.as.bytes.length != 0) {
    result.cell.bytes.assign(static_cast<const char*>(value.as.bytes.data), value.as.bytes.length);
  }
  return result;
}

const pm_schema_t& schema_1() { return schemas[0]; }
const pm_schema_t& schema_2() { return schemas[1]; }

Record make_thing(const std::string& id, std::uint64_t amount, std::int64_t delta,
                  const std::string& blob, const std::string& note) {
  return {{thing_id, bytes(id)},
          {thing_amount, u64(amount)},
          {thing_delta, i64(delta)},
          {thing_blob, bytes(blob)},
          {thing_note, text(note)}};
}

Record make_entry(const std::string& stream, std::uint64_t offset, const std::string& body) {
  return {{entry_stream, bytes(stream)}, {entry_offset, u64(offset)}, {entry_body, bytes(body)}};
}

Record make_counter(std::uint64_t number, std::uint64_t value) {
  return {{counter_number, u64(number)}, {counter_value, u64(value)}};
}

Record make_edge(const std::string& child, const std::string& parent, std::uint64_t number) {
  return {{edge_child, bytes(child)},
          {edge_parent, bytes(parent)},
          {edge_number, u64(number)},
          {edge_note, text("note")}};
}

Record key_of(const Record& record, std::size_t count) {
  return {record.begin(), record.begin() + static_cast<std::ptrdiff_t>(count)};
}

}  // namespace pm::contract
