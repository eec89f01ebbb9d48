#include "files_check.h"

#include <sqlite3.h>

#include <memory>

#include "recorded_run.h"

namespace pm::power {

namespace {

namespace fs = std::filesystem;

constexpr char store_name[] = "state/catalog.sqlite";

struct CloseDatabase {
  void operator()(sqlite3* database) const { sqlite3_close(database); }
};
struct FinalizeStatement {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};

// One store's file, opened as SQLite recovers it.
class Store {
 public:
  explicit Store(const fs::path& path) {
    sqlite3* database = nullptr;
    sqlite3_open_v2(path.c_str(), &database, SQLITE_OPEN_READWRITE, nullptr);
    database_.reset(database);
  }

  std::string integrity() { return first("PRAGMA integrity_check", {}); }

  // "0": it has not lost its bytes. "": there is no row.
  std::string lost(const client::PayloadId& id) {
    return first("SELECT lost FROM payload WHERE payload_id = ?",
                 {reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()});
  }

 private:
  std::string first(const char* sql, const std::string& blob) {
    sqlite3_stmt* prepared = nullptr;
    if (sqlite3_prepare_v2(database_.get(), sql, -1, &prepared, nullptr) != SQLITE_OK)
      return sqlite3_errmsg(database_.get());
    const std::unique_ptr<sqlite3_stmt, FinalizeStatement> statement(prepared);
    if (!blob.empty()) {
      sqlite3_bind_blob(prepared, 1, blob.data(), static_cast<int>(blob.size()), SQLITE_STATIC);
    }
    if (sqlite3_step(prepared) != SQLITE_ROW) return {};
    return reinterpret_cast<const char*>(sqlite3_column_text(prepared, 0));
  }

  std::unique_ptr<sqlite3, CloseDatabase> database_;
};

Store open_store(const Tree& tree, const fs::path& scratch) {
  fs::remove_all(scratch);
  Tree store;
  store.directories.insert("state");
  for (auto at = tree.files.lower_bound(store_name);
       at != tree.files.end() && at->first.starts_with(store_name); ++at) {
    store.files.insert(*at);
  }
  store.write_below(scratch);
  return Store(scratch / store_name);
}

// A sealed file is called by the payload and a generation.
bool has_bytes(const Tree& tree, const Known& known) {
  constexpr std::size_t generation_length = 17;  // With its dot.
  const std::string id = known.id.to_string();
  // Its folders are the tier's own business; few files are there.
  for (const auto& [path, bytes] : tree.files) {
    const std::size_t at = path.rfind('/') + 1;
    if (path.size() - at != id.size() + generation_length || path.compare(at, id.size(), id) != 0)
      continue;
    if (integration::sha256(std::as_bytes(std::span(bytes))) == known.digest) return true;
  }
  return false;
}

}  // namespace

std::string check_files(const Tree& tree, const std::vector<ClientLog>& logs, std::uint64_t cut,
                        const fs::path& scratch, std::uint64_t& required) {
  const std::uint64_t settled = settled_before(logs, cut);
  std::vector<const Known*> owed;
  for (const ClientLog& log : logs) {
    for (const Known& known : log.payloads) {
      const Expectation expected = expect(known, cut, settled);
      if (expected.may_be_read && !expected.may_be_absent && !expected.may_be_lost)
        owed.push_back(&known);
    }
  }
  if (owed.empty()) return {};
  required += owed.size();
  Store store = open_store(tree, scratch);
  if (const std::string found = store.integrity(); found != "ok") return "the store: " + found;
  for (const Known* known : owed) {
    const std::string id = known->id.to_string();
    if (const std::string lost = store.lost(known->id); lost != "0")
      return id + " has no row as it should: '" + lost + "'";
    if (!has_bytes(tree, *known)) return id + " has no file with its bytes";
  }
  return {};
}

}  // namespace pm::power
