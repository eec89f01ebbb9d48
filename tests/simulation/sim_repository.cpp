#include "sim_repository.h"

#include <algorithm>
#include <cstring>

namespace pm::simulation {

namespace {

// So that the encoding of the first fields is a prefix of that of all.
void append_key(std::string& key, const std::string& part) {
  const auto length = static_cast<std::uint32_t>(part.size());
  key.append(reinterpret_cast<const char*>(&length), sizeof length);
  key.append(part);
}

}  // namespace

SimRepository::SimRepository(Trouble& trouble) : trouble_(trouble) {
  abi_.repository_data = this;
  abi_.apply = [](const pm_repository_t* repository, const pm_batch_t* batch) {
    return static_cast<SimRepository*>(repository->repository_data)->apply(*batch);
  };
  abi_.scan = [](const pm_repository_t* repository, const pm_scan_t* scan, pm_on_record_t on_record,
                 void* data) {
    return static_cast<const SimRepository*>(repository->repository_data)
        ->scan(scan->kind, on_record, data);
  };
  abi_.get_extension = [](const pm_repository_t*, const char*) -> const void* { return nullptr; };
}

pm_repository_state_t SimRepository::open(const pm_schema_t& schema) {
  for (std::uint32_t at = 0; at < schema.kind_count; ++at) {
    key_counts_[schema.kinds[at].id] = schema.kinds[at].key_count;
  }
  pm_repository_state_t state{};
  state.size = sizeof state;
  state.epoch = ++epoch_;
  state.last_sequence = state_.sequence;
  return state;
}

SimRepository::Operation SimRepository::copy_of(const pm_operation_t& operation) const {
  Operation copy{operation.kind, operation.type, {}, {}};
  const std::uint32_t key_count = key_counts_.at(operation.kind);
  for (std::uint32_t at = 0; at < operation.value_count; ++at) {
    const pm_value_t& value = operation.values[at];
    Value kept{value.field, value.type, 0, {}};
    if (value.type == PM_VALUE_BYTES || value.type == PM_VALUE_TEXT) {
      kept.bytes.assign(static_cast<const char*>(value.as.bytes.data), value.as.bytes.length);
    } else {
      kept.number = value.as.u64;
    }
    if (at < key_count) {
      const bool is_number = kept.bytes.empty() && value.type <= PM_VALUE_I64;
      append_key(copy.key, is_number ? std::string(reinterpret_cast<const char*>(&kept.number),
                                                   sizeof kept.number)
                                     : kept.bytes);
    }
    copy.values.push_back(std::move(kept));
  }
  return copy;
}

void SimRepository::apply_to(State& state, const Batch& batch) {
  state.sequence = batch.sequence;
  for (const Operation& operation : batch.operations) {
    Records& records = state.kinds[operation.kind];
    if (operation.type == PM_OPERATION_PUT) {
      records[operation.key] = operation.values;
    } else if (operation.type == PM_OPERATION_DELETE) {
      records.erase(operation.key);
    } else {
      auto at = records.lower_bound(operation.key);
      while (at != records.end() && at->first.starts_with(operation.key)) at = records.erase(at);
    }
  }
}

pm_status_t SimRepository::apply(const pm_batch_t& batch) {
  trouble_.before_call();
  if (batch.epoch != epoch_) return PM_ABORTED;
  if (trouble_.strikes(Fault::repository_is_away, 12)) {
    return trouble_.dice().one_in(3) ? PM_RESOURCE_EXHAUSTED : PM_UNAVAILABLE;
  }
  if (trouble_.strikes(Fault::repository_refuses, 1'000)) return PM_INTERNAL;
  if (batch.sequence > state_.sequence) {
    if (batch.sequence != state_.sequence + 1) violation_ = "a batch is missing";
    Batch copy{batch.sequence, {}};
    for (std::uint64_t at = 0; at < batch.operation_count; ++at) {
      copy.operations.push_back(copy_of(batch.operations[at]));
    }
    apply_to(state_, copy);
    unsynced_.push_back(std::move(copy));
  }
  if (batch.durability == PM_DURABILITY_POWER) {
    for (const Batch& each : unsynced_) apply_to(synced_, each);
    unsynced_.clear();
  }
  trouble_.after_call();
  if (trouble_.strikes(Fault::repository_answer_is_lost, 40)) return PM_UNAVAILABLE;
  return PM_OK;
}

pm_status_t SimRepository::scan(std::uint32_t kind, pm_on_record_t on_record, void* data) const {
  const auto records = state_.kinds.find(kind);
  if (records == state_.kinds.end()) return PM_OK;
  std::vector<pm_value_t> values;
  for (const auto& [key, kept] : records->second) {
    values.clear();
    for (const Value& value : kept) {
      pm_value_t told{};
      told.field = value.field;
      told.type = value.type;
      if (value.type == PM_VALUE_BYTES || value.type == PM_VALUE_TEXT) {
        told.as.bytes.data = value.bytes.data();
        told.as.bytes.length = value.bytes.size();
      } else {
        told.as.u64 = value.number;
      }
      values.push_back(told);
    }
    if (!on_record(data, values.data(), static_cast<std::uint32_t>(values.size()))) break;
  }
  return PM_OK;
}

void SimRepository::cut_power() {
  const std::uint64_t kept = trouble_.dice().pick(unsynced_.size() + 1);
  if (kept < unsynced_.size()) trouble_.count(Fault::unsynced_is_lost);
  for (std::uint64_t at = 0; at < kept; ++at) apply_to(synced_, unsynced_[at]);
  unsynced_.clear();
  state_ = synced_;
}

}  // namespace pm::simulation
