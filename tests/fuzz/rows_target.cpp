// The rows of a repository that somebody else wrote into, or that rotted: read one by one, and all
// together as a start reads them.

#include <pm/ext/draft/tier_enumerate.h>

#include <deque>
#include <set>
#include <vector>

#include "core/ledger/document_schema.h"
#include "core/ledger/recovery.h"
#include "core/ledger/schema.h"
#include "core/ledger/stream_schema.h"
#include "core/observe/log.h"
#include "input.h"

namespace pm::fuzz {
namespace {

constexpr std::int64_t now_ns = 1'700'000'000'000'000'000;
const ledger::TierNames tier_names = {"ram", "disk", "void"};

// The value as bytes that are its own.
std::string image_of(const pm_value_t& value) {
  std::string image = std::to_string(value.field) + ':';
  if (value.type == PM_VALUE_U64 || value.type == PM_VALUE_I64) {
    return image + std::to_string(value.as.u64) + ';';
  }
  image += std::to_string(value.as.bytes.length) + ':';
  return image.append(static_cast<const char*>(value.as.bytes.data), value.as.bytes.length);
}

struct Row {
  std::uint32_t kind = 0;
  std::vector<pm_value_t> values;
};

// The rows of an input, and the bytes that they point to. No two have the same key: so much a
// repository sees to.
class Rows {
 public:
  explicit Rows(Input& input) {
    const pm_schema_t& schema = ledger::schema();
    while (!input.empty() && rows_.size() < 200) {
      const pm_record_kind_t& kind = schema.kinds[input.byte() % schema.kind_count];
      const auto left_out = input.integer<std::uint32_t>();
      Row row;
      row.kind = kind.id;
      std::string key = std::to_string(kind.id);
      for (std::uint32_t i = 0; i < kind.field_count; ++i) {
        const pm_value_t value = read_value(kind.fields[i], input);
        if (i < kind.key_count) key += image_of(value);
        if ((left_out >> (i % 32) & 1) == 0 || i < kind.key_count) row.values.push_back(value);
      }
      if (keys_.insert(key).second) rows_.push_back(std::move(row));
    }
  }
  const std::vector<Row>& all() const { return rows_; }

 private:
  pm_value_t read_value(const pm_field_t& field, Input& input) {
    pm_value_t value{field.id, field.type, {}};
    if (field.type == PM_VALUE_U64) {
      value.as.u64 = input.number();
    } else if (field.type == PM_VALUE_I64) {
      value.as.i64 = static_cast<std::int64_t>(input.number());
    } else {
      std::string_view text = input.text();
      // An id of one byte stands for sixteen, so that rows find each other.
      const std::string_view name(field.name);
      const bool is_id = name == "payload_id" || name == "child" || name == "parent" ||
                         name == "request_key" || name == "fingerprint";
      std::string& kept = texts_.emplace_back(text);
      if (is_id && kept.size() == 1) kept.assign(16, kept[0]);
      value.as.bytes.data = kept.data();
      value.as.bytes.length = kept.size();
    }
    return value;
  }

  std::vector<Row> rows_;
  std::set<std::string> keys_;
  std::deque<std::string> texts_;
};

// A repository that has these rows, in this order, which need not be that of their keys.
pm_repository_t repository_of(const Rows& rows) {
  pm_repository_t repository{};
  repository.repository_data = const_cast<Rows*>(&rows);
  repository.scan = [](const pm_repository_t* self, const pm_scan_t* scan, pm_on_record_t on_record,
                       void* data) -> pm_status_t {
    for (const Row& row : static_cast<const Rows*>(self->repository_data)->all()) {
      if (row.kind != scan->kind) continue;
      if (!on_record(data, row.values.data(), static_cast<std::uint32_t>(row.values.size()))) break;
    }
    return PM_OK;
  };
  // Whatever the key: a row of that kind.
  repository.get = [](const pm_repository_t* self, std::uint32_t kind, const pm_value_t* key,
                      std::uint32_t, pm_on_record_t on_record, void* data) -> pm_status_t {
    const auto& all = static_cast<const Rows*>(self->repository_data)->all();
    for (std::size_t i = 0; i < all.size(); ++i) {
      const Row& row = all[(i + key[1].as.u64) % all.size()];
      if (row.kind != kind) continue;
      on_record(data, row.values.data(), static_cast<std::uint32_t>(row.values.size()));
      return PM_OK;
    }
    return PM_NOT_FOUND;
  };
  return repository;
}

// A tier that has some of the copies.
pm_tier_t tier_with(std::uint32_t* traits) {
  pm_tier_t tier{};
  tier.tier_data = traits;
  tier.get_info = [](const pm_tier_t* self, pm_tier_info_t* info) {
    info->traits = *static_cast<std::uint32_t*>(self->tier_data);
    info->charge_granularity_bytes = 4096;
    info->capacity_bytes = 1 << 20;
    std::strcpy(info->fingerprint, "medium-1");
  };
  tier.adopt = [](const pm_tier_t*, const pm_object_id_t* object, const pm_cookie_t* cookie,
                  std::uint64_t, std::uint64_t*) -> pm_status_t {
    expect(cookie->length <= PM_COOKIE_BYTES_MAX, "a tier gets no cookie that is too long");
    constexpr pm_status_t answers[] = {PM_OK, PM_OK, PM_NOT_FOUND, PM_DATA_LOSS};
    return answers[object->generation % 4];
  };
  return tier;
}

// Does what the catalog asks for, until nothing is left to do.
class Driver {
 public:
  explicit Driver(catalog::Catalog& catalog) : catalog_(catalog) {}

  void apply(const catalog::Command& command, std::int64_t wall_ns) {
    std::deque<catalog::Command> commands{command};
    for (int steps = 0; !commands.empty() && steps < 2'000; ++steps) {
      catalog::Changes changes;
      catalog_.apply(commands.front(), {++mono_ns_, wall_ns}, changes);
      commands.pop_front();
      for (const catalog::Record& record : changes.records) {
        ledger::OperationWriter writer(tier_names);
        writer.add(record);
        writer.operations();
      }
      for (const catalog::Effect& effect : changes.effects) {
        if (const auto* remove = std::get_if<catalog::RemoveEffect>(&effect)) {
          commands.emplace_back(catalog::Removed{remove->object.generation, {}});
        } else if (const auto* move = std::get_if<catalog::MoveEffect>(&effect)) {
          commands.emplace_back(catalog::Moved{move->operation, {}, {}, {}, false});
        }
      }
      if (changes.more) commands.emplace_back(catalog::Tick{});
    }
  }

 private:
  catalog::Catalog& catalog_;
  std::uint64_t mono_ns_ = 1;
};

std::vector<catalog::TierFacts> tier_facts() {
  std::vector<catalog::TierFacts> facts(3);
  constexpr std::uint8_t traits[] = {catalog::traits_keeps_bytes, 7, 0};
  for (std::size_t i = 0; i < facts.size(); ++i) {
    facts[i].traits = traits[i];
    facts[i].rank = static_cast<std::int32_t>(i);
    facts[i].capacity_bytes = 1 << 20;
    facts[i].granularity_bytes = 4096;
  }
  facts[0].spill_to = 1;
  return facts;
}

void use(catalog::Catalog& catalog, const Rows& rows, const ledger::Recovered& found) {
  Driver driver(catalog);
  for (const catalog::CopyGone& gone : found.gone) driver.apply(gone, now_ns);
  driver.apply(catalog::Tick{}, now_ns);
  catalog::Ticket ticket = 1;
  for (const Row& row : rows.all()) {
    const ledger::Fields in(row.values.data(), static_cast<std::uint32_t>(row.values.size()));
    catalog::Id id;
    if (row.kind != ledger::kind_payload || !ledger::read_id(in.bytes(1), id)) continue;
    catalog::View view;
    std::uint64_t lsn = 0;
    catalog.resolve(id, {1, now_ns}, view, lsn);
    catalog::Explanation explanation;
    catalog.explain(id, {1, now_ns}, explanation, lsn);
    catalog::AcquireLease lease;
    lease.ticket = ticket++;
    lease.id = lease.lease = id;
    driver.apply(lease, now_ns);
    driver.apply(catalog::Spill{ticket++, {}, id, catalog::no_tier, true, false, 0}, now_ns);
    if (ticket % 3 == 0) driver.apply(catalog::Delete{ticket++, {}, id, true, false}, now_ns);
  }
  std::vector<catalog::View> views;
  std::uint64_t lsn = 0;
  catalog.list(UINT64_MAX, catalog::no_tier, 500, views, lsn);
  std::vector<catalog::StreamTable::Listed> streams;
  catalog.streams().list(nullptr, nullptr, 500, {1, now_ns}, streams);
  catalog.counts();
  driver.apply(catalog::Tick{}, INT64_MAX);
  driver.apply(catalog::Shutdown{}, now_ns);
}

void recover(const Rows& rows) {
  std::uint32_t traits[] = {PM_TIER_KEEPS_BYTES,
                            PM_TIER_KEEPS_BYTES | PM_TIER_SURVIVES_PROCESS | PM_TIER_SURVIVES_POWER,
                            0};
  pm_tier_t tiers[3];
  std::vector<const pm_tier_t*> plugins;
  for (int i = 0; i < 3; ++i) plugins.push_back(&(tiers[i] = tier_with(&traits[i])));
  const pm_repository_t repository = repository_of(rows);
  catalog::Catalog catalog({}, tier_facts(), 1);
  const auto found = ledger::recover(&repository, tier_names, plugins, {}, catalog);
  if (found.ok()) return use(catalog, rows, *found);
  expect(!found.status().message().empty(), "a start that fails says why");
}

// The bytes that a record is written as.
std::string image_of(catalog::Record record) {
  ledger::OperationWriter writer(tier_names);
  writer.add(static_cast<const catalog::Record&>(record));
  std::string image;
  for (const pm_operation_t& operation : writer.operations()) {
    for (std::uint32_t i = 0; i < operation.value_count; ++i) {
      image += image_of(operation.values[i]);
    }
  }
  return image;
}

// What is read from a row, written and read once more must be the same.
template <typename Read>
void check_round_trip(const Row& row, Read read) {
  const auto count = static_cast<std::uint32_t>(row.values.size());
  const auto first = read(row.values.data(), count);
  if (!first.ok()) return;
  const catalog::Record record(*first);
  ledger::OperationWriter writer(tier_names);
  writer.add(record);
  const pm_operation_t& written = writer.operations().front();
  const auto second = read(written.values, written.value_count);
  expect(second.ok(), "a row that was written can be read", second.status().message());
  expect(image_of(*first) == image_of(*second), "a row is read as it was written");
}

void read_alone(const Row& row) {
  using namespace ledger;
  const pm_value_t* const values = row.values.data();
  const auto count = static_cast<std::uint32_t>(row.values.size());
  switch (row.kind) {
    case kind_payload:
      return check_round_trip(row, [](auto* v, auto n) { return read_payload(v, n, tier_names); });
    case kind_request:
      return check_round_trip(row, [](auto* v, auto n) { return read_request(v, n, tier_names); });
    case kind_tier:
      return check_round_trip(row, [](auto* v, auto n) { return read_tier(v, n, tier_names); });
    case kind_stream: return check_round_trip(row, &read_stream);
    case kind_consumer_group: return check_round_trip(row, &read_consumer_group);
    case kind_stream_entry: static_cast<void>(read_stream_entry(values, count)); break;
    case kind_metadata: read_metadata(values, count); break;
    case kind_metadata_event: read_metadata_event(values, count); break;
    case kind_lineage: static_cast<void>(read_lineage(values, count)); break;
    default: expect(false, "every kind of the schema is read");
  }
}

}  // namespace
}  // namespace pm::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // Or each row that makes no sense leaves a line.
  static const bool quiet =
      (pm::log::configure(pm::log::Level::error, pm::log::Format::text), true);
  static_cast<void>(quiet);
  pm::fuzz::Input input(data, size);
  const pm::fuzz::Rows rows(input);
  for (const pm::fuzz::Row& row : rows.all()) pm::fuzz::read_alone(row);
  pm::fuzz::recover(rows);
  return 0;
}
