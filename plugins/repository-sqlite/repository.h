#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <pm/cpp/plugin.hpp>
#include <pm/cpp/record_schema.hpp>
#include <string>
#include <vector>

#include "connection.h"
#include "migration.h"
#include "reader_pool.h"
#include "store_file.h"

namespace pm::repository_sqlite {

struct Options {
  std::string path;
  std::uint64_t busy_timeout_ms = 0;
  std::uint64_t cache_bytes = 0;
  std::uint64_t wal_autocheckpoint_pages = 0;
};

// A store in one SQLite file: one connection that writes, a pool of connections that read.
// Threads: as pm_repository_t says.
class SqliteRepository {
 public:
  SqliteRepository(const sdk::Host& host, Options options)
      : host_(host), options_(std::move(options)) {}
  ~SqliteRepository();

  const sdk::Host& host() const { return host_; }

  Status open(const pm_schema_t& schema, pm_repository_state_t* state);
  Status apply(const pm_batch_t& batch);
  Status get(std::uint32_t kind, const pm_value_t* key, std::uint32_t key_count,
             pm_on_record_t on_record, void* data);
  Status scan(const pm_scan_t& scan, pm_on_record_t on_record, void* data);

 private:
  // What is kept prepared for one kind.
  struct Writes {
    Statement put;
    Statement put_moving;  // None when `put` does it all.
    Statement remove;
    std::vector<Statement> remove_prefix;  // By the number of key fields, from 1 on.
  };

  Status open_store(const pm_schema_t& schema, StoreState& state);
  Status open_writer();
  Status prepare_writes();
  Status usable() const;
  Status set_synchronous(std::uint32_t durability);
  Status write(const pm_batch_t& batch);
  Status write_operation(const pm_operation_t& operation, std::uint64_t sequence);
  Status put_slots(const sdk::RecordKind& kind, std::uint64_t sequence, sqlite3_stmt* statement);
  Status bind_slots(const sdk::RecordKind& kind, std::size_t given, sqlite3_stmt* statement);
  Status check_epoch();
  std::uint32_t data_version() const;
  void close_cleanly();
  Status commit_or_roll_back(Status written);
  Status make_repeat_durable(const pm_batch_t& batch);
  Status checkpoint_when_due();
  Status note_loss(Status status);
  Status run_scan(Reader& reader, const sdk::RecordKind& kind, const pm_scan_t& scan,
                  pm_on_record_t on_record, void* data);

  const sdk::Host host_;
  const Options options_;
  sdk::RecordSchema schema_;
  std::optional<StoreFile> file_;
  std::optional<Connection> writer_;
  std::optional<ReaderPool> readers_;

  Statement begin_, commit_, read_epoch_, mark_sequence_, barrier_;
  std::vector<Writes> writes_;            // By place of the kind in the schema.
  std::vector<const pm_value_t*> slots_;  // Scratch of write_operation.

  std::uint64_t epoch_ = 0;
  std::uint64_t first_sequence_ = 0;  // What open() found.
  std::uint64_t last_sequence_ = 0;
  std::uint64_t power_sequence_ = 0;  // All up to this one survives loss of power.
  bool outcome_unknown_ = false;      // The batch after last_sequence_ may have been applied.
  std::uint32_t data_version_ = 0;    // At which epoch_ was found or left in the file.
  std::uint32_t synchronous_ = 0;     // The pm_durability that the writer is set to.
  std::atomic<bool> lost_{false};     // A sync failed or a page is damaged: nothing more is done.

  int wal_pages_ = 0;  // In the write-ahead log after the last commit.
  int checkpoint_at_pages_ = 0;
};

}  // namespace pm::repository_sqlite
