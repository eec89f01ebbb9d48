#pragma once

#include <pm/cpp/record_schema.hpp>
#include <pm/cpp/result.hpp>
#include <string>

#include "connection.h"

namespace pm::repository_sqlite {

// What the store is, as pm_meta tells it.
struct StoreState {
  std::string instance_id;
  std::uint64_t epoch = 0;
  std::uint64_t last_sequence = 0;
};

// Makes or brings up the tables of `schema` and claims the next epoch, all in one transaction.
// The store keeps one table for each kind, named as the kind is, and two of its own:
//   pm_schema(version, applied_at, changes)            one row for each version that was reached
//   pm_meta(instance_id, epoch, last_sequence, barriers)   one row; `barriers` counts transactions
//                                                          that are there to be synced only
// failed_precondition: the store is newer, or a field changed its type, or the file is somebody
// else's database. data_loss: it is damaged.
Result<StoreState> migrate(const Connection& connection, const sdk::RecordSchema& schema,
                           const std::string& path);

}  // namespace pm::repository_sqlite
