#include "repository.h"

#include <algorithm>
#include <cstring>

#include "log_loss.h"
#include "page_checksums.h"
#include "scan_query.h"

namespace pm::repository_sqlite {

namespace {

// A reader of its own needs little: the kernel's page cache stands behind it.
constexpr std::uint64_t reader_cache_bytes_max = 2u << 20;

// One big transaction must not leave a write-ahead log of its size for ever.
constexpr char wal_size_limit[] = "PRAGMA journal_size_limit=67108864";

int remember_wal_pages(void* data, sqlite3*, const char*, int pages) {
  *static_cast<int*>(data) = pages;
  return SQLITE_OK;
}

// Whether the field stands in an index besides the key.
bool is_indexed(const sdk::RecordKind& kind, std::size_t field) {
  for (const sdk::RecordIndex& index : kind.indexes)
    if (std::find(index.positions.begin(), index.positions.end(), field) != index.positions.end())
      return true;
  return false;
}

// SQLite rewrites the entry of every index that a SET names, changed or not. Most records are
// written again with their indexed fields as they were, so there are two statements: one that
// sets the other fields, and changes nothing when an indexed one differs, and one that sets all.
// Measured on records written again in batches of 64: twice the rows a second of INSERT OR REPLACE.
// The last parameter is the batch's sequence, which every row keeps.
std::string put_sql(const sdk::RecordKind& kind, bool moving) {
  const std::string sequence = quoted(sequence_column);
  std::string values, conditions;
  std::string changes = sequence + " = excluded." + sequence;
  for (std::size_t f = 0; f < kind.fields.size(); ++f) {
    const std::string column = quoted(kind.fields[f].name);
    values += "?, ";
    if (f < kind.key_count) continue;
    if (moving || !is_indexed(kind, f)) {
      changes += ", " + column + " = excluded." + column;
    } else {
      conditions += (conditions.empty() ? " WHERE " : " AND ") + quoted(kind.name) + "." + column +
                    " = excluded." + column;
    }
  }
  return "INSERT INTO " + quoted(kind.name) + " (" + column_list(kind) + ", " + sequence +
         ") VALUES (" + values + "?) ON CONFLICT DO UPDATE SET " + changes + conditions;
}

// When no field outside the key is indexed, one statement is enough.
bool needs_two_puts(const sdk::RecordKind& kind) {
  for (std::size_t f = kind.key_count; f < kind.fields.size(); ++f)
    if (is_indexed(kind, f)) return true;
  return false;
}

// Of the records whose first `fields` key fields are those given.
std::string remove_sql(const sdk::RecordKind& kind, std::size_t fields) {
  std::string sql = "DELETE FROM " + quoted(kind.name) + " WHERE ";
  for (std::size_t k = 0; k < fields; ++k)
    sql += (k == 0 ? "" : " AND ") + quoted(kind.fields[k].name) + " = ?";
  return sql;
}

Status prepare_into(const Connection& connection, const std::string& sql, Statement& out) {
  Result<Statement> statement = connection.prepare(sql);
  if (!statement.ok()) return statement.status();
  out = std::move(*statement);
  return {};
}

}  // namespace

SqliteRepository::~SqliteRepository() {
  close_cleanly();
  // Readers first: the last connection to close empties the write-ahead log into the file.
  readers_.reset();
}

Status SqliteRepository::open(const pm_schema_t& schema, pm_repository_state_t* state) {
  if (state == nullptr || state->size < sizeof *state)
    return {Code::invalid_argument, "the state to fill in is of an older, smaller layout"};
  if (epoch_ != 0) return {Code::failed_precondition, "the repository is open already"};
  StoreState found;
  if (Status status = open_store(schema, found); !status.ok()) {
    readers_.reset();
    begin_.reset(), commit_.reset(), barrier_.reset();
    read_epoch_.reset(), mark_sequence_.reset();
    writes_.clear();
    writer_.reset();
    file_.reset();
    if (status.code() != Code::data_loss) return status;
    return {Code::data_loss, options_.path +
                                 " is damaged or is no SQLite database; restore it from a copy, "
                                 "or move it away to begin with an empty store: " +
                                 status.message()};
  }
  epoch_ = found.epoch;
  first_sequence_ = last_sequence_ = power_sequence_ = found.last_sequence;
  state->epoch = found.epoch;
  state->last_sequence = found.last_sequence;
  std::snprintf(state->instance_id, sizeof state->instance_id, "%s", found.instance_id.c_str());
  return {};
}

Status SqliteRepository::open_store(const pm_schema_t& schema, StoreState& state) {
  Result<sdk::RecordSchema> copy = sdk::RecordSchema::read(schema);
  if (!copy.ok()) return copy.status();
  schema_ = std::move(*copy);
  Result<StoreFile> file = StoreFile::claim(options_.path);
  if (!file.ok()) return file.status();
  file_.emplace(std::move(*file));

  PM_TRY(open_writer());
  // The epoch and the tables must survive loss of power before anything is built on them. This
  // also writes the file's own bytes; with its directories synced it is there for good, and a
  // batch that asks for PM_DURABILITY_POWER need only sync the log.
  PM_TRY(set_synchronous(PM_DURABILITY_POWER));
  PM_TRY(writer_->run(wal_size_limit));
  sqlite3_wal_hook(writer_->handle(), remember_wal_pages, &wal_pages_);
  Result<StoreState> found = migrate(*writer_, schema_, file_->path());
  if (!found.ok()) return found.status();
  state = std::move(*found);
  PM_TRY(file_->sync_directories());
  file_->note_boot();
  checkpoint_at_pages_ = static_cast<int>(options_.wal_autocheckpoint_pages);
  readers_.emplace(file_->path(), std::min(options_.cache_bytes, reader_cache_bytes_max),
                   options_.busy_timeout_ms);
  return prepare_writes();
}

// Nothing is written before the file and its log are known to be what the last host left.
Status SqliteRepository::open_writer() {
  const auto checksums = find_page_checksums(file_->path());
  if (!checksums.ok()) return checksums.status();
  // After a loss of power the log may well be shorter than it was; then what was synced counts.
  if (file_->is_same_boot()) PM_TRY(check_log(file_->path()));
  Result<Connection> writer = Connection::open(file_->path(), SQLITE_OPEN_READWRITE,
                                               options_.cache_bytes, options_.busy_timeout_ms);
  if (!writer.ok()) return writer.status();
  writer_.emplace(std::move(*writer));
  if (*checksums == PageChecksums::undecided) {
    const auto pages = writer_->number("PRAGMA page_count");  // Also rolls a journal back.
    if (!pages.ok()) return pages.status();
    if (*pages == 0) PM_TRY(reserve_page_checksums(*writer_));
  }
  if (*checksums == PageChecksums::none)
    host_.warn(file_->path() +
               " was made without page checksums, so damage to it may go unnoticed");
  const auto mode = writer_->text("PRAGMA journal_mode=WAL");
  if (!mode.ok()) return mode.status();
  if (*mode != "wal")
    return {Code::failed_precondition, "the file system of " + file_->path() +
                                           " cannot do write-ahead logging (it needs shared "
                                           "memory and locks); use a local one"};
  return {};
}

Status SqliteRepository::prepare_writes() {
  std::size_t fields_max = 0;
  for (const sdk::RecordKind& kind : schema_.kinds) {
    Writes writes;
    const bool two_puts = needs_two_puts(kind);
    PM_TRY(prepare_into(*writer_, put_sql(kind, !two_puts), writes.put));
    if (two_puts) PM_TRY(prepare_into(*writer_, put_sql(kind, true), writes.put_moving));
    PM_TRY(prepare_into(*writer_, remove_sql(kind, kind.key_count), writes.remove));
    writes.remove_prefix.resize(kind.key_count - 1);
    for (std::size_t fields = 1; fields < kind.key_count; ++fields)
      PM_TRY(prepare_into(*writer_, remove_sql(kind, fields), writes.remove_prefix[fields - 1]));
    writes_.push_back(std::move(writes));
    fields_max = std::max(fields_max, kind.fields.size());
  }
  slots_.resize(fields_max);
  PM_TRY(prepare_into(*writer_, "BEGIN IMMEDIATE", begin_));
  PM_TRY(prepare_into(*writer_, "COMMIT", commit_));
  PM_TRY(prepare_into(*writer_, "UPDATE pm_meta SET barriers = barriers + 1", barrier_));
  PM_TRY(
      prepare_into(*writer_, "UPDATE pm_meta SET last_sequence = ?1 WHERE id = 1", mark_sequence_));
  return prepare_into(*writer_, "SELECT epoch FROM pm_meta WHERE id = 1", read_epoch_);
}

Status SqliteRepository::usable() const {
  if (epoch_ == 0) return {Code::failed_precondition, "the repository is not open"};
  if (lost_.load(std::memory_order_acquire))
    return {Code::data_loss, file_->path() +
                                 " cannot be trusted since a sync of it failed or a page was "
                                 "found damaged; restart the host to recover what is there"};
  return {};
}

// What a failed fsync dropped cannot be written again by trying again, so the loss stays noted.
Status SqliteRepository::note_loss(Status status) {
  if (status.code() == Code::data_loss) lost_.store(true, std::memory_order_release);
  return status;
}

Status SqliteRepository::apply(const pm_batch_t& batch) {
  PM_TRY(usable());
  const auto turn = sdk::check_turn(batch, epoch_, first_sequence_, last_sequence_);
  if (!turn.ok()) return turn.status();
  if (*turn == sdk::BatchTurn::repeat) return make_repeat_durable(batch);
  PM_TRY(set_synchronous(batch.durability));
  PM_TRY(note_loss(writer_->run(begin_.get(), "beginning a transaction")));
  PM_TRY(note_loss(commit_or_roll_back(write(batch))));
  data_version_ = data_version();
  last_sequence_ = batch.sequence;
  if (batch.durability == PM_DURABILITY_POWER) power_sequence_ = batch.sequence;
  return note_loss(checkpoint_when_due());
}

// In WAL mode NORMAL syncs the log only before it is emptied, FULL after each commit
// (https://sqlite.org/pragma.html#pragma_synchronous); the sync covers all earlier commits.
Status SqliteRepository::set_synchronous(std::uint32_t durability) {
  if (durability == synchronous_) return {};
  PM_TRY(writer_->run(durability == PM_DURABILITY_POWER ? "PRAGMA synchronous=FULL"
                                                        : "PRAGMA synchronous=NORMAL"));
  synchronous_ = durability;
  return {};
}

// The rows that a batch puts tell its sequence, so that it costs no page of its own: a batch of one
// record logs one page instead of two. What puts no row, or may take the rows again that told an
// earlier sequence, says it in pm_meta.
Status SqliteRepository::write(const pm_batch_t& batch) {
  PM_TRY(check_epoch());
  std::uint64_t puts = 0;
  for (std::uint64_t i = 0; i < batch.operation_count; ++i) {
    PM_TRY(write_operation(batch.operations[i], batch.sequence));
    puts += batch.operations[i].type == PM_OPERATION_PUT ? 1 : 0;
  }
  if (puts != 0 && puts == batch.operation_count) return {};
  sqlite3_bind_int64(mark_sequence_.get(), 1, static_cast<sqlite3_int64>(batch.sequence));
  return writer_->run(mark_sequence_.get(), "noting the sequence");
}

// Changes with every transaction of any connection; within a transaction it is up to date
// (https://sqlite.org/c3ref/c_fcntl_begin_atomic_write.html, SQLITE_FCNTL_DATA_VERSION).
std::uint32_t SqliteRepository::data_version() const {
  unsigned int version = 0;
  sqlite3_file_control(writer_->handle(), "main", SQLITE_FCNTL_DATA_VERSION, &version);
  return version;
}

// Within the transaction that it guards, which nobody can get between. While nobody else has
// written, the epoch is what this connection left.
Status SqliteRepository::check_epoch() {
  if (data_version() == data_version_) return {};
  const int code = sqlite3_step(read_epoch_.get());
  const auto found = static_cast<std::uint64_t>(sqlite3_column_int64(read_epoch_.get(), 0));
  Status status;
  if (code != SQLITE_ROW && code != SQLITE_DONE)
    status = writer_->failure(code, "checking the epoch");
  sqlite3_reset(read_epoch_.get());
  if (!status.ok() || (code == SQLITE_ROW && found == epoch_)) return status;
  return {Code::aborted, "another host has opened " + file_->path() + " since; epoch " +
                             std::to_string(epoch_) + " is over"};
}

// Spares the next opening a look at all rows. Without it, or when it fails, nothing is lost.
void SqliteRepository::close_cleanly() {
  if (epoch_ == 0 || outcome_unknown_ || lost_.load(std::memory_order_acquire)) return;
  const std::string sql =
      "UPDATE pm_meta SET is_open = 0, last_sequence = " + std::to_string(last_sequence_) +
      " WHERE id = 1 AND epoch = " + std::to_string(epoch_);
  if (const Status status = writer_->run(sql.c_str()); !status.ok())
    host_.warn(status.message() + "; the next start takes a little longer");
}

Status SqliteRepository::write_operation(const pm_operation_t& operation, std::uint64_t sequence) {
  const std::size_t at = schema_.find(operation.kind);
  if (at == schema_.kinds.size()) return schema_.unknown_kind(operation.kind);
  const sdk::RecordKind& kind = schema_.kinds[at];
  const Writes& writes = writes_[at];
  if (operation.type < PM_OPERATION_PUT || operation.type > PM_OPERATION_DELETE_PREFIX)
    return {Code::invalid_argument,
            "operation type " + std::to_string(operation.type) + " is unknown"};
  if (operation.type == PM_OPERATION_DELETE_PREFIX) {
    const auto fields =
        sdk::place_prefix(kind, operation.values, operation.value_count, slots_.data());
    if (!fields.ok()) return fields.status();
    sqlite3_stmt* statement = writes.remove_prefix[*fields - 1].get();
    PM_TRY(bind_slots(kind, *fields, statement));
    return writer_->run(statement, "deleting records");
  }
  const bool is_put = operation.type == PM_OPERATION_PUT;
  const std::size_t given = is_put ? kind.fields.size() : kind.key_count;
  PM_TRY(sdk::place_values(kind, operation.values, operation.value_count, given, slots_.data()));
  if (!is_put) {
    PM_TRY(bind_slots(kind, given, writes.remove.get()));
    return writer_->run(writes.remove.get(), "deleting a record");
  }
  PM_TRY(put_slots(kind, sequence, writes.put.get()));
  if (writes.put_moving == nullptr || sqlite3_changes(writer_->handle()) != 0) return {};
  return put_slots(kind, sequence, writes.put_moving.get());
}

Status SqliteRepository::put_slots(const sdk::RecordKind& kind, std::uint64_t sequence,
                                   sqlite3_stmt* statement) {
  PM_TRY(bind_slots(kind, kind.fields.size(), statement));
  sqlite3_bind_int64(statement, static_cast<int>(kind.fields.size()) + 1,
                     static_cast<sqlite3_int64>(sequence));
  return writer_->run(statement, "writing a record");
}

Status SqliteRepository::bind_slots(const sdk::RecordKind& kind, std::size_t given,
                                    sqlite3_stmt* statement) {
  for (std::size_t f = 0; f < given; ++f) {
    const int parameter = static_cast<int>(f) + 1;
    const int code = slots_[f] != nullptr ? bind_value(statement, parameter, *slots_[f])
                                          : bind_empty(statement, parameter, kind.fields[f].type);
    if (code != SQLITE_OK)
      return writer_->failure(code, "field " + kind.fields[f].name + " of kind " + kind.name);
  }
  return {};
}

// A batch whose commit failed may be there or not. It comes again, and is written again: that
// leaves the same records.
Status SqliteRepository::commit_or_roll_back(Status written) {
  if (written.ok()) {
    written = writer_->run(commit_.get(), "committing");
    outcome_unknown_ = !written.ok();
  }
  // SQLite itself rolls back after some errors; where it has, a ROLLBACK would only fail.
  if (!written.ok() && sqlite3_get_autocommit(writer_->handle()) == 0)
    sqlite3_exec(writer_->handle(), "ROLLBACK", nullptr, nullptr, nullptr);
  return written;
}

// A repeat may ask for more than the first sending did. A transaction with a sync makes all earlier
// ones durable too, but it must change something: SQLite neither logs nor syncs a page that is
// written as it was.
Status SqliteRepository::make_repeat_durable(const pm_batch_t& batch) {
  if (batch.durability != PM_DURABILITY_POWER || batch.sequence <= power_sequence_) return {};
  PM_TRY(set_synchronous(PM_DURABILITY_POWER));
  PM_TRY(note_loss(writer_->run(barrier_.get(), "syncing the log")));
  power_sequence_ = last_sequence_;
  return {};
}

// SQLite's own automatic checkpoint hides its errors, and a failed sync must not be hidden.
Status SqliteRepository::checkpoint_when_due() {
  const int every = static_cast<int>(options_.wal_autocheckpoint_pages);
  if (wal_pages_ < every) checkpoint_at_pages_ = every;  // The log began anew.
  if (wal_pages_ < checkpoint_at_pages_) return {};
  int pages = 0;
  int copied = 0;
  const int code = sqlite3_wal_checkpoint_v2(writer_->handle(), nullptr, SQLITE_CHECKPOINT_PASSIVE,
                                             &pages, &copied);
  // What a reader still needs stays in the log; not every commit has to try it again.
  checkpoint_at_pages_ = code == SQLITE_OK && copied == pages ? every : wal_pages_ + every;
  if (code == SQLITE_OK || (code & 0xff) == SQLITE_BUSY) return {};
  Status status = writer_->failure(code, "emptying the write-ahead log");
  if (status.code() == Code::data_loss) return status;
  host_.warn(status.message() + "; the log grows until this works");
  return {};
}

Status SqliteRepository::get(std::uint32_t kind_id, const pm_value_t* key, std::uint32_t key_count,
                             pm_on_record_t on_record, void* data) {
  PM_TRY(usable());
  const std::size_t at = schema_.find(kind_id);
  if (at == schema_.kinds.size()) return schema_.unknown_kind(kind_id);
  const sdk::RecordKind& kind = schema_.kinds[at];
  std::vector<const pm_value_t*> slots(kind.key_count);
  PM_TRY(sdk::place_values(kind, key, key_count, kind.key_count, slots.data()));
  Result<ReaderPool::Lent> reader = readers_->borrow(schema_);
  if (!reader.ok()) return reader.status();
  Result<sqlite3_stmt*> prepared = (*reader)->get_statement(schema_, at);
  if (!prepared.ok()) return note_loss(prepared.status());
  sqlite3_stmt* statement = *prepared;
  for (std::size_t k = 0; k < kind.key_count; ++k)
    if (const int code = bind_value(statement, static_cast<int>(k) + 1, *slots[k]);
        code != SQLITE_OK)
      return (*reader)->connection().failure(code, "key field " + kind.fields[k].name);
  const int code = sqlite3_step(statement);
  Status status;
  if (code == SQLITE_ROW) {
    (*reader)->visit(statement, kind, on_record, data);
  } else if (code == SQLITE_DONE) {
    status = Status(Code::not_found, "no such record of kind " + kind.name);
  } else {
    status = note_loss((*reader)->connection().failure(code, "reading a record"));
  }
  sqlite3_reset(statement);
  return status;
}

Status SqliteRepository::scan(const pm_scan_t& scan, pm_on_record_t on_record, void* data) {
  PM_TRY(usable());
  if (scan.size < sizeof scan)
    return {Code::invalid_argument, "the scan is of an older, smaller layout"};
  const std::size_t at = schema_.find(scan.kind);
  if (at == schema_.kinds.size()) return schema_.unknown_kind(scan.kind);
  PM_TRY(sdk::check_scan(schema_.kinds[at], scan));
  Result<ReaderPool::Lent> reader = readers_->borrow(schema_);
  if (!reader.ok()) return reader.status();
  // One transaction, so that both halves of a scan see one snapshot.
  PM_TRY((*reader)->connection().run("BEGIN"));
  Status status = note_loss(run_scan(**reader, schema_.kinds[at], scan, on_record, data));
  sqlite3_exec((*reader)->connection().handle(), "ROLLBACK", nullptr, nullptr, nullptr);
  return status;
}

Status SqliteRepository::run_scan(Reader& reader, const sdk::RecordKind& kind,
                                  const pm_scan_t& scan, pm_on_record_t on_record, void* data) {
  constexpr auto limit_max = static_cast<std::uint64_t>(INT64_MAX);
  std::uint64_t left = scan.limit == 0 ? limit_max : std::min(scan.limit, limit_max);
  for (const ScanQuery& query : scan_queries(kind, scan)) {
    if (left == 0) break;
    Result<sqlite3_stmt*> prepared = reader.scan_statement(query.sql);
    if (!prepared.ok()) return prepared.status();
    sqlite3_stmt* statement = *prepared;
    int parameter = 1;
    for (const pm_value_t* value : query.parameters)
      if (const int code = bind_value(statement, parameter++, *value); code != SQLITE_OK)
        return reader.connection().failure(code, "a condition of a scan");
    sqlite3_bind_int64(statement, parameter, static_cast<sqlite3_int64>(left));
    int code = SQLITE_OK;
    bool goes_on = true;
    while (goes_on && (code = sqlite3_step(statement)) == SQLITE_ROW) {
      --left;
      goes_on = reader.visit(statement, kind, on_record, data);
    }
    Status status;
    if (code != SQLITE_ROW && code != SQLITE_DONE)
      status = reader.connection().failure(code, "scanning " + kind.name);
    sqlite3_reset(statement);
    if (!status.ok() || !goes_on) return status;
  }
  return {};
}

}  // namespace pm::repository_sqlite
