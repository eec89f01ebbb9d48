#include "stream_recovery.h"

#include <array>
#include <functional>
#include <vector>

#include "core/plugin/host_services.h"
#include "stream_schema.h"

namespace pm::ledger {

namespace {

// The age of a stream's entries is looked up at so many places.
constexpr std::uint64_t samples_max = 64;

struct Visit {
  std::function<Status(const pm_value_t* values, std::uint32_t count)> on_record;
  Status status;
};

bool visit_record(void* data, const pm_value_t* values, std::uint32_t count) {
  auto& visit = *static_cast<Visit*>(data);
  visit.status = visit.on_record(values, count);
  return visit.status.ok();
}

Status scan_all(const pm_repository_t* repository, std::uint32_t kind,
                std::function<Status(const pm_value_t*, std::uint32_t)> on_record) {
  Visit visit{std::move(on_record), {}};
  pm_scan_t scan{};
  scan.size = sizeof scan;
  scan.kind = kind;
  const pm_status_t code = repository->scan(repository, &scan, &visit_record, &visit);
  return visit.status.ok() ? take_error(code) : visit.status;
}

pm_value_t u64_key(std::uint32_t field, std::uint64_t value) {
  pm_value_t result{field, PM_VALUE_U64, {}};
  result.as.u64 = value;
  return result;
}

Status look_up_ages(const pm_repository_t* repository, const catalog::StreamRecord& stream,
                    catalog::Catalog& catalog) {
  const std::uint64_t entries = stream.next_offset - stream.first_offset;
  const std::uint64_t samples = std::min(entries, samples_max);
  for (std::uint64_t sample = 1; sample < samples; ++sample) {
    const std::uint64_t end = stream.first_offset + entries / samples * sample;
    Visit visit{[&](const pm_value_t* values, std::uint32_t count) {
                  const auto row = read_stream_entry(values, count);
                  if (!row.ok()) return row.status();
                  catalog.restore_stream_age(stream.number, end, row->append_time_ns);
                  return Status{};
                },
                {}};
    const std::array key = {u64_key(entry_field::stream, stream.number),
                            u64_key(entry_field::offset, end - 1)};
    const pm_status_t code = repository->get(repository, kind_stream_entry, key.data(), key.size(),
                                             &visit_record, &visit);
    if (!visit.status.ok()) return visit.status;
    if (code == PM_NOT_FOUND) {
      // Without this one, some entries are deleted later than they could be.
      static_cast<void>(take_error(code));
      continue;
    }
    PM_TRY(take_error(code));
  }
  return {};
}

}  // namespace

Status recover_streams(const pm_repository_t* repository, catalog::Catalog& catalog) {
  std::vector<catalog::StreamRecord> growing_old;
  PM_TRY(scan_all(repository, kind_stream, [&](const pm_value_t* values, std::uint32_t count) {
    auto record = read_stream(values, count);
    if (!record.ok()) return record.status();
    catalog.restore(*record);
    if (!record->dead && record->age_max_s != 0) growing_old.push_back(*std::move(record));
    return Status{};
  }));
  PM_TRY(
      scan_all(repository, kind_consumer_group, [&](const pm_value_t* values, std::uint32_t count) {
        const auto record = read_consumer_group(values, count);
        if (!record.ok()) return record.status();
        catalog.restore(*record);
        return Status{};
      }));
  for (const catalog::StreamRecord& stream : growing_old) {
    PM_TRY(look_up_ages(repository, stream, catalog));
  }
  return {};
}

}  // namespace pm::ledger
