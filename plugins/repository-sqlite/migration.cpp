#include "migration.h"

#include <sys/random.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <map>
#include <set>

namespace pm::repository_sqlite {

namespace {

using sdk::RecordField;
using sdk::RecordIndex;
using sdk::RecordKind;
using sdk::RecordSchema;

// The declared type tells people what a column is; SQLite makes the affinity INTEGER of the first
// two (https://sqlite.org/datatype3.html, section 3.1).
const char* declared_type(std::uint32_t type) {
  switch (type) {
    case PM_VALUE_U64: return "UNSIGNED BIGINT";
    case PM_VALUE_I64: return "BIGINT";
    case PM_VALUE_TEXT: return "TEXT";
    default: return "BLOB";
  }
}

RecordField sequence_field() { return {0, PM_VALUE_U64, sequence_column}; }

std::string column_definition(const RecordField& field) {
  const char* empty = field.type == PM_VALUE_TEXT    ? "''"
                      : field.type == PM_VALUE_BYTES ? "x''"
                                                     : "0";
  return quoted(field.name) + " " + declared_type(field.type) + " NOT NULL DEFAULT " + empty;
}

std::string create_table(const RecordKind& kind) {
  std::string sql = "CREATE TABLE " + quoted(kind.name) + " (";
  for (const RecordField& field : kind.fields) sql += column_definition(field) + ", ";
  sql += column_definition(sequence_field()) + ", PRIMARY KEY (";
  for (std::size_t k = 0; k < kind.key_count; ++k)
    sql += (k == 0 ? "" : ", ") + quoted(kind.fields[k].name);
  return sql + ")) WITHOUT ROWID";
}

// Index names share one space with all tables; the dot keeps them apart, for no kind has one.
std::string index_name(const RecordKind& kind, const RecordIndex& index) {
  return kind.name + "." + index.name;
}

std::string create_index(const RecordKind& kind, const RecordIndex& index) {
  std::string sql =
      "CREATE INDEX " + quoted(index_name(kind, index)) + " ON " + quoted(kind.name) + " (";
  for (std::size_t i = 0; i < index.positions.size(); ++i)
    sql += (i == 0 ? "" : ", ") + quoted(kind.fields[index.positions[i]].name);
  return sql + ")";
}

struct Column {
  std::string type;
  std::size_t key_place = 0;  // From 1; 0: not part of the key.
};

Result<std::map<std::string, Column>> columns_of(const Connection& connection,
                                                 const std::string& table) {
  auto statement = connection.prepare("SELECT name, type, pk FROM pragma_table_info(?1)");
  if (!statement.ok()) return statement.status();
  sqlite3_stmt* query = statement->get();
  sqlite3_bind_text(query, 1, table.c_str(), -1, SQLITE_STATIC);
  std::map<std::string, Column> result;
  int code = SQLITE_OK;
  while ((code = sqlite3_step(query)) == SQLITE_ROW) {
    const auto word = [&](int column) {
      const auto* text = sqlite3_column_text(query, column);
      return std::string(text == nullptr ? "" : reinterpret_cast<const char*>(text));
    };
    result[word(0)] = {word(1), static_cast<std::size_t>(sqlite3_column_int64(query, 2))};
  }
  if (code != SQLITE_DONE) return connection.failure(code, "reading the columns of " + table);
  return result;
}

Result<std::set<std::string>> indexes_of(const Connection& connection) {
  auto statement = connection.prepare("SELECT name FROM sqlite_schema WHERE type='index'");
  if (!statement.ok()) return statement.status();
  std::set<std::string> result;
  int code = SQLITE_OK;
  while ((code = sqlite3_step(statement->get())) == SQLITE_ROW)
    result.emplace(reinterpret_cast<const char*>(sqlite3_column_text(statement->get(), 0)));
  if (code != SQLITE_DONE) return connection.failure(code, "reading the indexes");
  return result;
}

// Runs the change and remembers it for pm_schema.
Status change(const Connection& connection, const std::string& sql, std::string& changes) {
  PM_TRY(connection.run(sql.c_str()));
  changes += sql + ";\n";
  return {};
}

Status add_column(const Connection& connection, const std::string& table, const RecordField& field,
                  std::string& changes) {
  return change(connection,
                "ALTER TABLE " + quoted(table) + " ADD COLUMN " + column_definition(field),
                changes);
}

Status check_names(const RecordKind& kind) {
  if (kind.name.starts_with("pm_") || kind.name.starts_with("sqlite_"))
    return {Code::invalid_argument,
            "a kind cannot be called " + kind.name + ": pm_ and sqlite_ are taken"};
  for (const RecordField& field : kind.fields)
    if (field.name.starts_with("pm_"))
      return {Code::invalid_argument, "a field of kind " + kind.name + " cannot be called " +
                                          field.name + ": pm_ is taken"};
  return {};
}

Status bring_up(const Connection& connection, const RecordKind& kind, std::string& changes) {
  PM_TRY(check_names(kind));
  auto columns = columns_of(connection, kind.name);
  if (!columns.ok()) return columns.status();
  if (columns->empty()) return change(connection, create_table(kind), changes);
  for (std::size_t f = 0; f < kind.fields.size(); ++f) {
    const RecordField& field = kind.fields[f];
    const auto column = columns->find(field.name);
    const std::string where = "column " + field.name + " of table " + kind.name;
    const std::size_t key_place = f < kind.key_count ? f + 1 : 0;
    if (column == columns->end()) {
      if (key_place != 0)
        return {Code::failed_precondition, where + " is missing, and a key cannot change"};
      PM_TRY(add_column(connection, kind.name, field, changes));
    } else if (column->second.type != declared_type(field.type)) {
      return {Code::failed_precondition, where + " is " + column->second.type +
                                             ", this host needs " + declared_type(field.type)};
    } else if (column->second.key_place != key_place) {
      return {Code::failed_precondition, where +
                                             " has another place in the key than this host "
                                             "gives it"};
    }
  }
  if (columns->count(sequence_column) != 0) return {};
  return add_column(connection, kind.name, sequence_field(), changes);
}

Status create_missing_indexes(const Connection& connection, const RecordSchema& schema,
                              std::string& changes) {
  const auto existing = indexes_of(connection);
  if (!existing.ok()) return existing.status();
  for (const RecordKind& kind : schema.kinds)
    for (const RecordIndex& index : kind.indexes)
      if (existing->count(index_name(kind, index)) == 0)
        PM_TRY(change(connection, create_index(kind, index), changes));
  return {};
}

Result<std::string> draw_instance_id() {
  std::uint64_t bits = 0;
  if (::getrandom(&bits, sizeof bits, 0) != sizeof bits)
    return Status(Code::unavailable, "the kernel gave no random numbers");
  char text[17];
  std::snprintf(text, sizeof text, "%016" PRIx64, bits);
  return std::string(text);
}

// Stores of the first layout lack is_open; their last_sequence was written with each batch.
Status bring_up_own_tables(const Connection& connection, std::string& changes) {
  const auto columns = columns_of(connection, "pm_meta");
  if (!columns.ok()) return columns.status();
  if (columns->count("is_open") != 0) return {};
  return change(connection, "ALTER TABLE pm_meta ADD COLUMN is_open BIGINT NOT NULL DEFAULT 0",
                changes);
}

Status make_own_tables(const Connection& connection, const std::string& path,
                       std::string& changes) {
  const auto tables = connection.number("SELECT count(*) FROM sqlite_schema WHERE type='table'");
  if (!tables.ok()) return tables.status();
  const auto own = connection.number("SELECT count(*) FROM sqlite_schema WHERE name='pm_meta'");
  if (!own.ok()) return own.status();
  if (*own != 0) return bring_up_own_tables(connection, changes);
  if (*tables != 0)
    return {Code::failed_precondition,
            path + " is a database of something else; give the repository a path of its own"};
  PM_TRY(
      connection.run("CREATE TABLE pm_schema (version INTEGER PRIMARY KEY, "
                     "applied_at TEXT NOT NULL, changes TEXT NOT NULL);"
                     "CREATE TABLE pm_meta (id INTEGER PRIMARY KEY CHECK (id = 1), "
                     "instance_id TEXT NOT NULL, epoch UNSIGNED BIGINT NOT NULL, "
                     "last_sequence UNSIGNED BIGINT NOT NULL, "
                     "barriers BIGINT NOT NULL, is_open BIGINT NOT NULL);"));
  const auto instance_id = draw_instance_id();
  if (!instance_id.ok()) return instance_id.status();
  return connection.run(
      ("INSERT INTO pm_meta VALUES (1, '" + *instance_id + "', 0, 0, 0, 0)").c_str());
}

Status record_version(const Connection& connection, std::uint32_t version,
                      const std::string& changes) {
  auto statement = connection.prepare(
      "INSERT INTO pm_schema VALUES (?1, strftime('%Y-%m-%dT%H:%M:%SZ', 'now'), ?2) "
      "ON CONFLICT (version) DO UPDATE SET changes = changes || excluded.changes");
  if (!statement.ok()) return statement.status();
  sqlite3_bind_int64(statement->get(), 1, version);
  sqlite3_bind_text(statement->get(), 2, changes.c_str(), -1, SQLITE_STATIC);
  return connection.run(statement->get(), "recording the schema version");
}

Result<std::uint64_t> find_last_sequence(const Connection& connection, const RecordSchema& schema) {
  const auto noted = connection.number("SELECT last_sequence FROM pm_meta");
  if (!noted.ok()) return noted.status();
  const auto is_open = connection.number("SELECT is_open FROM pm_meta");
  if (!is_open.ok()) return is_open.status();
  std::int64_t last = *noted;
  for (const RecordKind& kind : schema.kinds) {
    if (*is_open == 0) break;
    const std::string sql = "SELECT max(" + quoted(sequence_column) + ") FROM " + quoted(kind.name);
    const auto newest = connection.number(sql.c_str());
    if (!newest.ok()) return newest.status();
    last = std::max(last, *newest);
  }
  return static_cast<std::uint64_t>(last);
}

Result<StoreState> claim_epoch(const Connection& connection, const RecordSchema& schema,
                               const std::string& path) {
  const auto sequence = find_last_sequence(connection, schema);
  if (!sequence.ok()) return sequence.status();
  const std::string claim = "UPDATE pm_meta SET epoch = epoch + 1, is_open = 1, last_sequence = " +
                            std::to_string(*sequence) + " WHERE id = 1";
  PM_TRY(connection.run(claim.c_str()));
  if (sqlite3_changes(connection.handle()) != 1)
    return Status(Code::data_loss, path + " has lost its row in pm_meta");
  const auto instance_id = connection.text("SELECT instance_id FROM pm_meta");
  const auto epoch = connection.number("SELECT epoch FROM pm_meta");
  if (!instance_id.ok()) return instance_id.status();
  if (!epoch.ok()) return epoch.status();
  return StoreState{*instance_id, static_cast<std::uint64_t>(*epoch), *sequence};
}

Result<StoreState> migrate_in_transaction(const Connection& connection, const RecordSchema& schema,
                                          const std::string& path) {
  std::string changes;
  PM_TRY(make_own_tables(connection, path, changes));
  const auto version = connection.number("SELECT max(version) FROM pm_schema");
  if (!version.ok()) return version.status();
  if (*version > schema.version)
    return Status(Code::failed_precondition,
                  path + " has schema version " + std::to_string(*version) +
                      ", this host knows versions up to " + std::to_string(schema.version) +
                      "; start the newer host, or restore an older copy of the store");
  for (const RecordKind& kind : schema.kinds) PM_TRY(bring_up(connection, kind, changes));
  PM_TRY(create_missing_indexes(connection, schema, changes));
  if (*version < schema.version || !changes.empty())
    PM_TRY(record_version(connection, schema.version, changes));
  return claim_epoch(connection, schema, path);
}

}  // namespace

Result<StoreState> migrate(const Connection& connection, const RecordSchema& schema,
                           const std::string& path) {
  PM_TRY(connection.run("BEGIN IMMEDIATE"));
  Result<StoreState> state = migrate_in_transaction(connection, schema, path);
  Status status = state.ok() ? connection.run("COMMIT") : state.status();
  if (!status.ok()) {
    if (sqlite3_get_autocommit(connection.handle()) == 0)
      sqlite3_exec(connection.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
    return status;
  }
  return state;
}

}  // namespace pm::repository_sqlite
