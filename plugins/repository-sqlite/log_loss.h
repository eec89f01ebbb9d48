#pragma once

#include <cstdint>
#include <optional>
#include <pm/cpp/result.hpp>
#include <string>

// SQLite takes a damaged frame of its write-ahead log for the log's end. That is right after a loss
// of power, when what was not synced may be half there, and wrong after a mere end of the process:
// then it silently undoes acknowledged batches. The log's index, PATH-shm, outlives the process as
// well, and tells how many frames there were.

namespace pm::repository_sqlite {

// Of a database that nobody has open, on the boot of the machine on which it was written.
// data_loss: its log has less than its index knows of. Changes nothing, so that the next look finds
// the same. Reads the whole log. Format: https://sqlite.org/walformat.html, sections 1 and 2.2.
Status check_log(const std::string& database_path);

}  // namespace pm::repository_sqlite
