#include <gtest/gtest.h>
#include <sqlite3.h>

#include "plugin_subject.h"
#include "store.h"

// What people see who open the store with SQLite itself, and what they can do to it.

namespace pm::contract {
namespace {

class Shell {
 public:
  // Without a VFS it is what the sqlite3 program is; the repository's own also writes the checksums
  // of pages.
  explicit Shell(const std::string& path, const char* vfs = nullptr) {
    sqlite3_open_v2(path.c_str(), &db_, SQLITE_OPEN_READWRITE, vfs);
  }
  ~Shell() { sqlite3_close(db_); }

  // All cells of all rows, or the error.
  std::vector<std::string> ask(const std::string& sql) {
    std::vector<std::string> cells;
    const auto keep = [](void* data, int count, char** columns, char**) {
      for (int i = 0; i < count; ++i)
        static_cast<std::vector<std::string>*>(data)->push_back(columns[i] ? columns[i] : "NULL");
      return 0;
    };
    if (sqlite3_exec(db_, sql.c_str(), keep, &cells, nullptr) != SQLITE_OK)
      return {sqlite3_errmsg(db_)};
    return cells;
  }

 private:
  sqlite3* db_ = nullptr;
};

constexpr char checksum_vfs[] = "pm-page-checksums";

using Cells = std::vector<std::string>;

TEST(SqliteTables, people_can_query_columns_by_name_while_the_host_runs) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/store.db";
  Store store(sqlite_subject(path));
  ASSERT_EQ(store.apply({put(thing, make_thing("key", 5, -7, std::string("b\0b", 3), "note")),
                         put(thing, make_thing("big", UINT64_MAX, 0, "", "")),
                         put(counter, make_counter(1, 2))}),
            PM_OK);
  Shell shell(path);
  EXPECT_EQ(shell.ask("SELECT id, amount, delta, hex(blob), \"order\" FROM thing "
                      "WHERE amount = 5"),
            (Cells{"key", "5", "-7", "620062", "note"}));
  EXPECT_EQ(shell.ask("SELECT typeof(id), typeof(amount), typeof(\"order\") FROM thing LIMIT 1"),
            (Cells{"blob", "integer", "text"}));
  EXPECT_EQ(shell.ask("SELECT amount FROM thing ORDER BY amount < 0, amount"), (Cells{"5", "-1"}))
      << "2^64 - 1 is stored as -1, as the README says";
  EXPECT_EQ(shell.ask("SELECT value FROM \"group\""), (Cells{"2"}));
  EXPECT_EQ(shell.ask("SELECT epoch, is_open, length(instance_id) FROM pm_meta"),
            (Cells{"1", "1", "16"}));
  EXPECT_EQ(shell.ask("SELECT max(pm_sequence) FROM thing"), (Cells{"1"}));
}

TEST(SqliteTables, schema_history_tells_what_each_version_changed) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/store.db";
  { Store store(sqlite_subject(path), schema_1()); }
  { Store store(sqlite_subject(path), schema_1()); }
  { Store store(sqlite_subject(path), schema_2()); }
  Shell shell(path);
  EXPECT_EQ(shell.ask("SELECT version FROM pm_schema ORDER BY version"), (Cells{"1", "2"}));
  EXPECT_EQ(shell.ask("SELECT changes LIKE '%CREATE TABLE \"thing\"%' FROM pm_schema "
                      "ORDER BY version"),
            (Cells{"1", "0"}));
  EXPECT_EQ(shell.ask("SELECT changes LIKE '%ADD COLUMN \"extra\"%' AND "
                      "changes LIKE '%\"thing.by_extra\"%' FROM pm_schema ORDER BY version"),
            (Cells{"0", "1"}));
}

TEST(SqliteTables, scans_by_an_indexed_field_use_its_index) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/store.db";
  Store store(sqlite_subject(path));
  Shell shell(path);
  const Cells plan = shell.ask(
      "EXPLAIN QUERY PLAN SELECT * FROM thing WHERE \"amount\" >= 0 AND \"amount\" < 9 "
      "ORDER BY \"amount\", \"id\" LIMIT 10");
  ASSERT_EQ(plan.size(), 4u) << "a sort would be a second row";
  EXPECT_NE(plan[3].find("USING INDEX thing.by_amount"), std::string::npos) << plan[3];
}

TEST(SqliteTables, field_that_changed_its_type_is_refused) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/store.db";
  { Store store(sqlite_subject(path)); }
  { Shell(path, checksum_vfs).ask("ALTER TABLE thing DROP COLUMN blob"); }
  { Shell(path, checksum_vfs).ask("ALTER TABLE thing ADD COLUMN blob TEXT NOT NULL DEFAULT ''"); }
  Store store(sqlite_subject(path));
  EXPECT_EQ(store.status(), PM_FAILED_PRECONDITION);
  EXPECT_NE(store.error().find("column blob of table thing"), std::string::npos) << store.error();
}

TEST(SqliteTables, epoch_taken_by_another_host_ends_this_one) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/store.db";
  Store store(sqlite_subject(path));
  ASSERT_EQ(store.apply({put(thing, make_thing("a", 1))}), PM_OK);
  // As a host would on a machine whose file locks do not reach this one.
  Shell(path).ask("UPDATE pm_meta SET epoch = epoch + 1");
  EXPECT_EQ(store.apply({put(thing, make_thing("a", 2))}), PM_ABORTED);
  EXPECT_NE(take_error().find("another host"), std::string::npos);
  EXPECT_EQ(Shell(path).ask("SELECT amount FROM thing"), (Cells{"1"}));
  EXPECT_EQ(Shell(path).ask("SELECT pm_sequence FROM thing"), (Cells{"1"}));
}

TEST(SqliteTables, lock_of_a_shell_is_unavailable_until_it_ends) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/store.db";
  Subject subject = sqlite_subject(path);
  subject.create = [path] {
    std::string config = sqlite_config(path);
    config.replace(config.find("5000"), 4, "20");
    return static_cast<const pm_repository_t*>(
        load_plugin("repository-sqlite")->create(test_host(), config.c_str()));
  };
  Store store(subject);
  ASSERT_EQ(store.apply({put(thing, make_thing("a", 1))}), PM_OK);
  Shell shell(path);
  shell.ask("BEGIN IMMEDIATE");
  EXPECT_EQ(store.apply({put(thing, make_thing("a", 2))}), PM_UNAVAILABLE);
  EXPECT_NE(take_error().find("locked"), std::string::npos);
  EXPECT_EQ(store.get(thing, {{thing_id, bytes("a")}}).status, PM_OK) << "reads go on";
  shell.ask("COMMIT");
  EXPECT_EQ(store.apply({put(thing, make_thing("a", 2))}), PM_OK);
}

TEST(SqliteTables, indexed_field_that_changes_moves_in_its_index) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/store.db";
  Store store(sqlite_subject(path));
  for (const std::uint64_t amount : {1, 1, 2, 2, 3})
    ASSERT_EQ(store.apply({put(thing, make_thing("a", amount, 0, std::to_string(amount)))}), PM_OK);
  const Scan old_place{thing, {{thing_amount, PM_LESS, u64(3)}}, thing_amount, false, 0};
  EXPECT_TRUE(store.scan(old_place).records.empty());
  const Scan new_place{thing, {{thing_amount, PM_EQUAL, u64(3)}}, thing_amount, false, 0};
  EXPECT_EQ(store.scan(new_place).records, Records{make_thing("a", 3, 0, "3")});
  EXPECT_EQ(Shell(path).ask("PRAGMA integrity_check"), (Cells{"ok"}));
}

}  // namespace
}  // namespace pm::contract
