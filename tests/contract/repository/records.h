#pragma once

#include <pm/repository.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

// Values, records and operations that own their bytes, and the schemas the rules use.

namespace pm::contract {

struct Cell {
  std::uint32_t type = PM_VALUE_U64;
  std::uint64_t number = 0;  // The bits of a U64 or I64.
  std::string bytes;         // Of BYTES or TEXT.
  bool operator==(const Cell&) const = default;
};

inline Cell u64(std::uint64_t value) { return {PM_VALUE_U64, value, {}}; }
inline Cell i64(std::int64_t value) {
  return {PM_VALUE_I64, static_cast<std::uint64_t>(value), {}};
}
inline Cell bytes(std::string value) { return {PM_VALUE_BYTES, 0, std::move(value)}; }
inline Cell text(std::string value) { return {PM_VALUE_TEXT, 0, std::move(value)}; }

// Below, equal or above 0. Unsigned, signed or byte by byte, as the type has it.
int compare(const Cell& a, const Cell& b);

struct FieldValue {
  std::uint32_t field = 0;
  Cell cell;
  bool operator==(const FieldValue&) const = default;
};
using Record = std::vector<FieldValue>;
using Records = std::vector<Record>;

// Of a record that has it.
const Cell& cell_of(const Record& record, std::uint32_t field);

pm_value_t to_abi(const FieldValue& value);  // Points into `value`.
FieldValue from_abi(const pm_value_t& value);

struct Operation {
  std::uint32_t kind = 0;
  Record record;
  std::uint32_t type = PM_OPERATION_PUT;
};
inline Operation put(std::uint32_t kind, Record record) { return {kind, std::move(record)}; }
inline Operation remove(std::uint32_t kind, Record key) {
  return {kind, std::move(key), PM_OPERATION_DELETE};
}
inline Operation remove_prefix(std::uint32_t kind, Record prefix) {
  return {kind, std::move(prefix), PM_OPERATION_DELETE_PREFIX};
}

// The kinds. A thing has one of each type; an entry has a key of two fields; a counter is found by
// a number; an edge has a key of three fields and an index; a late one is only in schema version 2,
// as are `extra` and `label` of a thing.
enum Kind : std::uint32_t { thing = 1, entry = 2, counter = 3, late = 4, edge = 5 };
enum ThingField : std::uint32_t {
  thing_id = 1,
  thing_amount = 2,
  thing_delta = 3,
  thing_blob = 4,
  thing_note = 5,
  thing_extra = 9,
  thing_label = 10
};
enum EntryField : std::uint32_t { entry_stream = 1, entry_offset = 2, entry_body = 3 };
enum CounterField : std::uint32_t { counter_number = 1, counter_value = 2 };
enum EdgeField : std::uint32_t { edge_child = 1, edge_parent = 2, edge_number = 3, edge_note = 4 };

const pm_schema_t& schema_1();
const pm_schema_t& schema_2();

// A whole record of version 1.
Record make_thing(const std::string& id, std::uint64_t amount = 0, std::int64_t delta = 0,
                  const std::string& blob = {}, const std::string& note = {});
Record make_entry(const std::string& stream, std::uint64_t offset, const std::string& body = {});
Record make_counter(std::uint64_t number, std::uint64_t value);
Record make_edge(const std::string& child, const std::string& parent, std::uint64_t number);

// Its first `count` fields.
Record key_of(const Record& record, std::size_t count = 1);

}  // namespace pm::contract
