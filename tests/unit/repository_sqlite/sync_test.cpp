#include <gtest/gtest.h>
#include <sqlite3.h>

#include <atomic>
#include <map>

#include "plugin_subject.h"
#include "store.h"

// What the repository asks the disk to sync, and what it does when that fails. The plugin and this
// program share one SQLite, so a default VFS set here sits under the plugin.

namespace pm::contract {
namespace {

std::atomic<int> syncs{0};
std::atomic<bool> syncs_fail{false};

int (*sync_of_system)(sqlite3_file*, int) = nullptr;

int counted_sync(sqlite3_file* file, int flags) {
  ++syncs;
  return syncs_fail ? SQLITE_IOERR_FSYNC : sync_of_system(file, flags);
}

// Opens a file as the system's VFS does, and puts counted_sync in its table of methods.
int open_counted(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* result) {
  static std::map<const sqlite3_io_methods*, sqlite3_io_methods> patched;
  auto* system = static_cast<sqlite3_vfs*>(vfs->pAppData);
  const int code = system->xOpen(system, name, file, flags, result);
  if (code != SQLITE_OK || file->pMethods == nullptr) return code;
  auto [entry, is_new] = patched.emplace(file->pMethods, *file->pMethods);
  if (is_new) {
    sync_of_system = entry->second.xSync;
    entry->second.xSync = counted_sync;
  }
  file->pMethods = &entry->second;
  return code;
}

class SqliteSync : public testing::Test {
 protected:
  SqliteSync() : system_(sqlite3_vfs_find(nullptr)), counting_(*system_) {
    counting_.zName = "counting";
    counting_.pAppData = system_;
    counting_.xOpen = open_counted;
    sqlite3_vfs_register(&counting_, 1);
    syncs_fail = false;
  }
  ~SqliteSync() override {
    syncs_fail = false;
    sqlite3_vfs_unregister(&counting_);
    sqlite3_vfs_register(system_, 1);
  }

  // The number of syncs that `body` causes.
  template <typename Body>
  int syncs_of(const Body& body) {
    const int before = syncs;
    body();
    return syncs - before;
  }

  const TemporaryFolder folder_;
  const std::string path_ = folder_.path() + "/store.db";
  sqlite3_vfs* system_;
  sqlite3_vfs counting_;
};

const std::vector<Operation> one = {put(thing, make_thing("a", 1))};

TEST_F(SqliteSync, only_power_batches_are_synced) {
  Store store(sqlite_subject(path_));
  ASSERT_EQ(store.status(), PM_OK) << store.error();
  ASSERT_EQ(store.apply(one, PM_DURABILITY_POWER), PM_OK);  // The log's header is synced with it.
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(syncs_of([&] { EXPECT_EQ(store.apply(one, PM_DURABILITY_PROCESS), PM_OK); }), 0);
    EXPECT_GE(syncs_of([&] { EXPECT_EQ(store.apply(one, PM_DURABILITY_POWER), PM_OK); }), 1);
  }
}

TEST_F(SqliteSync, repeat_that_asks_for_power_is_synced_once) {
  Store store(sqlite_subject(path_));
  ASSERT_EQ(store.apply(one, PM_DURABILITY_POWER), PM_OK);
  ASSERT_EQ(store.apply(one, PM_DURABILITY_PROCESS), PM_OK);
  const auto repeat = [&] {
    EXPECT_EQ(store.apply_as(store.state().epoch, 2, one, PM_DURABILITY_POWER), PM_OK);
  };
  EXPECT_GE(syncs_of(repeat), 1);
  EXPECT_EQ(syncs_of(repeat), 0) << "it is durable already";
}

TEST_F(SqliteSync, failed_sync_is_data_loss_for_good) {
  Store store(sqlite_subject(path_));
  ASSERT_EQ(store.apply(one, PM_DURABILITY_POWER), PM_OK);
  syncs_fail = true;
  EXPECT_EQ(store.apply(one, PM_DURABILITY_POWER), PM_DATA_LOSS);
  EXPECT_FALSE(take_error().empty());
  syncs_fail = false;
  EXPECT_EQ(store.apply(one, PM_DURABILITY_POWER), PM_DATA_LOSS) << "a second sync proves nothing";
  EXPECT_EQ(store.get(thing, {{thing_id, bytes("a")}}).status, PM_DATA_LOSS);
}

TEST_F(SqliteSync, failed_sync_while_the_log_is_emptied_is_data_loss) {
  Subject subject = sqlite_subject(path_);
  subject.create = [path = path_] {
    std::string config = sqlite_config(path);
    config.replace(config.find("4000"), 4, "1");
    return static_cast<const pm_repository_t*>(
        load_plugin("repository-sqlite")->create(test_host(), config.c_str()));
  };
  Store store(subject);
  EXPECT_GE(syncs_of([&] { EXPECT_EQ(store.apply(one, PM_DURABILITY_PROCESS), PM_OK); }), 1)
      << "every batch empties the log";
  syncs_fail = true;
  EXPECT_EQ(store.apply(one, PM_DURABILITY_PROCESS), PM_DATA_LOSS);
}

TEST_F(SqliteSync, failed_sync_at_open_is_data_loss) {
  syncs_fail = true;
  Store store(sqlite_subject(path_));
  EXPECT_EQ(store.status(), PM_DATA_LOSS);
  EXPECT_FALSE(store.error().empty());
}

}  // namespace
}  // namespace pm::contract
