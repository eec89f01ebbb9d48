#include <pm/cpp/plugin.hpp>

#include "repository.h"

#define PM_PLUGIN_ID "org.payload-manager.repository-memory"

PM_PLUGIN_NOTE(PM_KIND_REPOSITORY, PM_PLUGIN_ID);

namespace pm::repository_memory {

namespace {

struct Instance {
  explicit Instance(const pm_host_t* host_table) : host(host_table) {}
  pm_repository_t table{};
  sdk::Host host;
  MemoryRepository repository;
};

Instance& of(const pm_repository_t* table) {
  return *static_cast<Instance*>(table->repository_data);
}

pm_status_t open(const pm_repository_t* self, const pm_schema_t* schema,
                 pm_repository_state_t* state) {
  return sdk::guarded(of(self).host, [&] { return of(self).repository.open(*schema, state); });
}

pm_status_t apply(const pm_repository_t* self, const pm_batch_t* batch) {
  return sdk::guarded(of(self).host, [&] { return of(self).repository.apply(*batch); });
}

pm_status_t get(const pm_repository_t* self, uint32_t kind, const pm_value_t* key,
                uint32_t key_count, pm_on_record_t on_record, void* data) {
  return sdk::guarded(of(self).host, [&] {
    return of(self).repository.get(kind, key, key_count, on_record, data);
  });
}

pm_status_t scan(const pm_repository_t* self, const pm_scan_t* request, pm_on_record_t on_record,
                 void* data) {
  return sdk::guarded(of(self).host,
                      [&] { return of(self).repository.scan(*request, on_record, data); });
}

const void* get_extension(const pm_repository_t*, const char*) { return nullptr; }

void destroy(const pm_repository_t* self) { delete &of(self); }

const void* create(const pm_host_t* host, const char*) {
  const pm_repository_t* result = nullptr;
  sdk::guarded(sdk::Host(host), [&] {
    auto* instance = new Instance(host);
    instance->table = {instance, open, apply, get, scan, get_extension, destroy};
    result = &instance->table;
    return Status();
  });
  return result;
}

constexpr pm_plugin_descriptor_t descriptor = {sizeof(pm_plugin_descriptor_t),
                                               0,
                                               PM_PLUGIN_ID,
                                               "Memory repository",
                                               "1.0.0",
                                               PM_KIND_REPOSITORY,
                                               nullptr};

}  // namespace

}  // namespace pm::repository_memory

extern "C" const pm_plugin_entry_t pm_plugin_entry_v1 = {
    PM_ABI_MAJOR, PM_ABI_MINOR, &pm::repository_memory::descriptor, pm::repository_memory::create};
