#include "mutant.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <map>
#include <mutex>
#include <pm/cpp/record_schema.hpp>
#include <thread>

#include "records.h"

namespace pm::contract {

namespace {

struct LessByCells {
  bool operator()(const Record& a, const Record& b) const {
    for (std::size_t i = 0; i < a.size() && i < b.size(); ++i)
      if (const int result = compare(a[i].cell, b[i].cell); result != 0) return result < 0;
    return a.size() < b.size();
  }
};
using Table = std::map<Record, Record, LessByCells>;  // By key.

// What a real store would have on disk.
struct Disk {
  std::mutex mutex;
  std::map<std::uint32_t, Table> tables;
  std::uint32_t version = 0;
  std::uint64_t epoch = 0;
  std::uint64_t last_sequence = 0;
  std::uint64_t instance_id = 0x0123456789abcdef;
  std::vector<std::pair<std::uint32_t, Record>> deleted;  // Kind and record.
  bool is_held = false;
};

class Mutant {
 public:
  Mutant(std::shared_ptr<Disk> disk, Mutation mutation)
      : disk_(std::move(disk)), mutation_(mutation) {}
  ~Mutant() {
    if (holds_) disk_->is_held = false;
  }

  pm_repository_t table{};

  Status open(const pm_schema_t& schema, pm_repository_state_t* state);
  Status apply(const pm_batch_t& batch);
  Status get(std::uint32_t kind, const pm_value_t* key, std::uint32_t key_count,
             pm_on_record_t on_record, void* data);
  Status scan(const pm_scan_t& scan, pm_on_record_t on_record, void* data);

 private:
  bool is(Mutation mutation) const { return mutation_ == mutation; }
  Status carry_out(const pm_operation_t& operation);
  void remove_prefix(Table& table, const pm_operation_t& operation) const;
  Status check(const sdk::RecordKind& kind, const pm_operation_t& operation,
               std::vector<const pm_value_t*>& slots) const;
  Cell stored(const pm_value_t& value) const;
  bool meets(const sdk::RecordKind& kind, const Record& record, const pm_scan_t& scan) const;
  int order(const Cell& a, const Cell& b) const;
  std::vector<Record> select(const sdk::RecordKind& kind, const pm_scan_t& scan) const;
  bool hand_out(const Record& record, pm_on_record_t on_record, void* data) const;

  std::shared_ptr<Disk> disk_;
  const Mutation mutation_;
  sdk::RecordSchema schema_;
  std::uint64_t first_sequence_ = 0;
  std::atomic<bool> is_applying_{false};
  bool holds_ = false;
};

Record default_record(const sdk::RecordKind& kind) {
  Record record;
  for (const auto& field : kind.fields) record.push_back({field.id, {field.type, 0, {}}});
  return record;
}

Status Mutant::open(const pm_schema_t& schema, pm_repository_state_t* state) {
  auto copy = sdk::RecordSchema::read(schema);
  if (!copy.ok()) return copy.status();
  schema_ = std::move(*copy);
  if (disk_->is_held && !is(Mutation::second_instance_is_let_in))
    return {Code::aborted, "another instance has the store"};
  if (disk_->version > schema.version && !is(Mutation::newer_store_is_opened))
    return {Code::failed_precondition, "the store has version " + std::to_string(disk_->version) +
                                           ", this is " + std::to_string(schema.version)};
  disk_->is_held = holds_ = true;
  disk_->version = schema.version;
  if (!is(Mutation::epoch_stands_still) || disk_->epoch == 0) ++disk_->epoch;
  if (is(Mutation::instance_id_is_drawn_anew)) ++disk_->instance_id;
  if (is(Mutation::sequence_begins_anew)) disk_->last_sequence = 0;
  if (is(Mutation::reopening_loses_deletes))
    for (auto& [kind, record] : disk_->deleted) disk_->tables[kind][key_of(record)] = record;
  for (const auto& kind : schema_.kinds)
    for (auto& [key, record] : disk_->tables[kind.id]) {
      if (is(Mutation::new_fields_are_not_added)) break;
      const Record whole = default_record(kind);
      for (std::size_t f = record.size(); f < whole.size(); ++f) record.push_back(whole[f]);
    }
  first_sequence_ = disk_->last_sequence;
  state->epoch = disk_->epoch;
  state->last_sequence = disk_->last_sequence;
  std::snprintf(state->instance_id, sizeof state->instance_id, "%016llx",
                static_cast<unsigned long long>(disk_->instance_id));
  return {};
}

Status Mutant::apply(const pm_batch_t& batch) {
  pm_batch_t seen = batch;
  const std::uint64_t next = disk_->last_sequence + 1;
  if (is(Mutation::other_epoch_is_taken)) seen.epoch = disk_->epoch;
  if (is(Mutation::gap_is_taken) && seen.sequence > next) seen.sequence = next;
  if (is(Mutation::repeat_is_applied_again) && seen.sequence < next) seen.sequence = next;
  const auto turn = sdk::check_turn(seen, disk_->epoch, first_sequence_, disk_->last_sequence);
  if (!turn.ok()) return turn.status();
  if (*turn == sdk::BatchTurn::repeat) return {};
  std::vector<const pm_value_t*> slots;
  for (std::uint64_t i = 0; i < batch.operation_count; ++i) {
    const std::size_t at = schema_.find(batch.operations[i].kind);
    const bool is_known = at < schema_.kinds.size();
    Status status = is_known ? check(schema_.kinds[at], batch.operations[i], slots)
                             : schema_.unknown_kind(batch.operations[i].kind);
    if (status.ok()) continue;
    if (is(Mutation::bad_batch_is_half_applied))
      for (std::uint64_t before = 0; before < i; ++before)
        PM_TRY(carry_out(batch.operations[before]));
    return status;
  }
  is_applying_ = true;
  std::unique_lock lock(disk_->mutex);
  for (std::uint64_t i = 0; i < batch.operation_count; ++i) {
    const std::uint64_t last = batch.operation_count - 1;
    const pm_operation_t& operation =
        batch.operations[is(Mutation::batch_runs_backwards) ? last - i : i];
    const bool later = is(Mutation::prefix_is_deleted_last);
    if (later && operation.type == PM_OPERATION_DELETE_PREFIX) continue;
    PM_TRY(carry_out(operation));
    if (!is(Mutation::batch_shows_in_parts)) continue;
    lock.unlock();
    std::this_thread::yield();
    lock.lock();
  }
  for (std::uint64_t i = 0; i < batch.operation_count && is(Mutation::prefix_is_deleted_last); ++i)
    if (batch.operations[i].type == PM_OPERATION_DELETE_PREFIX)
      PM_TRY(carry_out(batch.operations[i]));
  disk_->last_sequence = batch.sequence;
  is_applying_ = false;
  return {};
}

Status Mutant::check(const sdk::RecordKind& kind, const pm_operation_t& operation,
                     std::vector<const pm_value_t*>& slots) const {
  if (operation.type < PM_OPERATION_PUT || operation.type > PM_OPERATION_DELETE_PREFIX)
    return {Code::invalid_argument, "unknown operation"};
  if (operation.type == PM_OPERATION_DELETE_PREFIX) {
    slots.resize(kind.key_count);
    const bool whole =
        operation.value_count == kind.key_count && is(Mutation::prefix_may_be_a_whole_key);
    if (whole) return {};
    return sdk::place_prefix(kind, operation.values, operation.value_count, slots.data()).status();
  }
  const std::size_t given =
      operation.type == PM_OPERATION_PUT ? kind.fields.size() : kind.key_count;
  slots.resize(given);
  return sdk::place_values(kind, operation.values, operation.value_count, given, slots.data());
}

Cell Mutant::stored(const pm_value_t& value) const {
  Cell cell = from_abi(value).cell;
  if (cell.type == PM_VALUE_U64 && is(Mutation::upper_half_of_numbers_is_cut))
    cell.number = std::min<std::uint64_t>(cell.number, INT64_MAX);
  if (cell.type == PM_VALUE_TEXT && is(Mutation::text_ends_at_nul))
    cell.bytes.resize(std::strlen(cell.bytes.c_str()));
  return cell;
}

void Mutant::remove_prefix(Table& table, const pm_operation_t& operation) const {
  std::size_t fields = operation.value_count;
  if (is(Mutation::prefix_is_its_first_field)) fields = 1;
  std::vector<Record> found;
  for (const auto& [key, record] : table) {
    bool begins = true;
    for (std::size_t f = 0; f < fields; ++f)
      begins = begins && compare(key[f].cell, stored(operation.values[f])) == 0;
    if (begins) found.push_back(key);
  }
  if (is(Mutation::prefix_leaves_the_last_one) && found.size() > 1) found.pop_back();
  for (const Record& key : found) table.erase(key);
}

Status Mutant::carry_out(const pm_operation_t& operation) {
  const sdk::RecordKind& kind = schema_.kinds[schema_.find(operation.kind)];
  std::vector<const pm_value_t*> slots;
  PM_TRY(check(kind, operation, slots));
  if (operation.type == PM_OPERATION_DELETE_PREFIX) {
    remove_prefix(disk_->tables[kind.id], operation);
    return {};
  }
  Record record = default_record(kind);
  for (std::size_t f = 0; f < slots.size(); ++f)
    if (slots[f] != nullptr) record[f].cell = stored(*slots[f]);
  Table& table = disk_->tables[kind.id];
  const Record key = key_of(record, is(Mutation::key_is_its_first_field) ? 1 : kind.key_count);
  const auto found = table.find(key);
  if (operation.type == PM_OPERATION_DELETE) {
    if (found == table.end())
      return is(Mutation::delete_of_nothing_is_an_error) ? Status(Code::not_found, "nothing there")
                                                         : Status();
    disk_->deleted.emplace_back(kind.id, found->second);
    table.erase(found);
    return {};
  }
  if (found != table.end() && is(Mutation::put_keeps_fields_left_out))
    for (std::size_t f = 0; f < slots.size(); ++f)
      if (slots[f] == nullptr) record[f] = found->second[f];
  table[key] = record;
  return {};
}

bool Mutant::hand_out(const Record& record, pm_on_record_t on_record, void* data) const {
  std::vector<pm_value_t> values;
  for (const FieldValue& value : record) values.push_back(to_abi(value));
  return on_record(data, values.data(), static_cast<std::uint32_t>(values.size()));
}

Status Mutant::get(std::uint32_t kind_id, const pm_value_t* key, std::uint32_t key_count,
                   pm_on_record_t on_record, void* data) {
  if (is(Mutation::reads_fail_during_apply) && is_applying_) return {Code::unavailable, "busy"};
  const std::size_t at = schema_.find(kind_id);
  if (at == schema_.kinds.size()) return schema_.unknown_kind(kind_id);
  const sdk::RecordKind& kind = schema_.kinds[at];
  std::vector<const pm_value_t*> slots(kind.key_count);
  const Status placed = sdk::place_values(kind, key, key_count, kind.key_count, slots.data());
  if (!placed.ok() && is(Mutation::get_takes_unknown_fields)) return {Code::not_found, "none"};
  PM_TRY(placed);
  Record wanted;
  for (const pm_value_t* value : slots) wanted.push_back({value->field, stored(*value)});
  if (is(Mutation::key_is_its_first_field)) wanted.resize(1);
  std::unique_lock lock(disk_->mutex);
  const auto found = disk_->tables[kind_id].find(wanted);
  if (found == disk_->tables[kind_id].end()) return {Code::not_found, "none"};
  const Record record = found->second;
  lock.unlock();
  hand_out(record, on_record, data);
  return {};
}

int Mutant::order(const Cell& a, const Cell& b) const {
  if (a.type != PM_VALUE_U64 || !is(Mutation::numbers_are_ordered_as_signed)) return compare(a, b);
  return compare(i64(static_cast<std::int64_t>(a.number)),
                 i64(static_cast<std::int64_t>(b.number)));
}

bool Mutant::meets(const sdk::RecordKind& kind, const Record& record, const pm_scan_t& scan) const {
  std::uint32_t count = scan.condition_count;
  if (count > 1 && is(Mutation::last_condition_is_ignored)) --count;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::size_t at = kind.position(scan.conditions[i].value.field);
    const int result = compare(record[at].cell, from_abi(scan.conditions[i].value).cell);
    bool holds = result == 0;
    switch (scan.conditions[i].comparison) {
      case PM_LESS: holds = result < 0; break;
      case PM_LESS_EQUAL:
        holds = is(Mutation::less_equal_is_less) ? result < 0 : result <= 0;
        break;
      case PM_GREATER: holds = result > 0; break;
      case PM_GREATER_EQUAL: holds = result >= 0; break;
      default: break;
    }
    if (!holds) return false;
  }
  return true;
}

std::vector<Record> Mutant::select(const sdk::RecordKind& kind, const pm_scan_t& scan) const {
  std::vector<Record> records;
  for (const auto& [key, record] : disk_->tables[kind.id])
    if (meets(kind, record, scan)) records.push_back(record);
  const std::size_t at = scan.order_field == 0 ? 0 : kind.position(scan.order_field);
  const bool turned = scan.descending != 0 &&
                      !(scan.limit != 0 && is(Mutation::descending_is_ignored_with_a_limit));
  std::sort(records.begin(), records.end(), [&](const Record& a, const Record& b) {
    int result = scan.order_field == 0 ? 0 : order(a[at].cell, b[at].cell);
    const bool is_tie = result == 0;
    for (std::size_t k = 0; k < kind.key_count && result == 0; ++k)
      result = order(a[k].cell, b[k].cell);
    const bool upwards = scan.order_field != 0 && is_tie && is(Mutation::ties_go_by_key_upwards);
    return turned && !upwards ? result > 0 : result < 0;
  });
  const std::uint64_t more = is(Mutation::limit_gives_one_more) ? 1 : 0;
  if (scan.limit != 0 && records.size() > scan.limit)
    records.resize(std::min(scan.limit + more, records.size()));
  return records;
}

Status Mutant::scan(const pm_scan_t& scan, pm_on_record_t on_record, void* data) {
  const std::size_t at = schema_.find(scan.kind);
  if (at == schema_.kinds.size()) return schema_.unknown_kind(scan.kind);
  const sdk::RecordKind& kind = schema_.kinds[at];
  const Status checked = sdk::check_scan(kind, scan);
  if (!checked.ok() && is(Mutation::scan_ignores_unknown_fields)) return {};
  PM_TRY(checked);
  std::unique_lock lock(disk_->mutex);
  const std::vector<Record> records = select(kind, scan);
  lock.unlock();
  for (const Record& record : records) {
    Record now = record;
    if (is(Mutation::scan_sees_later_batches)) {
      const std::lock_guard again(disk_->mutex);
      const auto found = disk_->tables[kind.id].find(key_of(record, kind.key_count));
      if (found == disk_->tables[kind.id].end()) continue;
      now = found->second;
    }
    if (!hand_out(now, on_record, data) && !is(Mutation::visitor_cannot_end)) break;
  }
  return {};
}

Mutant& of(const pm_repository_t* table) { return *static_cast<Mutant*>(table->repository_data); }

pm_status_t report(const Status& status) {
  if (!status.ok()) test_host()->set_error(test_host(), status.message().c_str());
  return static_cast<pm_status_t>(status.code());
}

}  // namespace

Subject mutant_subject(Mutation mutation) {
  auto disk = std::make_shared<Disk>();
  return {[disk, mutation]() -> const pm_repository_t* {
            auto* mutant = new Mutant(disk, mutation);
            mutant->table = {
                mutant,
                [](const auto* self, const auto* schema, auto* state) {
                  return report(of(self).open(*schema, state));
                },
                [](const auto* self, const auto* batch) { return report(of(self).apply(*batch)); },
                [](const auto* self, uint32_t kind, const auto* key, uint32_t key_count,
                   pm_on_record_t on_record, void* data) {
                  return report(of(self).get(kind, key, key_count, on_record, data));
                },
                [](const auto* self, const auto* scan, pm_on_record_t on_record, void* data) {
                  return report(of(self).scan(*scan, on_record, data));
                },
                [](const auto*, const char*) -> const void* { return nullptr; },
                [](const auto* self) { delete &of(self); }};
            return &mutant->table;
          },
          true};
}

}  // namespace pm::contract
