#include "store.h"

namespace pm::contract {

namespace {

std::vector<pm_value_t> to_abi(const Record& record) {
  std::vector<pm_value_t> result;
  for (const FieldValue& value : record) result.push_back(to_abi(value));
  return result;
}

bool visit_record(void* data, const pm_value_t* values, uint32_t value_count) {
  Record record;
  for (uint32_t i = 0; i < value_count; ++i) record.push_back(from_abi(values[i]));
  return (*static_cast<const std::function<bool(const Record&)>*>(data))(record);
}

void* as_data(const std::function<bool(const Record&)>& visit) {
  return const_cast<std::function<bool(const Record&)>*>(&visit);
}

}  // namespace

Store::Store(const Subject& subject, const pm_schema_t& schema) {
  state_.size = sizeof state_;
  take_error();
  repository_ = subject.create();
  status_ = repository_ == nullptr ? PM_INTERNAL : repository_->open(repository_, &schema, &state_);
  error_ = take_error();
  sequence_ = state_.last_sequence;
}

void Store::close() {
  if (repository_ != nullptr) repository_->destroy(repository_);
  repository_ = nullptr;
}

pm_status_t Store::apply(const std::vector<Operation>& operations, std::uint32_t durability) {
  const pm_status_t status = apply_as(state_.epoch, sequence_ + 1, operations, durability);
  if (status == PM_OK) ++sequence_;
  return status;
}

pm_status_t Store::apply_as(std::uint64_t epoch, std::uint64_t sequence,
                            const std::vector<Operation>& operations, std::uint32_t durability) {
  if (repository_ == nullptr) return PM_INTERNAL;
  std::vector<std::vector<pm_value_t>> values;
  for (const Operation& operation : operations) values.push_back(to_abi(operation.record));
  std::vector<pm_operation_t> abi;
  for (std::size_t i = 0; i < operations.size(); ++i)
    abi.push_back({operations[i].kind, operations[i].type, values[i].data(),
                   static_cast<uint32_t>(values[i].size()), 0});
  const pm_batch_t batch = {sizeof(pm_batch_t), durability, epoch,
                            sequence,           abi.data(), abi.size()};
  return repository_->apply(repository_, &batch);
}

Found Store::get(std::uint32_t kind, const Record& key) {
  if (repository_ == nullptr) return {PM_INTERNAL, {}};
  Found found;
  const std::function<bool(const Record&)> keep = [&](const Record& record) {
    found.records.push_back(record);
    return true;
  };
  const std::vector<pm_value_t> values = to_abi(key);
  found.status =
      repository_->get(repository_, kind, values.data(), static_cast<uint32_t>(values.size()),
                       visit_record, as_data(keep));
  return found;
}

Found Store::scan(const Scan& wanted) {
  Found found;
  found.status = scan(wanted, [&](const Record& record) {
    found.records.push_back(record);
    return true;
  });
  return found;
}

pm_status_t Store::scan(const Scan& wanted, const std::function<bool(const Record&)>& visit) {
  if (repository_ == nullptr) return PM_INTERNAL;
  std::vector<FieldValue> values;
  for (const Condition& condition : wanted.conditions)
    values.push_back({condition.field, condition.cell});
  std::vector<pm_condition_t> conditions;
  for (std::size_t i = 0; i < values.size(); ++i)
    conditions.push_back({wanted.conditions[i].comparison, 0, contract::to_abi(values[i])});
  const pm_scan_t abi = {sizeof(pm_scan_t),
                         wanted.kind,
                         conditions.data(),
                         static_cast<uint32_t>(conditions.size()),
                         wanted.order_field,
                         wanted.descending ? 1u : 0u,
                         0,
                         wanted.limit};
  return repository_->scan(repository_, &abi, visit_record, as_data(visit));
}

}  // namespace pm::contract
