#include "rows.h"

#include <sqlite3.h>

#include <cstring>
#include <memory>

#include "core/ledger/byte_codec.h"
#include "pm/client/client.h"

namespace pm::integration {

namespace {

struct Closer {
  void operator()(sqlite3* database) const { sqlite3_close(database); }
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};

// A statement on a file that a host may have open.
class Query {
 public:
  Query(const std::filesystem::path& file, const std::string& sql) {
    sqlite3* database = nullptr;
    sqlite3_stmt* statement = nullptr;
    const int opened = sqlite3_open_v2(file.c_str(), &database, SQLITE_OPEN_READONLY, nullptr);
    database_.reset(database);
    if (opened != SQLITE_OK) return;
    sqlite3_busy_timeout(database, 5'000);
    sqlite3_prepare_v2(database, sql.c_str(), -1, &statement, nullptr);
    statement_.reset(statement);
  }

  // SQLITE_ROW, SQLITE_DONE, or what went wrong.
  int step() const { return statement_ ? sqlite3_step(statement_.get()) : SQLITE_ERROR; }
  std::uint64_t number(int column) const {
    return static_cast<std::uint64_t>(sqlite3_column_int64(statement_.get(), column));
  }
  std::string bytes(int column) const {
    const void* data = sqlite3_column_blob(statement_.get(), column);
    const int length = sqlite3_column_bytes(statement_.get(), column);
    return length == 0 ? std::string()
                       : std::string(static_cast<const char*>(data), static_cast<size_t>(length));
  }

 private:
  std::unique_ptr<sqlite3, Closer> database_;
  std::unique_ptr<sqlite3_stmt, Closer> statement_;
};

}  // namespace

std::int64_t count_rows(const std::filesystem::path& file, const std::string& table) {
  const Query query(file, "SELECT count(*) FROM " + table);
  return query.step() == SQLITE_ROW ? static_cast<std::int64_t>(query.number(0)) : -1;
}

// The first copy stands in columns of its own, the others in one: see core/ledger/schema.cpp.
std::optional<std::vector<RowCopy>> read_copies(const std::filesystem::path& file) {
  const Query query(file,
                    "SELECT payload_id, size_bytes, tier, generation, more_copies FROM payload");
  std::vector<RowCopy> copies;
  int code = SQLITE_ROW;
  while ((code = query.step()) == SQLITE_ROW) {
    const std::string id = query.bytes(0);
    client::PayloadId payload;
    if (id.size() != payload.bytes.size()) return std::nullopt;
    std::memcpy(payload.bytes.data(), id.data(), id.size());
    RowCopy copy{payload.to_string(), query.bytes(2), query.number(3), query.number(1)};
    if (copy.generation != 0) copies.push_back(copy);
    const std::string more = query.bytes(4);
    ledger::ByteReader reader(more);
    while (!reader.at_end() && reader.ok()) {
      copy.tier = reader.text();
      copy.generation = reader.integer<std::uint64_t>();
      static_cast<void>(reader.text());
      copies.push_back(copy);
    }
    if (!reader.ok()) return std::nullopt;
  }
  if (code != SQLITE_DONE) return std::nullopt;
  return copies;
}

}  // namespace pm::integration
