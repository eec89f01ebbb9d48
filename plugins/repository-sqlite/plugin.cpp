#include <pm/cpp/config.hpp>
#include <pm/cpp/plugin.hpp>

#include "repository.h"

#define PM_PLUGIN_ID "org.payload-manager.repository-sqlite"

PM_PLUGIN_NOTE(PM_KIND_REPOSITORY, PM_PLUGIN_ID);

namespace pm::repository_sqlite {

namespace {

// The defaults: 5 s is longer than any transaction of a person's sqlite3 shell should last; 4000
// pages of 4 KiB make a log of 16 MiB, in which the many batches that touch one page share the
// cost of writing it to the file.
constexpr char config_schema[] = R"json({
  "type": "object",
  "properties": {
    "path": {
      "type": "string", "minLength": 1,
      "description": "The database file; missing directories are made"
    },
    "busy_timeout_ms": {
      "type": "integer", "minimum": 0, "maximum": 3600000, "default": 5000,
      "description": "How long a call waits for another program that has locked the database"
    },
    "cache_bytes": {
      "type": "integer", "minimum": 65536, "maximum": 1099511627776, "default": 16777216,
      "description": "Page cache of the writing connection"
    },
    "wal_autocheckpoint_pages": {
      "type": "integer", "minimum": 1, "maximum": 1000000000, "default": 4000,
      "description": "Length of the write-ahead log at which it is emptied into the database"
    }
  },
  "required": ["path"],
  "additionalProperties": false
})json";

// The function table comes first, so that the host's pointer to it is one to the whole.
struct Instance {
  Instance(const pm_host_t* host, Options options)
      : repository(sdk::Host(host), std::move(options)) {}
  pm_repository_t table{};
  SqliteRepository repository;
};

SqliteRepository& of(const pm_repository_t* table) {
  return static_cast<Instance*>(table->repository_data)->repository;
}

pm_status_t open(const pm_repository_t* self, const pm_schema_t* schema,
                 pm_repository_state_t* state) {
  return sdk::guarded(of(self).host(), [&] { return of(self).open(*schema, state); });
}

pm_status_t apply(const pm_repository_t* self, const pm_batch_t* batch) {
  return sdk::guarded(of(self).host(), [&] { return of(self).apply(*batch); });
}

pm_status_t get(const pm_repository_t* self, uint32_t kind, const pm_value_t* key,
                uint32_t key_count, pm_on_record_t on_record, void* data) {
  return sdk::guarded(of(self).host(),
                      [&] { return of(self).get(kind, key, key_count, on_record, data); });
}

pm_status_t scan(const pm_repository_t* self, const pm_scan_t* request, pm_on_record_t on_record,
                 void* data) {
  return sdk::guarded(of(self).host(), [&] { return of(self).scan(*request, on_record, data); });
}

const void* get_extension(const pm_repository_t*, const char*) { return nullptr; }

void destroy(const pm_repository_t* self) { delete static_cast<Instance*>(self->repository_data); }

const void* create(const pm_host_t* host, const char* config_json) {
  const pm_repository_t* result = nullptr;
  sdk::guarded(sdk::Host(host), [&] {
    const sdk::Config config(config_json);
    auto* instance = new Instance(
        host, {config.text("path"), config.number("busy_timeout_ms"), config.number("cache_bytes"),
               config.number("wal_autocheckpoint_pages")});
    instance->table = {instance, open, apply, get, scan, get_extension, destroy};
    result = &instance->table;
    return Status();
  });
  return result;
}

constexpr pm_plugin_descriptor_t descriptor = {sizeof(pm_plugin_descriptor_t),
                                               0,
                                               PM_PLUGIN_ID,
                                               "SQLite repository",
                                               "1.0.0",
                                               PM_KIND_REPOSITORY,
                                               config_schema};

}  // namespace

}  // namespace pm::repository_sqlite

extern "C" const pm_plugin_entry_t pm_plugin_entry_v1 = {
    PM_ABI_MAJOR, PM_ABI_MINOR, &pm::repository_sqlite::descriptor, pm::repository_sqlite::create};
