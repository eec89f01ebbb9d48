#include "raw_records.h"

#include <sqlite3.h>

#include <algorithm>

#include "report.h"

namespace pm::perf {

namespace {

sqlite3_stmt* prepare(sqlite3* database, const std::string& sql) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v2(database, sql.c_str(), -1, &statement, nullptr);
  must(code == SQLITE_OK, "preparing: " + sql + ": " + sqlite3_errmsg(database));
  return statement;
}

std::string bytes_of(sqlite3_stmt* statement, int column) {
  const void* data = sqlite3_column_blob(statement, column);
  const auto length = static_cast<std::size_t>(sqlite3_column_bytes(statement, column));
  return data == nullptr ? std::string() : std::string(static_cast<const char*>(data), length);
}

}  // namespace

RawRecords RawRecords::read(const std::string& path) {
  sqlite3* database = nullptr;
  must(sqlite3_open_v2(path.c_str(), &database, SQLITE_OPEN_READWRITE, nullptr) == SQLITE_OK,
       "cannot open " + path);
  RawRecords records;
  sqlite3_stmt* made = prepare(database, "SELECT sql FROM sqlite_master WHERE name = 'payload'");
  must(sqlite3_step(made) == SQLITE_ROW, "the store has no table payload");
  records.create_table = bytes_of(made, 0);
  sqlite3_finalize(made);
  sqlite3_stmt* rows = prepare(database, "SELECT * FROM payload ORDER BY sequence");
  records.columns = static_cast<std::size_t>(sqlite3_column_count(rows));
  while (sqlite3_step(rows) == SQLITE_ROW) {
    for (int column = 0; column < static_cast<int>(records.columns); ++column) {
      Value& value = records.values.emplace_back();
      value.type = sqlite3_column_type(rows, column);
      value.number = sqlite3_column_int64(rows, column);
      if (value.type != SQLITE_INTEGER) value.bytes = bytes_of(rows, column);
    }
  }
  sqlite3_finalize(rows);
  sqlite3_close(database);
  return records;
}

RawDatabase::RawDatabase(const std::string& path, const RawRecords& records) : records_(records) {
  constexpr int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
  must(sqlite3_open_v2(path.c_str(), &database_, flags, nullptr) == SQLITE_OK,
       "cannot open the raw database");
  run("PRAGMA cache_size=-16385");
  run("PRAGMA temp_store=MEMORY");
  run("PRAGMA journal_mode=WAL");
  run("PRAGMA synchronous=NORMAL");
  run("PRAGMA wal_autocheckpoint=4000");
  run("PRAGMA journal_size_limit=67108864");
  run(records.create_table.c_str());
  std::string places = "?";
  for (std::size_t column = 1; column < records.columns; ++column) places += ", ?";
  begin_ = prepare(database_, "BEGIN IMMEDIATE");
  insert_ = prepare(database_, "INSERT INTO payload VALUES (" + places + ")");
  commit_ = prepare(database_, "COMMIT");
}

RawDatabase::~RawDatabase() {
  for (sqlite3_stmt* statement : {begin_, insert_, commit_}) sqlite3_finalize(statement);
  sqlite3_close(database_);
}

void RawDatabase::run(const char* sql) {
  must(sqlite3_exec(database_, sql, nullptr, nullptr, nullptr) == SQLITE_OK, sql);
}

void RawDatabase::insert(std::size_t row) {
  for (std::size_t column = 0; column < records_.columns; ++column) {
    const RawRecords::Value& value = records_.values[row * records_.columns + column];
    const int parameter = static_cast<int>(column) + 1;
    const auto length = static_cast<int>(value.bytes.size());
    if (value.type == SQLITE_INTEGER) {
      sqlite3_bind_int64(insert_, parameter, value.number);
    } else if (value.type == SQLITE_TEXT) {
      sqlite3_bind_text(insert_, parameter, value.bytes.data(), length, SQLITE_STATIC);
    } else {
      sqlite3_bind_blob(insert_, parameter, value.bytes.data(), length, SQLITE_STATIC);
    }
  }
  must(sqlite3_step(insert_) == SQLITE_DONE, sqlite3_errmsg(database_));
  sqlite3_reset(insert_);
}

double RawDatabase::insert_all(std::size_t rows_each) {
  const auto step = [this](sqlite3_stmt* statement) {
    must(sqlite3_step(statement) == SQLITE_DONE, sqlite3_errmsg(database_));
    sqlite3_reset(statement);
  };
  const double start = now_seconds();
  for (std::size_t row = 0; row < records_.size(); row += rows_each) {
    const std::size_t end = std::min(row + rows_each, records_.size());
    // A single INSERT is a transaction by itself.
    if (rows_each > 1) step(begin_);
    for (std::size_t at = row; at < end; ++at) insert(at);
    if (rows_each > 1) step(commit_);
  }
  return now_seconds() - start;
}

}  // namespace pm::perf
