#include "stores.h"

#include <cstdio>
#include <cstdlib>
#include <random>

#include "plugin_subject.h"

namespace pm::perf {

namespace {

constexpr uint32_t field_size = sizeof(pm_field_t);
constexpr pm_field_t fields[] = {
    {field_size, 1, PM_VALUE_BYTES, 0, "payload_id"},
    {field_size, 2, PM_VALUE_U64, 0, "size_bytes"},
    {field_size, 3, PM_VALUE_U64, 0, "state"},
    {field_size, 4, PM_VALUE_U64, 0, "revision"},
    {field_size, 5, PM_VALUE_I64, 0, "created_at_ns"},
    {field_size, 6, PM_VALUE_I64, 0, "expires_at_ns"},
    {field_size, 7, PM_VALUE_U64, 0, "priority"},
    {field_size, 8, PM_VALUE_U64, 0, "flags"},
    {field_size, 9, PM_VALUE_TEXT, 0, "spill_target"},
    {field_size, 10, PM_VALUE_TEXT, 0, "min_residency"},
    {field_size, 11, PM_VALUE_BYTES, 0, "copies"},
};
constexpr uint32_t created[] = {5};
constexpr uint32_t expires[] = {6};
constexpr pm_index_t indexes[] = {{sizeof(pm_index_t), 1, "created_at", created},
                                  {sizeof(pm_index_t), 1, "expires_at", expires}};
constexpr pm_record_kind_t kind = {
    sizeof(pm_record_kind_t), 1, "payload", fields, 11, 1, indexes, 2, 0};
constexpr pm_schema_t schema = {sizeof(pm_schema_t), 1, &kind, 1, 0};

constexpr char raw_schema[] =
    "CREATE TABLE payload (payload_id BLOB NOT NULL DEFAULT x'', "
    "size_bytes UNSIGNED BIGINT NOT NULL DEFAULT 0, state UNSIGNED BIGINT NOT NULL DEFAULT 0, "
    "revision UNSIGNED BIGINT NOT NULL DEFAULT 0, created_at_ns BIGINT NOT NULL DEFAULT 0, "
    "expires_at_ns BIGINT NOT NULL DEFAULT 0, priority UNSIGNED BIGINT NOT NULL DEFAULT 0, "
    "flags UNSIGNED BIGINT NOT NULL DEFAULT 0, spill_target TEXT NOT NULL DEFAULT '', "
    "min_residency TEXT NOT NULL DEFAULT '', copies BLOB NOT NULL DEFAULT x'', "
    "PRIMARY KEY (payload_id)) WITHOUT ROWID;"
    "CREATE INDEX payload_created ON payload (created_at_ns);"
    "CREATE INDEX payload_expires ON payload (expires_at_ns);";

pm_value_t number(uint32_t field, uint64_t value) {
  pm_value_t result{};
  result.field = field;
  result.type = fields[field - 1].type;
  result.as.u64 = value;
  return result;
}

pm_value_t bytes(uint32_t field, const void* data, uint64_t length) {
  pm_value_t result{};
  result.field = field;
  result.type = fields[field - 1].type;
  result.as.bytes.data = data;
  result.as.bytes.length = length;
  return result;
}

constexpr char copies[] = "................tier, generation, cookie, state, checksum....";

}  // namespace

void must(bool condition, const std::string& words) {
  if (condition) return;
  std::fprintf(stderr, "perf_repository: %s; %s\n", words.c_str(), contract::take_error().c_str());
  std::exit(1);
}

const pm_schema_t& payload_schema() { return schema; }

Payloads::Payloads(std::size_t count, uint64_t revision)
    : ids_(count * 16), values_(count * field_count) {
  std::mt19937_64 random(count);
  for (auto& byte : ids_) byte = static_cast<unsigned char>(random());
  for (std::size_t i = 0; i < count; ++i) {
    // Created one after the other, expiring within a day.
    const uint64_t now = 1'760'000'000'000'000'000 + i * 1'000'000;
    pm_value_t* values = &values_[i * field_count];
    values[0] = bytes(1, &ids_[i * 16], 16);
    values[1] = number(2, random() % (64 << 20));
    values[2] = number(3, revision % 2);
    values[3] = number(4, revision);
    values[4] = number(5, now);
    values[5] = number(6, now + random() % 86'400'000'000'000);
    values[6] = number(7, 50);
    values[7] = number(8, 0);
    values[8] = bytes(9, "disk", 4);
    values[9] = bytes(10, "shm", 3);
    values[10] = bytes(11, copies, 60);
    operations_.push_back({1, PM_OPERATION_PUT, values, field_count, 0});
  }
}

PluginStore::PluginStore(const std::string& plugin, const std::string& config) {
  const pm_plugin_entry_t* entry = contract::load_plugin(plugin);
  must(entry != nullptr, "cannot load " + plugin);
  repository_ =
      static_cast<const pm_repository_t*>(entry->create(contract::test_host(), config.c_str()));
  must(repository_ != nullptr, "cannot create " + plugin);
  state_.size = sizeof state_;
  must(repository_->open(repository_, &schema, &state_) == PM_OK, "cannot open " + plugin);
}

PluginStore::~PluginStore() { repository_->destroy(repository_); }

void PluginStore::write(const Payloads& payloads, std::size_t first, std::size_t count,
                        uint32_t durability) {
  const pm_batch_t batch = {sizeof(pm_batch_t),
                            durability,
                            state_.epoch,
                            ++state_.last_sequence,
                            payloads.operations() + first,
                            count};
  must(repository_->apply(repository_, &batch) == PM_OK, "apply failed");
}

RawStore::RawStore(const std::string& path, bool keeps_sequence) : keeps_sequence_(keeps_sequence) {
  must(sqlite3_open_v2(path.c_str(), &db_,
                       SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                       nullptr) == SQLITE_OK,
       "cannot open the raw database");
  run("PRAGMA cache_size=-16385");
  run("PRAGMA journal_mode=WAL");
  run("PRAGMA wal_autocheckpoint=4000");
  run("PRAGMA temp_store=MEMORY");
  run(raw_schema);
  constexpr char insert[] = "INSERT OR REPLACE INTO payload VALUES (?,?,?,?,?,?,?,?,?,?,?)";
  constexpr char keep_sequence[] = "UPDATE sequence SET last = last + 1 WHERE epoch = 1";
  run("CREATE TABLE sequence (epoch INTEGER PRIMARY KEY, last INTEGER)");
  run("INSERT INTO sequence VALUES (1, 0)");
  must(sqlite3_prepare_v2(db_, keep_sequence, -1, &sequence_, nullptr) == SQLITE_OK, "prepare");
  must(sqlite3_prepare_v2(db_, insert, -1, &insert_, nullptr) == SQLITE_OK, "prepare");
  must(sqlite3_prepare_v2(db_, "BEGIN IMMEDIATE", -1, &begin_, nullptr) == SQLITE_OK, "prepare");
  must(sqlite3_prepare_v2(db_, "COMMIT", -1, &commit_, nullptr) == SQLITE_OK, "prepare");
}

RawStore::~RawStore() {
  for (sqlite3_stmt* statement : {begin_, insert_, sequence_, commit_}) sqlite3_finalize(statement);
  sqlite3_close(db_);
}

void RawStore::run(const char* sql) {
  must(sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) == SQLITE_OK, sql);
}

void RawStore::write(const Payloads& payloads, std::size_t first, std::size_t count,
                     uint32_t durability) {
  if (durability != durability_)
    run(durability == PM_DURABILITY_POWER ? "PRAGMA synchronous=FULL"
                                          : "PRAGMA synchronous=NORMAL");
  durability_ = durability;
  const auto step = [](sqlite3_stmt* statement) {
    must(sqlite3_step(statement) == SQLITE_DONE, "step");
    sqlite3_reset(statement);
  };
  step(begin_);
  if (keeps_sequence_) step(sequence_);
  for (std::size_t i = first; i < first + count; ++i) {
    const pm_value_t* values = payloads.values(i);
    for (int f = 0; f < 11; ++f) {
      if (values[f].type == PM_VALUE_TEXT) {
        sqlite3_bind_text(insert_, f + 1, static_cast<const char*>(values[f].as.bytes.data),
                          static_cast<int>(values[f].as.bytes.length), SQLITE_STATIC);
      } else if (values[f].type == PM_VALUE_BYTES) {
        sqlite3_bind_blob(insert_, f + 1, values[f].as.bytes.data,
                          static_cast<int>(values[f].as.bytes.length), SQLITE_STATIC);
      } else {
        sqlite3_bind_int64(insert_, f + 1, values[f].as.i64);
      }
    }
    step(insert_);
  }
  step(commit_);
}

}  // namespace pm::perf
