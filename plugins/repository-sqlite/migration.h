#pragma once

#include <pm/cpp/record_schema.hpp>
#include <pm/cpp/result.hpp>
#include <string>

#include "connection.h"

namespace pm::repository_sqlite {

// The column of a record's row that tells which batch wrote it.
inline constexpr char sequence_column[] = "pm_sequence";

// What the store is.
struct StoreState {
  std::string instance_id;
  std::uint64_t epoch = 0;
  std::uint64_t last_sequence = 0;
};

// Makes or brings up the tables of `schema` and claims the next epoch, all in one transaction.
// The store keeps one table for each kind, named as the kind is, and two of its own:
//   pm_schema(version, applied_at, changes)            one row for each version that was reached
//   pm_meta(instance_id, epoch, last_sequence, barriers, is_open)   one row; `barriers` counts
//       transactions that are there to be synced only
// Each row of a kind's table has the sequence of the batch that wrote it in the column pm_sequence.
// While a host is there, or after one that was killed, is_open is 1 and the last sequence is the
// largest of last_sequence and all rows'.
// failed_precondition: the store is newer, or a field changed its type, or the file is somebody
// else's database. data_loss: it is damaged.
Result<StoreState> migrate(const Connection& connection, const sdk::RecordSchema& schema,
                           const std::string& path);

}  // namespace pm::repository_sqlite
