// The whole of repository-fault: an instance, and one function for each pointer.

#include <pm/repository.h>
#include <array>
#include <vector>

#include "config.h"
#include "faulty_call.h"
#include "inner_plugin.h"

#define PM_PLUGIN_ID "org.payload-manager.repository-fault"

PM_PLUGIN_NOTE(PM_KIND_REPOSITORY, PM_PLUGIN_ID);

namespace pm::fault {

namespace {

enum RepositoryCall : std::size_t { call_open, call_apply, call_get, call_scan };

constexpr auto error = static_cast<std::uint32_t>(Kind::error);
constexpr auto full = static_cast<std::uint32_t>(Kind::full);
constexpr auto late =
    static_cast<std::uint32_t>(Kind::latency) | static_cast<std::uint32_t>(Kind::hang);
constexpr auto cut = static_cast<std::uint32_t>(Kind::short_read);
constexpr auto spoilt = static_cast<std::uint32_t>(Kind::corrupt);

constexpr std::array<Operation, 4> operations = {{{"open", error | late},
                                                  {"apply", error | late | full},
                                                  {"get", error | late | spoilt},
                                                  {"scan", error | late | cut | spoilt}}};

// One instance: the host's struct and what stands behind it. Its repository_data is the inner
// one's, for extensions, which are handed out as they are.
struct FaultRepository : pm_repository_t {
  FaultRepository(const sdk::Host& host_services, const pm_repository_t* inner_repository,
                  std::unique_ptr<Schedule> faults)
      : pm_repository_t{},
        host(host_services),
        inner(inner_repository),
        schedule(std::move(faults)) {}
  ~FaultRepository() { inner->destroy(inner); }
  FaultRepository(const FaultRepository&) = delete;
  FaultRepository& operator=(const FaultRepository&) = delete;

  static FaultRepository& of(const pm_repository_t* repository) {
    return *static_cast<FaultRepository*>(const_cast<pm_repository_t*>(repository));
  }

  // As faulty_call(). No call of a repository has a deadline, and none knows what is used.
  template <typename Body>
  pm_status_t run(RepositoryCall call, Body&& body) {
    return faulty_call(
        host, *schedule, call, nullptr, [](const Decision&) { return true; },
        std::forward<Body>(body));
  }

  const sdk::Host host;
  const pm_repository_t* const inner;
  const std::unique_ptr<Schedule> schedule;
};

// Stands between the inner repository and the host's visitor.
struct Visit {
  const Decision& decision;
  pm_on_record_t on_record;
  void* data;
  std::uint64_t records_max = UINT64_MAX;
  std::uint64_t records = 0;
  bool is_spoilt = false;
  bool has_no_memory = false;
};

// Turns one bit of one value round, in a copy.
bool give_spoilt(Visit& visit, const pm_value_t* values, uint32_t value_count) {
  const Decision::Corruption& corruption = *visit.decision.corruption;
  std::vector<pm_value_t> copy(values, values + value_count);
  std::vector<unsigned char> bytes;
  pm_value_t& value = copy[corruption.random % value_count];
  const bool is_number = value.type == PM_VALUE_U64 || value.type == PM_VALUE_I64;
  if (is_number) {
    corruption.spoil(&value.as.u64, sizeof value.as.u64);
  } else {
    const auto* begin = static_cast<const unsigned char*>(value.as.bytes.data);
    bytes.assign(begin, begin + value.as.bytes.length);
    corruption.spoil(bytes.data(), bytes.size());
    value.as.bytes.data = bytes.data();
  }
  visit.is_spoilt = is_number || !bytes.empty();
  return visit.on_record(visit.data, copy.data(), value_count);
}

bool on_record(void* data, const pm_value_t* values, uint32_t value_count) {
  auto& visit = *static_cast<Visit*>(data);
  if (visit.records >= visit.records_max) return false;
  ++visit.records;
  if (!visit.decision.corruption || visit.is_spoilt || value_count == 0) {
    return visit.on_record(visit.data, values, value_count);
  }
  try {
    return give_spoilt(visit, values, value_count);
  } catch (const std::exception&) {
    visit.has_no_memory = true;
    return false;
  }
}

pm_status_t ended(const Visit& visit, pm_status_t inner_status) {
  return visit.has_no_memory ? pm_status_t{PM_RESOURCE_EXHAUSTED} : inner_status;
}

pm_status_t open(const pm_repository_t* repository, const pm_schema_t* schema,
                 pm_repository_state_t* state) {
  FaultRepository& self = FaultRepository::of(repository);
  return self.run(call_open,
                  [&](const Decision&) { return self.inner->open(self.inner, schema, state); });
}

pm_status_t apply(const pm_repository_t* repository, const pm_batch_t* batch) {
  FaultRepository& self = FaultRepository::of(repository);
  return self.run(call_apply,
                  [&](const Decision&) { return self.inner->apply(self.inner, batch); });
}

pm_status_t get(const pm_repository_t* repository, uint32_t kind, const pm_value_t* key,
                uint32_t key_count, pm_on_record_t visitor, void* data) {
  FaultRepository& self = FaultRepository::of(repository);
  return self.run(call_get, [&](const Decision& decision) {
    Visit visit{decision, visitor, data};
    return ended(visit, self.inner->get(self.inner, kind, key, key_count, on_record, &visit));
  });
}

// A scan that ends early gives no record, unless the schedule says how many: half of them is not
// known before.
pm_status_t scan(const pm_repository_t* repository, const pm_scan_t* wanted, pm_on_record_t visitor,
                 void* data) {
  FaultRepository& self = FaultRepository::of(repository);
  return self.run(call_scan, [&](const Decision& decision) {
    Visit visit{decision, visitor, data};
    if (decision.short_read) visit.records_max = decision.short_read->count_max.value_or(0);
    return ended(visit, self.inner->scan(self.inner, wanted, on_record, &visit));
  });
}

const void* get_extension(const pm_repository_t* repository, const char* id) {
  const pm_repository_t* inner = FaultRepository::of(repository).inner;
  return inner->get_extension(inner, id);
}

void destroy(const pm_repository_t* repository) { delete &FaultRepository::of(repository); }

bool is_whole(const pm_repository_t& repository) {
  return repository.open != nullptr && repository.apply != nullptr && repository.get != nullptr &&
         repository.scan != nullptr && repository.get_extension != nullptr &&
         repository.destroy != nullptr;
}

const void* create(const pm_host_t* abi_host, const char* config_json) {
  const sdk::Host host(abi_host);
  const pm_repository_t* result = nullptr;
  sdk::guarded(host, [&]() -> Status {
    const Config config(config_json);
    auto schedule = Schedule::open(host, operations, config.faults(), config.schedule_file);
    if (!schedule.ok()) return schedule.status();
    const auto* inner = static_cast<const pm_repository_t*>(
        create_inner(abi_host, PM_KIND_REPOSITORY, config.plugin, config.inner()));
    if (inner == nullptr) return {};  // It has left its words.
    if (!is_whole(*inner)) {
      if (inner->destroy != nullptr) inner->destroy(inner);
      return {Code::invalid_argument, "plugin: the inner repository lacks a function"};
    }
    auto made = std::make_unique<FaultRepository>(host, inner, *std::move(schedule));
    static_cast<pm_repository_t&>(*made) = {inner->repository_data, open,   apply, get, scan,
                                            get_extension,          destroy};
    result = made.release();
    return {};
  });
  if (result != nullptr) host.warn("faults may be put into this repository: it is for tests");
  return result;
}

constexpr pm_plugin_descriptor_t descriptor = {sizeof(pm_plugin_descriptor_t),
                                               0,
                                               PM_PLUGIN_ID,
                                               "Repository with faults, for tests",
                                               "0.1.0",
                                               PM_KIND_REPOSITORY,
                                               config_schema};

}  // namespace

}  // namespace pm::fault

extern "C" const pm_plugin_entry_t pm_plugin_entry_v1 = {PM_ABI_MAJOR, PM_ABI_MINOR,
                                                         &pm::fault::descriptor, pm::fault::create};
