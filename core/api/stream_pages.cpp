#include "stream_pages.h"

namespace pm::api {

Status read_page(const RepositoryReader& reader, const StreamPage& page,
                 const std::function<bool(const ledger::StreamEntryRow&)>& visit) {
  namespace entry_field = ledger::entry_field;
  if (page.begin >= page.end || page.entries_max == 0) return {};
  RepositoryReader::Scan scan;
  scan.kind = ledger::kind_stream_entry;
  scan.limit = page.entries_max;
  scan.conditions = {
      condition(PM_EQUAL, u64_value(entry_field::stream, page.stream)),
      condition(PM_GREATER_EQUAL, u64_value(entry_field::offset, page.begin)),
      condition(PM_LESS, u64_value(entry_field::offset, page.end)),
  };
  if (page.from_ns != INT64_MIN) {
    pm_value_t time{entry_field::append_time_ns, PM_VALUE_I64, {}};
    time.as.i64 = page.from_ns;
    scan.conditions.push_back(condition(PM_GREATER_EQUAL, time));
  }
  Status status;
  const Status scanned = reader.scan(scan, [&](const pm_value_t* values, std::uint32_t count) {
    const auto row = ledger::read_stream_entry(values, count);
    status = row.status();
    return row.ok() && visit(*row);
  });
  return status.ok() ? scanned : status;
}

}  // namespace pm::api
