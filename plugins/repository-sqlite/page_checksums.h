#pragma once

#include <cstdint>
#include <pm/cpp/result.hpp>
#include <string>

#include "connection.h"

// A checksum for each page of the database file: XXH3-64 of the page without its last eight bytes,
// seeded with the page's number, in those eight bytes (which SQLite reserves and never touches).
// It is put there when a page is written to the file and looked at when it is read from it, below
// SQLite, so that a page that is not what was written is an error (SQLITE_IOERR_DATA) and no row.
// Pages in the write-ahead log have SQLite's own checksums there, which its recovery looks at.
// The format is the one of SQLite's own cksumvfs extension (https://sqlite.org/cksumvfs.html),
// which Debian does not build, with another checksum: its sums do not tell swapped pages apart.

namespace pm::repository_sqlite {

// What a database file says of its pages.
enum class PageChecksums {
  undecided,  // It is empty, or about to be made whole from its rollback journal.
  kept,
  none  // It was made without them.
};

// Looks at the first page of the file itself. data_loss: it is no database.
Result<PageChecksums> find_page_checksums(const std::string& path);

// The name of the VFS that writes and checks them, for sqlite3_open_v2. Registered on first use,
// on top of what is SQLite's default whenever a file is opened. [thread-safe]
const char* page_checksum_vfs();

// Lets an empty database keep checksums from its first page on.
Status reserve_page_checksums(const Connection& connection);

// The page that this thread found damaged last; 0: none.
std::uint64_t damaged_page();

}  // namespace pm::repository_sqlite
