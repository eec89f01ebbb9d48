#include "reader_pool.h"

#include "scan_query.h"

namespace pm::repository_sqlite {

namespace {

// More than the workers of a host that read at once; a burst beyond it opens and closes its own.
constexpr std::size_t free_readers_max = 16;

// Shapes of scans that one reader keeps prepared; a host has a few dozen.
constexpr std::size_t scan_statements_max = 128;

}  // namespace

Result<sqlite3_stmt*> Reader::get_statement(const sdk::RecordSchema& schema, std::size_t at) {
  if (gets_[at] == nullptr) {
    const sdk::RecordKind& kind = schema.kinds[at];
    std::string sql = "SELECT " + column_list(kind) + " FROM " + quoted(kind.name);
    for (std::size_t k = 0; k < kind.key_count; ++k)
      sql += (k == 0 ? " WHERE " : " AND ") + quoted(kind.fields[k].name) + " = ?";
    Result<Statement> statement = connection_.prepare(sql);
    if (!statement.ok()) return statement.status();
    gets_[at] = std::move(*statement);
  }
  return gets_[at].get();
}

Result<sqlite3_stmt*> Reader::scan_statement(const std::string& sql) {
  if (const auto found = scans_.find(sql); found != scans_.end()) return found->second.get();
  Result<Statement> statement = connection_.prepare(sql);
  if (!statement.ok()) return statement.status();
  if (scans_.size() >= scan_statements_max) scans_.clear();
  return (scans_[sql] = std::move(*statement)).get();
}

bool Reader::visit(sqlite3_stmt* statement, const sdk::RecordKind& kind, pm_on_record_t on_record,
                   void* data) {
  values_.resize(kind.fields.size());
  for (std::size_t f = 0; f < kind.fields.size(); ++f) {
    values_[f].field = kind.fields[f].id;
    values_[f].type = kind.fields[f].type;
    read_column(statement, static_cast<int>(f), &values_[f]);
  }
  return on_record(data, values_.data(), static_cast<std::uint32_t>(values_.size()));
}

Result<ReaderPool::Lent> ReaderPool::borrow(const sdk::RecordSchema& schema) {
  {
    const std::lock_guard lock(mutex_);
    if (!free_.empty()) {
      Lent lent(free_.back().release(), GiveBack{this});
      free_.pop_back();
      return lent;
    }
  }
  Result<Connection> connection =
      Connection::open(path_, SQLITE_OPEN_READONLY, cache_bytes_, busy_timeout_ms_);
  if (!connection.ok()) return connection.status();
  return Lent(new Reader(std::move(*connection), schema), GiveBack{this});
}

void ReaderPool::give_back(Reader* reader) {
  std::unique_ptr<Reader> owned(reader);
  const std::lock_guard lock(mutex_);
  if (free_.size() < free_readers_max) free_.push_back(std::move(owned));
}

}  // namespace pm::repository_sqlite
