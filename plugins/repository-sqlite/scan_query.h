#pragma once

#include <pm/cpp/record_schema.hpp>
#include <string>
#include <vector>

namespace pm::repository_sqlite {

// One SELECT of a scan; its last parameter is the limit (-1: none).
struct ScanQuery {
  std::string sql;
  std::vector<const pm_value_t*> parameters;
};

// "a", "b", ... of the kind's fields, for SELECT and INSERT.
std::string column_list(const sdk::RecordKind& kind);

// The SELECTs that, one after the other within one snapshot, give the records of `scan` in order.
// There are two when the leading field of the order is a U64: the lower half of its values and the
// upper half, which is stored as negative numbers, so that each half is in the order of an index.
// U64 fields further back are ordered by their half first, by sorting rows with equal fore fields.
// None when the conditions exclude each other's half. check_scan() has passed.
std::vector<ScanQuery> scan_queries(const sdk::RecordKind& kind, const pm_scan_t& scan);

}  // namespace pm::repository_sqlite
