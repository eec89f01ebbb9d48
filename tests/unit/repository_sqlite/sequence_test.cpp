#include <gtest/gtest.h>
#include <sqlite3.h>

#include <filesystem>

#include "plugin_subject.h"
#include "store.h"

// Where the store keeps the sequence of its last batch, and how an opening finds it.

namespace pm::contract {
namespace {

namespace fs = std::filesystem;

class SqliteSequence : public testing::Test {
 protected:
  // The last sequence that the next host would find if this one were killed now: it has the files
  // as they are, but nothing of what a clean end writes.
  std::uint64_t found_after_a_kill() {
    const TemporaryFolder other;
    fs::copy_file(path_, other.path() + "/store.db");
    fs::copy_file(path_ + "-wal", other.path() + "/store.db-wal");
    const Store store(sqlite_subject(other.path() + "/store.db"));
    EXPECT_EQ(store.status(), PM_OK) << store.error();
    return store.state().last_sequence;
  }

  // By the repository's VFS, so that pages keep their checksums.
  void run_sql(const std::string& sql) {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open_v2(path_.c_str(), &db, SQLITE_OPEN_READWRITE, "pm-page-checksums"),
              SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
        << sql << ": " << sqlite3_errmsg(db);
    sqlite3_close(db);
  }

  const TemporaryFolder folder_;
  const std::string path_ = folder_.path() + "/store.db";
};

const Record a = make_thing("a", 1);
const Record key_of_a = {{thing_id, bytes("a")}};

TEST_F(SqliteSequence, batch_of_one_record_logs_one_page) {
  Store store(sqlite_subject(path_));
  // A kind without indexes; the second batch finds all pages of the first.
  ASSERT_EQ(store.apply({put(counter, make_counter(1, 1))}), PM_OK);
  const auto before = fs::file_size(path_ + "-wal");
  ASSERT_EQ(store.apply({put(counter, make_counter(1, 2))}), PM_OK);
  constexpr std::uintmax_t frame_header_bytes = 24;
  constexpr std::uintmax_t page_bytes = 4096;
  EXPECT_EQ(fs::file_size(path_ + "-wal") - before, frame_header_bytes + page_bytes);
}

TEST_F(SqliteSequence, killed_host_leaves_the_sequence_of_every_kind_of_batch) {
  const std::vector<std::vector<Operation>> batches = {
      {put(thing, a)},
      {put(thing, make_thing("b", 2))},
      {put(thing, a), put(counter, make_counter(1, 1))},
      {remove(thing, key_of_a)},
      {put(thing, a), remove(thing, key_of_a)},
      {remove(thing, {{thing_id, bytes("b")}}), remove(counter, {{counter_number, u64(1)}})},
      {},
      {put(counter, make_counter(1, 1))},
      {put(counter, make_counter(1, 1))},
  };
  Store store(sqlite_subject(path_));
  for (const auto& batch : batches) {
    const std::uint64_t sequence = store.next_sequence();
    ASSERT_EQ(store.apply(batch), PM_OK);
    EXPECT_EQ(found_after_a_kill(), sequence);
  }
}

TEST_F(SqliteSequence, store_of_the_first_layout_is_brought_up) {
  {
    Store store(sqlite_subject(path_));
    for (int i = 0; i < 7; ++i) ASSERT_EQ(store.apply({put(thing, a)}), PM_OK);
  }
  for (const char* table : {"thing", "\"group\"", "entry"})
    run_sql("ALTER TABLE " + std::string(table) + " DROP COLUMN pm_sequence");
  run_sql("ALTER TABLE pm_meta DROP COLUMN is_open");
  Store store(sqlite_subject(path_));
  ASSERT_EQ(store.status(), PM_OK) << store.error();
  EXPECT_EQ(store.state().last_sequence, 7u);
  EXPECT_EQ(store.get(thing, key_of_a).records, Records{a});
  ASSERT_EQ(store.apply({put(thing, a)}), PM_OK);
  EXPECT_EQ(found_after_a_kill(), 8u);
}

TEST_F(SqliteSequence, field_called_as_the_column_of_the_sequence_is_refused) {
  const pm_field_t fields[] = {{sizeof(pm_field_t), 1, PM_VALUE_U64, 0, "pm_sequence"}};
  const pm_record_kind_t kind = {sizeof kind, 1, "thing", fields, 1, 1, nullptr, 0, 0};
  const pm_schema_t schema = {sizeof schema, 1, &kind, 1, 0};
  const Store store(sqlite_subject(path_), schema);
  EXPECT_EQ(store.status(), PM_INVALID_ARGUMENT);
  EXPECT_NE(store.error().find("pm_sequence"), std::string::npos) << store.error();
}

}  // namespace
}  // namespace pm::contract
