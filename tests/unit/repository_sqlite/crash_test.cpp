#include <gtest/gtest.h>
#include <sqlite3.h>
#include <unistd.h>

#include <random>

#include "child.h"
#include "plugin_subject.h"
#include "store.h"

namespace pm::contract {
namespace {

std::string integrity_of(const std::string& path) {
  sqlite3* db = nullptr;
  std::string result = "cannot open";
  const auto keep = [](void* data, int, char** columns, char**) {
    *static_cast<std::string*>(data) = columns[0];
    return 0;
  };
  if (sqlite3_open(path.c_str(), &db) == SQLITE_OK)
    sqlite3_exec(db, "PRAGMA integrity_check", keep, &result, nullptr);
  sqlite3_close(db);
  return result;
}

// The store holds exactly the batches up to its last one, and that is not before `acknowledged`.
void expect_whole(const std::string& path, std::uint64_t acknowledged) {
  Store store(sqlite_subject(path));
  ASSERT_EQ(store.status(), PM_OK) << store.error();
  const std::uint64_t last = store.state().last_sequence;
  EXPECT_GE(last, acknowledged) << "an acknowledged batch is lost";
  EXPECT_LE(last, acknowledged + 1) << "a batch is there that was never sent";
  const Found things = store.scan({thing, {}, 0, false, 0});
  EXPECT_EQ(things.records.size(), last == 0 ? 0u : 20u);
  for (const Record& record : things.records)
    EXPECT_EQ(cell_of(record, thing_amount).number, last) << "a batch is there in part";
  EXPECT_EQ(store.scan({counter, {}, 0, false, 0}).records.size(), last);
}

TEST(SqliteCrash, acknowledged_batches_survive_200_kills) {
  // A killed process loses nothing that it wrote, wherever it wrote it; in memory this is quick.
  const TemporaryFolder folder("/dev/shm");
  const std::string path = folder.path() + "/store.db";
  std::mt19937 random(7);
  std::uint64_t acknowledged = 0;
  for (int kill = 0; kill < 200; ++kill) {
    WriterProcess writer(path);
    // A few are killed while they open the store, the others some batches later.
    if (kill % 10 != 0) {
      const std::uint64_t first = writer.next_acknowledged();
      ASSERT_NE(first, 0u) << "the writer gave up";
      acknowledged = first;
    }
    ::usleep(static_cast<useconds_t>(random() % 4000));
    acknowledged = writer.kill(acknowledged);
    // A batch that was applied and not yet acknowledged counts from here on.
    ASSERT_NO_FATAL_FAILURE(expect_whole(path, acknowledged));
    ASSERT_FALSE(HasFailure()) << "after kill " << kill;
    ASSERT_EQ(integrity_of(path), "ok") << "after kill " << kill;
    Store store(sqlite_subject(path));
    acknowledged = store.state().last_sequence;
  }
  EXPECT_GT(acknowledged, 400u) << "the writers hardly wrote";
}

TEST(SqliteCrash, second_process_is_refused_by_the_pid_of_the_first) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/store.db";
  WriterProcess holder(path);
  ASSERT_NE(holder.next_acknowledged(), 0u);
  {
    Store store(sqlite_subject(path));
    EXPECT_EQ(store.status(), PM_ABORTED);
    EXPECT_NE(store.error().find("process " + std::to_string(holder.pid())), std::string::npos)
        << store.error();
  }
  EXPECT_NE(holder.next_acknowledged(), 0u) << "the holder was disturbed";
  holder.kill();
  Store store(sqlite_subject(path));
  EXPECT_EQ(store.status(), PM_OK) << "the lock outlived its process: " << store.error();
}

}  // namespace
}  // namespace pm::contract
