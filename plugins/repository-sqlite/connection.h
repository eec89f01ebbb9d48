#pragma once

#include <pm/repository.h>
#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <pm/cpp/result.hpp>
#include <string>
#include <string_view>

namespace pm::repository_sqlite {

struct FinalizeStatement {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Statement = std::unique_ptr<sqlite3_stmt, FinalizeStatement>;

// What SQLite's result `code` means to the host; docs: https://sqlite.org/rescode.html. What may
// pass (locked, full, no memory, a failed read or write) is unavailable, because the host's
// journal sends such a batch again; what says that bytes are lost (a failed sync, a damaged page)
// is data_loss, because the kernel reports a failed fsync once and forgets it.
Code code_of(int sqlite_code);

// One connection, used by one thread at a time. Movable; closes itself.
class Connection {
 public:
  // `flags`: SQLITE_OPEN_READWRITE or SQLITE_OPEN_READONLY; the file exists.
  static Result<Connection> open(const std::string& path, int flags, std::uint64_t cache_bytes,
                                 std::uint64_t busy_timeout_ms);

  sqlite3* handle() const { return handle_.get(); }

  Result<Statement> prepare(std::string_view sql) const;

  // Runs statements that return nothing of interest.
  Status run(const char* sql) const;

  // Steps a prepared statement that returns no rows, and resets it.
  Status run(sqlite3_stmt* statement, const char* doing) const;

  // The one integer, or text, that a query gives; 0, or "", when it gives no row.
  Result<std::int64_t> number(const char* sql) const;
  Result<std::string> text(const char* sql) const;

  // The words of the last failure: what was being done, what SQLite and the system said.
  Status failure(int sqlite_code, std::string_view doing) const;

 private:
  struct Close {
    void operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }
  };
  std::unique_ptr<sqlite3, Close> handle_;
};

// Binds a value where it lies: it must stay there until the statement is reset.
int bind_value(sqlite3_stmt* statement, int parameter, const pm_value_t& value);

// Binds 0 or empty, as `type` has it.
int bind_empty(sqlite3_stmt* statement, int parameter, std::uint32_t type);

// Reads a column into value->as; bytes are valid until the statement moves on.
void read_column(sqlite3_stmt* statement, int column, pm_value_t* value);

// U64 is stored as the signed integer with the same bits: plain below 2^63, negative above, so
// that people read the usual sizes and counts as they are. is_upper tells the two halves apart.
inline bool is_upper(std::uint64_t value) { return value >> 63 != 0; }

// A name between double quotes, so that a column may be called "order". Names are [a-z0-9_.].
std::string quoted(std::string_view name);

}  // namespace pm::repository_sqlite
