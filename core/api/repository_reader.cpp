#include "repository_reader.h"

#include <utility>

#include "core/plugin/host_services.h"

namespace pm::api {

namespace {

constexpr std::uint32_t reader_threads = 2;

bool visit_record(void* data, const pm_value_t* values, std::uint32_t count) {
  return (*static_cast<const RepositoryReader::Visit*>(data))(values, count);
}

}  // namespace

RepositoryReader::RepositoryReader(const pm_repository_t* repository, ledger::Ledger& ledger)
    : repository_(repository), ledger_(ledger), workers_(reader_threads, mover::Priority::normal) {}

void RepositoryReader::after(std::uint64_t lsn, Job job) {
  ledger_.when_durable(lsn, [this, job = std::move(job)](bool is_durable) {
    if (!is_durable) return job(false);
    workers_.add([job] { job(true); });
  });
}

Status RepositoryReader::get(std::uint32_t kind, const std::vector<pm_value_t>& key,
                             const Visit& visit) const {
  return take_error(repository_->get(repository_, kind, key.data(),
                                     static_cast<std::uint32_t>(key.size()), &visit_record,
                                     const_cast<Visit*>(&visit)));
}

Status RepositoryReader::scan(const Scan& scan, const Visit& visit) const {
  pm_scan_t request{};
  request.size = sizeof request;
  request.kind = scan.kind;
  request.conditions = scan.conditions.data();
  request.condition_count = static_cast<std::uint32_t>(scan.conditions.size());
  request.order_field = scan.order_field;
  request.descending = scan.descending ? 1 : 0;
  request.limit = scan.limit;
  return take_error(
      repository_->scan(repository_, &request, &visit_record, const_cast<Visit*>(&visit)));
}

pm_value_t u64_value(std::uint32_t field, std::uint64_t value) {
  pm_value_t result{field, PM_VALUE_U64, {}};
  result.as.u64 = value;
  return result;
}

pm_value_t bytes_value(std::uint32_t field, const void* data, std::size_t length) {
  pm_value_t result{field, PM_VALUE_BYTES, {}};
  result.as.bytes.data = data;
  result.as.bytes.length = length;
  return result;
}

pm_condition_t condition(std::uint32_t comparison, const pm_value_t& value) {
  pm_condition_t result{};
  result.comparison = comparison;
  result.value = value;
  return result;
}

}  // namespace pm::api
