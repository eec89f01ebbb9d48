#pragma once

#include <cstdint>
#include <mutex>
#include <pm/cpp/record_schema.hpp>
#include <vector>

#include "ordered_tree.h"
#include "record.h"

namespace pm::repository_memory {

// Records in the memory of the process. Threads: as pm_repository_t says.
class MemoryRepository {
 public:
  Status open(const pm_schema_t& schema, pm_repository_state_t* state);
  Status apply(const pm_batch_t& batch);
  Status get(std::uint32_t kind, const pm_value_t* key, std::uint32_t key_count,
             pm_on_record_t on_record, void* data);
  Status scan(const pm_scan_t& scan, pm_on_record_t on_record, void* data);

 private:
  // An operation that fits the schema, its record made.
  struct Change {
    std::size_t kind = 0;
    std::uint32_t type = 0;
    std::size_t prefix = 0;  // Of a PM_OPERATION_DELETE_PREFIX: how many key fields count.
    RecordRef record;
  };

  Result<Change> prepare(const pm_operation_t& operation, std::vector<const pm_value_t*>& slots);
  void carry_out(Change change);
  void remove(std::vector<OrderedTree>& trees, const Record& record);
  void remove_all(std::vector<OrderedTree>& trees, const Record& first, std::size_t prefix);
  Status usable() const;

  // Set by open(), constant from then on.
  bool is_open_ = false;
  sdk::RecordSchema schema_;

  // Held for the trees' part of a batch, for one look-up, and for taking a snapshot; never while
  // the host's functions run.
  std::mutex mutex_;
  // For each kind the tree by key and then one for each index.
  std::vector<std::vector<OrderedTree>> trees_;
  std::uint64_t last_sequence_ = 0;
  bool half_applied_ = false;  // Memory ran out within a batch: what is there is not a state.
};

}  // namespace pm::repository_memory
