#include <fcntl.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include "plugin_subject.h"
#include "store.h"

namespace pm::contract {
namespace {

mode_t mode_of(const std::string& path) {
  struct stat found {};
  return ::stat(path.c_str(), &found) == 0 ? found.st_mode & 07777 : 0;
}

// A store with some tens of pages.
void fill(const std::string& path) {
  Store store(sqlite_subject(path));
  ASSERT_EQ(store.status(), PM_OK) << store.error();
  for (int i = 0; i < 100; ++i)
    ASSERT_EQ(store.apply({put(thing, make_thing(std::to_string(i), 1, 1, std::string(2000, 'x'),
                                                 std::to_string(i)))}),
              PM_OK);
}

void overwrite(const std::string& path, std::streamoff at, const std::string& text) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(at);
  file << text;
}

TEST(SqliteStoreFile, folders_and_files_are_for_the_owner_alone) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/a/b/store.db";
  const mode_t before = ::umask(0);
  Store store(sqlite_subject(path));
  EXPECT_EQ(store.status(), PM_OK) << store.error();
  EXPECT_EQ(store.apply({put(thing, make_thing("a"))}), PM_OK);
  ::umask(before);
  EXPECT_EQ(mode_of(folder.path() + "/a"), 0700u);
  EXPECT_EQ(mode_of(folder.path() + "/a/b"), 0700u);
  for (const char* suffix : {"", "-wal", "-shm", ".lock"})
    EXPECT_EQ(mode_of(path + suffix), 0600u) << suffix;
}

TEST(SqliteStoreFile, descriptors_close_on_exec) {
  const TemporaryFolder folder;
  Store store(sqlite_subject(folder.path() + "/store.db"));
  ASSERT_EQ(store.status(), PM_OK) << store.error();
  EXPECT_EQ(store.get(thing, {{thing_id, bytes("a")}}).status, PM_NOT_FOUND);
  int of_the_store = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    const auto target = std::filesystem::read_symlink(entry.path(), gone).string();
    if (gone || target.find(folder.path()) == std::string::npos) continue;
    ++of_the_store;
    const int flags = ::fcntl(std::stoi(entry.path().filename()), F_GETFD);
    EXPECT_NE(flags & FD_CLOEXEC, 0) << target;
  }
  EXPECT_GE(of_the_store, 4) << "database, log, shared memory, lock";
}

TEST(SqliteStoreFile, closing_leaves_the_database_and_the_lock_file_only) {
  const TemporaryFolder folder;
  fill(folder.path() + "/store.db");
  std::set<std::string> left;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
    left.insert(entry.path().filename());
  EXPECT_EQ(left, (std::set<std::string>{"store.db", "store.db.lock"}));
}

TEST(SqliteStoreFile, file_that_is_no_database_is_data_loss) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/store.db";
  std::ofstream(path) << std::string(8192, 'x');
  Store store(sqlite_subject(path));
  EXPECT_EQ(store.status(), PM_DATA_LOSS);
  EXPECT_NE(store.error().find(path), std::string::npos) << store.error();
  EXPECT_NE(store.error().find("damaged"), std::string::npos) << store.error();
}

TEST(SqliteStoreFile, damaged_first_page_is_data_loss) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/store.db";
  ASSERT_NO_FATAL_FAILURE(fill(path));
  overwrite(path, 100, std::string(1000, '\xff'));
  Store store(sqlite_subject(path));
  EXPECT_EQ(store.status(), PM_DATA_LOSS) << store.error();
  EXPECT_FALSE(store.error().empty());
}

TEST(SqliteStoreFile, damaged_page_found_by_a_scan_stops_the_repository) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/store.db";
  ASSERT_NO_FATAL_FAILURE(fill(path));
  const auto size = static_cast<std::streamoff>(std::filesystem::file_size(path));
  for (std::streamoff at = 16L * 4096; at < size; at += 4096)
    overwrite(path, at, std::string(64, '\xff'));
  Store store(sqlite_subject(path));
  ASSERT_EQ(store.status(), PM_OK) << "the first pages are whole: " << store.error();
  EXPECT_EQ(store.scan({thing, {}, 0, false, 0}).status, PM_DATA_LOSS);
  EXPECT_EQ(store.apply({put(thing, make_thing("a"))}), PM_DATA_LOSS);
}

// One bit of each page in turn: what is read is either right or DATA_LOSS.
TEST(SqliteStoreFile, one_wrong_bit_in_any_page_is_noticed_when_it_is_read) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/store.db";
  ASSERT_NO_FATAL_FAILURE(fill(path));
  const auto copied = folder.path() + "/copy.db";
  const auto pages = std::filesystem::file_size(path) / 4096;
  std::uintmax_t noticed = 0;
  for (std::uintmax_t page = 0; page < pages; page += page < 9 ? 1 : 4) {
    std::filesystem::copy_file(path, copied, std::filesystem::copy_options::overwrite_existing);
    std::fstream file(copied, std::ios::in | std::ios::out | std::ios::binary);
    const auto at = static_cast<std::streamoff>(page * 4096 + (page * 977) % 4096);
    file.seekg(at);
    const auto byte = static_cast<char>(file.get());
    file.seekp(at);
    file.put(static_cast<char>(byte ^ 1 << (page % 8)));
    file.close();
    Store store(sqlite_subject(copied));
    if (store.status() == PM_DATA_LOSS) {
      ++noticed;
      continue;
    }
    ASSERT_EQ(store.status(), PM_OK) << store.error();
    const auto found = store.scan({thing, {}, 0, false, 0});
    if (found.status == PM_DATA_LOSS) {
      ++noticed;
      EXPECT_NE(take_error().find("is not what was written"), std::string::npos);
      continue;
    }
    ASSERT_EQ(found.status, PM_OK);
    EXPECT_EQ(found.records.size(), 100u) << "page " << page + 1;
  }
  EXPECT_GT(noticed, pages / 8) << "of " << pages;
}

// SQLite reads what is missing of a page as zeros. The last page is the end of a large value.
TEST(SqliteStoreFile, file_that_lost_a_part_of_its_last_page_is_data_loss) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/store.db";
  {
    Store store(sqlite_subject(path));
    const auto large = make_thing("large", 1, 1, std::string(20'000, 'x'));
    ASSERT_EQ(store.apply({put(thing, large)}), PM_OK) << store.error();
  }
  const auto size = std::filesystem::file_size(path);
  for (const std::uintmax_t lost : {1u, 500u, 4036u, 4095u}) {
    const auto copied = folder.path() + "/copy.db";
    std::filesystem::copy_file(path, copied, std::filesystem::copy_options::overwrite_existing);
    std::filesystem::resize_file(copied, size - lost);
    Store store(sqlite_subject(copied));
    if (store.status() == PM_OK)
      EXPECT_EQ(store.scan({thing, {}, 0, false, 0}).status, PM_DATA_LOSS) << lost;
    else
      EXPECT_EQ(store.status(), PM_DATA_LOSS) << lost << ": " << store.error();
  }
}

TEST(SqliteStoreFile, log_that_lost_its_end_since_the_host_was_killed_is_data_loss) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/store.db";
  const TemporaryFolder killed;
  const std::string left = killed.path() + "/store.db";
  {
    Store store(sqlite_subject(path));
    for (int n = 0; n < 9; ++n)
      ASSERT_EQ(store.apply({put(thing, make_thing(std::to_string(n)))}), PM_OK);
    for (const char* suffix : {"", "-wal", "-shm", ".lock"})
      std::filesystem::copy_file(path + suffix, left + suffix);
  }
  const auto size = std::filesystem::file_size(left + "-wal");
  std::filesystem::resize_file(left + "-wal", size - 1);
  for (int start = 0; start < 2; ++start) {
    Store store(sqlite_subject(left));
    EXPECT_EQ(store.status(), PM_DATA_LOSS) << "start " << start;
    EXPECT_NE(store.error().find("whole pages of"), std::string::npos) << store.error();
    EXPECT_EQ(std::filesystem::file_size(left + "-wal"), size - 1) << "the log was changed";
  }
  // The lock file names another boot: the power may have failed, and a shorter log is no wonder.
  std::ofstream(left + ".lock") << "1\n00000000-0000-0000-0000-000000000000\n";
  {
    // A start that does not come to open it, as here for a folder in its way, changes nothing.
    std::filesystem::rename(left, left + ".away");
    std::filesystem::create_directory(left);
    Store store(sqlite_subject(left));
    EXPECT_NE(store.status(), PM_OK);
    std::filesystem::remove(left);
    std::filesystem::rename(left + ".away", left);
  }
  Store store(sqlite_subject(left));
  EXPECT_EQ(store.status(), PM_OK) << store.error();
  EXPECT_EQ(store.scan({thing, {}, 0, false, 0}).records.size(), 8u);
}

TEST(SqliteStoreFile, store_without_page_checksums_is_served_as_it_is) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/store.db";
  ASSERT_NO_FATAL_FAILURE(fill(path));
  const std::string copied = folder.path() + "/copy.db";
  const std::string dump = "sqlite3 '" + path + "' .dump | sqlite3 '" + copied + "'";
  ASSERT_EQ(std::system(dump.c_str()), 0);
  Store store(sqlite_subject(copied));
  ASSERT_EQ(store.status(), PM_OK) << store.error();
  EXPECT_EQ(store.apply({put(thing, make_thing("new", 1))}), PM_OK);
  EXPECT_EQ(store.scan({thing, {}, 0, false, 0}).records.size(), 101u);
}

TEST(SqliteStoreFile, database_of_something_else_is_left_alone) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/store.db";
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &db), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(db, "CREATE TABLE photos (a)", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(db);
  Store store(sqlite_subject(path));
  EXPECT_EQ(store.status(), PM_FAILED_PRECONDITION);
  EXPECT_NE(store.error().find("something else"), std::string::npos) << store.error();
}

TEST(SqliteStoreFile, path_that_cannot_be_a_file_is_refused_with_words) {
  const TemporaryFolder folder;
  std::ofstream(folder.path() + "/file") << "x";
  for (const std::string& path : {folder.path() + "/file/store.db", folder.path() + "/"}) {
    Store store(sqlite_subject(path));
    EXPECT_NE(store.status(), PM_OK) << path;
    EXPECT_NE(store.error().find(folder.path()), std::string::npos) << store.error();
  }
  std::filesystem::create_directory(folder.path() + "/directory");
  Store store(sqlite_subject(folder.path() + "/directory"));
  EXPECT_EQ(store.status(), PM_FAILED_PRECONDITION) << store.error();
}

// A small tmpfs of its own, for a disk that fills up.
class SmallDisk {
 public:
  SmallDisk() {
    is_mounted_ = ::mount("tmpfs", folder_.path().c_str(), "tmpfs", 0, "size=1m") == 0;
  }
  ~SmallDisk() {
    if (is_mounted_) ::umount2(folder_.path().c_str(), MNT_DETACH);
  }
  bool is_mounted() const { return is_mounted_; }
  const std::string& path() const { return folder_.path(); }

 private:
  TemporaryFolder folder_;
  bool is_mounted_ = false;
};

TEST(SqliteStoreFile, full_disk_is_unavailable_and_heals) {
  const SmallDisk disk;
  if (!disk.is_mounted()) GTEST_SKIP() << "only root may mount a small disk";
  Store store(sqlite_subject(disk.path() + "/store.db"));
  ASSERT_EQ(store.status(), PM_OK) << store.error();
  ASSERT_EQ(store.apply({put(thing, make_thing("first", 1))}), PM_OK);
  const std::string ballast = disk.path() + "/ballast";
  std::ofstream(ballast) << std::string(600'000, 'x');
  const auto large = [](int i) {
    return put(thing, make_thing(std::to_string(i), 1, 1, std::string(50'000, 'x')));
  };
  pm_status_t status = PM_OK;
  int written = 0;
  while (written < 100 && (status = store.apply({large(written)})) == PM_OK) ++written;
  ASSERT_EQ(status, PM_UNAVAILABLE) << take_error();
  const std::string words = take_error();
  EXPECT_NE(words.find("full"), std::string::npos) << words;
  EXPECT_EQ(store.apply({large(written)}), PM_UNAVAILABLE) << "still full";
  EXPECT_EQ(store.get(thing, {{thing_id, bytes("first")}}).status, PM_OK) << "reads go on";
  std::filesystem::remove(ballast);
  EXPECT_EQ(store.apply({large(written)}), PM_OK) << "the same batch again: " << take_error();
  EXPECT_EQ(store.scan({thing, {}, 0, false, 0}).records.size(),
            static_cast<std::size_t>(written) + 2);
}

}  // namespace
}  // namespace pm::contract
