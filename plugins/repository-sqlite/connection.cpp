#include "connection.h"

#include <algorithm>
#include <cstring>

#include "page_checksums.h"

namespace pm::repository_sqlite {

Code code_of(int sqlite_code) {
  switch (sqlite_code) {
    case SQLITE_IOERR_FSYNC:
    case SQLITE_IOERR_DIR_FSYNC:
    case SQLITE_IOERR_CORRUPTFS:
    case SQLITE_IOERR_DATA: return Code::data_loss;
    default: break;
  }
  switch (sqlite_code & 0xff) {
    case SQLITE_OK: return Code::ok;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_IOERR:
    case SQLITE_FULL:
    case SQLITE_CANTOPEN:
    case SQLITE_PROTOCOL:
    case SQLITE_READONLY:
    case SQLITE_NOMEM: return Code::unavailable;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return Code::data_loss;
    case SQLITE_TOOBIG: return Code::invalid_argument;
    case SQLITE_PERM: return Code::permission_denied;
    default: return Code::internal;
  }
}

Result<Connection> Connection::open(const std::string& path, int flags, std::uint64_t cache_bytes,
                                    std::uint64_t busy_timeout_ms) {
  Connection result;
  sqlite3* handle = nullptr;
  const int code =
      sqlite3_open_v2(path.c_str(), &handle, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
                      page_checksum_vfs());
  result.handle_.reset(handle);
  if (handle == nullptr) return Status(Code::unavailable, "no memory to open " + path);
  if (code != SQLITE_OK) return result.failure(code, "opening " + path);
  sqlite3_busy_timeout(handle, static_cast<int>(std::min<std::uint64_t>(busy_timeout_ms, 1 << 30)));
  // Negative: in KiB. Sorts stay in memory, so that a scan leaves no temporary file.
  const std::string settings = "PRAGMA cache_size=-" + std::to_string(cache_bytes / 1024 + 1) +
                               "; PRAGMA temp_store=MEMORY; PRAGMA trusted_schema=OFF;";
  PM_TRY(result.run(settings.c_str()));
  return result;
}

Result<Statement> Connection::prepare(std::string_view sql) const {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(handle(), sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK) return failure(code, "preparing: " + std::string(sql));
  return Statement(statement);
}

Status Connection::run(const char* sql) const {
  const int code = sqlite3_exec(handle(), sql, nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? Status() : failure(code, sql);
}

Status Connection::run(sqlite3_stmt* statement, const char* doing) const {
  const int code = sqlite3_step(statement);
  if (code != SQLITE_DONE) {
    Status status = failure(code, doing);
    sqlite3_reset(statement);
    return status;
  }
  sqlite3_reset(statement);
  return {};
}

Result<std::int64_t> Connection::number(const char* sql) const {
  Result<Statement> statement = prepare(sql);
  if (!statement.ok()) return statement.status();
  const int code = sqlite3_step(statement->get());
  if (code != SQLITE_ROW && code != SQLITE_DONE) return failure(code, sql);
  return code == SQLITE_ROW ? std::int64_t{sqlite3_column_int64(statement->get(), 0)} : 0;
}

Result<std::string> Connection::text(const char* sql) const {
  Result<Statement> statement = prepare(sql);
  if (!statement.ok()) return statement.status();
  const int code = sqlite3_step(statement->get());
  if (code != SQLITE_ROW && code != SQLITE_DONE) return failure(code, sql);
  const unsigned char* found =
      code == SQLITE_ROW ? sqlite3_column_text(statement->get(), 0) : nullptr;
  return std::string(found == nullptr ? "" : reinterpret_cast<const char*>(found));
}

Status Connection::failure(int sqlite_code, std::string_view doing) const {
  std::string words = std::string(doing) + ": " + sqlite3_errmsg(handle()) + " (SQLite code " +
                      std::to_string(sqlite_code);
  const int system = sqlite3_system_errno(handle());
  const int primary = sqlite_code & 0xff;
  const bool from_system =
      primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN || primary == SQLITE_FULL;
  const bool is_damaged = sqlite_code == SQLITE_IOERR_DATA;  // The system had no part in it.
  if (system != 0 && from_system && !is_damaged) words += std::string(", ") + std::strerror(system);
  words += ")";
  if (is_damaged) words += ": page " + std::to_string(damaged_page()) + " is not what was written";
  return {code_of(sqlite_code), words};
}

int bind_value(sqlite3_stmt* statement, int parameter, const pm_value_t& value) {
  // SQLite binds NULL for a null pointer, whatever the length.
  const void* data = value.as.bytes.data;
  switch (value.type) {
    case PM_VALUE_U64:
      return sqlite3_bind_int64(statement, parameter, static_cast<sqlite3_int64>(value.as.u64));
    case PM_VALUE_I64: return sqlite3_bind_int64(statement, parameter, value.as.i64);
    case PM_VALUE_TEXT:
      return sqlite3_bind_text64(statement, parameter,
                                 data == nullptr ? "" : static_cast<const char*>(data),
                                 value.as.bytes.length, SQLITE_STATIC, SQLITE_UTF8);
    default:
      return sqlite3_bind_blob64(statement, parameter, data == nullptr ? "" : data,
                                 value.as.bytes.length, SQLITE_STATIC);
  }
}

int bind_empty(sqlite3_stmt* statement, int parameter, std::uint32_t type) {
  switch (type) {
    case PM_VALUE_TEXT: return sqlite3_bind_text(statement, parameter, "", 0, SQLITE_STATIC);
    case PM_VALUE_BYTES: return sqlite3_bind_blob(statement, parameter, "", 0, SQLITE_STATIC);
    default: return sqlite3_bind_int64(statement, parameter, 0);
  }
}

void read_column(sqlite3_stmt* statement, int column, pm_value_t* value) {
  const void* data = nullptr;
  switch (value->type) {
    case PM_VALUE_U64:
      value->as.u64 = static_cast<std::uint64_t>(sqlite3_column_int64(statement, column));
      return;
    case PM_VALUE_I64: value->as.i64 = sqlite3_column_int64(statement, column); return;
    case PM_VALUE_TEXT: data = sqlite3_column_text(statement, column); break;
    default: data = sqlite3_column_blob(statement, column); break;
  }
  value->as.bytes.data = data == nullptr ? "" : data;
  value->as.bytes.length = static_cast<std::uint64_t>(sqlite3_column_bytes(statement, column));
}

std::string quoted(std::string_view name) { return '"' + std::string(name) + '"'; }

}  // namespace pm::repository_sqlite
