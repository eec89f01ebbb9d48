#include "repository.h"

#include <sys/random.h>

#include <cinttypes>
#include <cstdio>
#include <new>

#include "scan_plan.h"

namespace pm::repository_memory {

namespace {

// The store is as old as this opening of it.
constexpr std::uint64_t only_epoch = 1;

}  // namespace

Status MemoryRepository::open(const pm_schema_t& schema, pm_repository_state_t* state) {
  if (state == nullptr || state->size < sizeof *state)
    return {Code::invalid_argument, "the state to fill in is of an older, smaller layout"};
  if (is_open_) return {Code::failed_precondition, "the repository is open already"};
  Result<sdk::RecordSchema> copy = sdk::RecordSchema::read(schema);
  if (!copy.ok()) return copy.status();
  std::uint64_t bits = 0;
  if (::getrandom(&bits, sizeof bits, 0) != sizeof bits)
    return {Code::unavailable, "the kernel gave no random numbers"};
  schema_ = std::move(*copy);
  for (const sdk::RecordKind& kind : schema_.kinds) {
    const auto nothing = [](std::size_t) { return false; };
    std::vector<OrderedTree> trees;
    trees.emplace_back(sdk::deciding_positions(kind, {}, nothing));
    for (const sdk::RecordIndex& index : kind.indexes)
      trees.emplace_back(sdk::deciding_positions(kind, index.positions, nothing));
    trees_.push_back(std::move(trees));
  }
  state->epoch = only_epoch;
  state->last_sequence = 0;
  std::snprintf(state->instance_id, sizeof state->instance_id, "%016" PRIx64, bits);
  is_open_ = true;
  return {};
}

Status MemoryRepository::usable() const {
  if (is_open_) return {};
  return {Code::failed_precondition, "the repository is not open"};
}

Status MemoryRepository::apply(const pm_batch_t& batch) {
  PM_TRY(usable());
  const auto turn = sdk::check_turn(batch, only_epoch, 0, last_sequence_);
  if (!turn.ok()) return turn.status();
  if (*turn == sdk::BatchTurn::repeat) return {};
  std::vector<const pm_value_t*> slots;
  std::vector<Change> changes;
  changes.reserve(batch.operation_count);
  for (std::uint64_t i = 0; i < batch.operation_count; ++i) {
    Result<Change> change = prepare(batch.operations[i], slots);
    if (!change.ok()) return change.status();
    changes.push_back(std::move(*change));
  }
  // From here on only a lack of memory for a node can fail.
  const std::lock_guard lock(mutex_);
  if (half_applied_) return {Code::data_loss, "memory ran out within an earlier batch"};
  try {
    for (Change& change : changes) carry_out(std::move(change));
  } catch (const std::bad_alloc&) {
    half_applied_ = true;
    return {Code::data_loss, "memory ran out within a batch; what is stored is lost"};
  }
  last_sequence_ = batch.sequence;
  return {};
}

Result<MemoryRepository::Change> MemoryRepository::prepare(const pm_operation_t& operation,
                                                           std::vector<const pm_value_t*>& slots) {
  const std::size_t at = schema_.find(operation.kind);
  if (at == schema_.kinds.size()) return schema_.unknown_kind(operation.kind);
  const sdk::RecordKind& kind = schema_.kinds[at];
  if (operation.type < PM_OPERATION_PUT || operation.type > PM_OPERATION_DELETE_PREFIX)
    return Status(Code::invalid_argument,
                  "operation type " + std::to_string(operation.type) + " is unknown");
  const bool is_put = operation.type == PM_OPERATION_PUT;
  const std::size_t given = is_put ? kind.fields.size() : kind.key_count;
  slots.resize(given);
  std::size_t prefix = 0;
  if (operation.type == PM_OPERATION_DELETE_PREFIX) {
    const auto placed =
        sdk::place_prefix(kind, operation.values, operation.value_count, slots.data());
    if (!placed.ok()) return placed.status();
    prefix = *placed;
  } else {
    PM_TRY(sdk::place_values(kind, operation.values, operation.value_count, given, slots.data()));
  }
  return Change{at, operation.type, prefix, make_record(kind, slots.data(), given)};
}

void MemoryRepository::remove(std::vector<OrderedTree>& trees, const Record& record) {
  const RecordRef removed = trees[0].remove(record);
  if (!removed) return;
  for (std::size_t i = 1; i < trees.size(); ++i) trees[i].remove(*removed);
}

// A snapshot is walked, so that the tree may change meanwhile.
void MemoryRepository::remove_all(std::vector<OrderedTree>& trees, const Record& first,
                                  std::size_t prefix) {
  const std::vector<std::size_t>& key = trees[0].positions();
  const std::vector<std::size_t> leading(key.begin(),
                                         key.begin() + static_cast<std::ptrdiff_t>(prefix));
  std::vector<RecordRef> found;
  trees[0].snapshot().walk(
      false, [&](const Record& record) { return compare(record, first, leading) < 0; },
      [&](const Record& record) { return compare(record, first, leading) > 0; },
      [&](const Record& record) {
        found.push_back(RecordRef::share(&record));
        return true;
      });
  for (const RecordRef& record : found) remove(trees, *record);
}

void MemoryRepository::carry_out(Change change) {
  std::vector<OrderedTree>& trees = trees_[change.kind];
  const Record& record = *change.record;
  if (change.type == PM_OPERATION_DELETE) return remove(trees, record);
  if (change.type == PM_OPERATION_DELETE_PREFIX) return remove_all(trees, record, change.prefix);
  const RecordRef replaced = trees[0].put(RecordRef::share(&record));
  for (std::size_t i = 1; i < trees.size(); ++i) {
    if (replaced && compare(*replaced, record, trees[i].positions()) != 0)
      trees[i].remove(*replaced);
    trees[i].put(RecordRef::share(&record));
  }
}

Status MemoryRepository::get(std::uint32_t kind_id, const pm_value_t* key, std::uint32_t key_count,
                             pm_on_record_t on_record, void* data) {
  PM_TRY(usable());
  const std::size_t at = schema_.find(kind_id);
  if (at == schema_.kinds.size()) return schema_.unknown_kind(kind_id);
  const sdk::RecordKind& kind = schema_.kinds[at];
  std::vector<const pm_value_t*> slots(kind.key_count);
  PM_TRY(sdk::place_values(kind, key, key_count, kind.key_count, slots.data()));
  const RecordRef probe = make_record(kind, slots.data(), kind.key_count);
  RecordRef found;
  {
    const std::lock_guard lock(mutex_);
    if (half_applied_) return {Code::data_loss, "memory ran out within an earlier batch"};
    if (const Record* record = trees_[at][0].find(*probe)) found = RecordRef::share(record);
  }
  if (!found) return {Code::not_found, "no such record of kind " + kind.name};
  on_record(data, found.get()->values(), found.get()->value_count);
  return {};
}

Status MemoryRepository::scan(const pm_scan_t& scan, pm_on_record_t on_record, void* data) {
  PM_TRY(usable());
  if (scan.size < sizeof scan)
    return {Code::invalid_argument, "the scan is of an older, smaller layout"};
  const std::size_t at = schema_.find(scan.kind);
  if (at == schema_.kinds.size()) return schema_.unknown_kind(scan.kind);
  const sdk::RecordKind& kind = schema_.kinds[at];
  PM_TRY(sdk::check_scan(kind, scan));
  const ScanPlan plan = plan_scan(kind, trees_[at], scan);
  Snapshot snapshot;
  {
    const std::lock_guard lock(mutex_);
    if (half_applied_) return {Code::data_loss, "memory ran out within an earlier batch"};
    snapshot = trees_[at][plan.tree].snapshot();
  }
  run_scan(kind, scan, plan, snapshot, trees_[at][plan.tree].positions(), on_record, data);
  return {};
}

}  // namespace pm::repository_memory
