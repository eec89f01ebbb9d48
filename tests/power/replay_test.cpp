#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "replay.h"

// The rules by which a replay says what a disk may hold, on logs written by hand.

namespace pm::power {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t root_inode = 1'000'001;
constexpr std::uint64_t apart_inode = 1'000'002;
constexpr std::uint64_t file_inode = 1'000'003;

class ReplayRules : public testing::Test {
 protected:
  ReplayRules() {
    std::string pattern = (fs::temp_directory_path() / "pm-replay-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp");
    directory_ = pattern;
    recording_ = std::make_unique<Recording>(directory_ / "log", directory_ / "state");
    const int fd = ::open((directory_ / "log").c_str(), O_RDWR | O_CLOEXEC);
    mapped_ = static_cast<char*>(
        ::mmap(nullptr, mapped_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    ::close(fd);
    struct stat found {};
    ::stat(directory_.c_str(), &found);
    above_inode_ = found.st_ino;
    // A root that is durable, with a durable folder in it.
    make(RecordKind::make_directory, root_inode, above_inode_, "state");
    make(RecordKind::make_directory, apart_inode, root_inode, "payloads");
    sync(above_inode_);
    sync(root_inode);
  }
  ~ReplayRules() override {
    ::munmap(mapped_, mapped_bytes);
    recording_.reset();
    fs::remove_all(directory_);
  }

  LogHeader& header() { return *reinterpret_cast<LogHeader*>(mapped_); }
  std::uint64_t next() { return ++header().sequence; }

  Record& add(RecordKind kind, std::uint64_t inode, const std::string& name = {},
              const std::string& other = {}, const std::string& data = {}) {
    auto* record = reinterpret_cast<Record*>(mapped_ + header().tail_bytes);
    const std::string end = name + other + data;
    record->total_bytes = (sizeof(Record) + end.size() + 7) / 8 * 8;
    header().tail_bytes += record->total_bytes;
    record->kind = kind;
    record->inode = inode;
    record->name_length = static_cast<std::uint32_t>(name.size());
    record->other_name_length = static_cast<std::uint32_t>(other.size());
    record->length = data.size();
    std::memcpy(reinterpret_cast<char*>(record + 1), end.data(), end.size());
    record->begun = next();
    return *record;
  }
  void end(Record& record) { record.ended = next(); }
  static void seen_at_once(Record& record) { record.ended = record.begun.load(); }

  void make(RecordKind kind, std::uint64_t inode, std::uint64_t directory,
            const std::string& name) {
    Record& record = add(kind, inode, name);
    record.directory = directory;
    seen_at_once(record);
  }
  void create(const std::string& name, std::uint64_t inode = file_inode) {
    make(RecordKind::create, inode, root_inode, name);
  }
  void rename(const std::string& from, const std::string& to) {
    Record& record = add(RecordKind::rename, file_inode, from, to);
    record.directory = record.other_directory = root_inode;
    seen_at_once(record);
  }
  void write(std::uint64_t offset, const std::string& data) {
    Record& record = add(RecordKind::write, file_inode, {}, {}, data);
    record.offset = offset;
    end(record);
  }
  void set_length(RecordKind kind, std::uint64_t length) {
    Record& record = add(kind, file_inode);
    record.length = length;
    end(record);
  }
  void sync(std::uint64_t inode) { end(add(RecordKind::sync, inode)); }

  Tree cut(Keep keep, std::uint32_t seed = 1) {
    Replay replay(*recording_, "state/payloads");
    return replay.cut({replay.last(), keep, keep, seed});
  }
  // "-": there is none.
  static std::string bytes(const Tree& tree, const std::string& name) {
    const auto found = tree.files.find("state/" + name);
    return found == tree.files.end() ? "-" : found->second;
  }

  static constexpr std::size_t mapped_bytes = 1 << 20;
  fs::path directory_;
  std::unique_ptr<Recording> recording_;
  char* mapped_ = nullptr;
  std::uint64_t above_inode_ = 0;
};

TEST_F(ReplayRules, a_name_is_durable_when_its_directory_was_synced_and_not_before) {
  create("file");
  write(0, "abc");
  sync(file_inode);
  EXPECT_EQ(bytes(cut(Keep::synced), "file"), "-");
  EXPECT_EQ(bytes(cut(Keep::named), "file"), "abc");
  sync(root_inode);
  EXPECT_EQ(bytes(cut(Keep::synced), "file"), "abc");
}

TEST_F(ReplayRules, bytes_are_durable_when_their_file_was_synced_and_not_before) {
  create("file");
  sync(root_inode);
  set_length(RecordKind::extend, 5);
  write(0, "abc");
  EXPECT_EQ(bytes(cut(Keep::synced), "file"), "");
  EXPECT_EQ(bytes(cut(Keep::named), "file"), std::string(5, '\0'));
  EXPECT_EQ(bytes(cut(Keep::issued), "file"), std::string("abc\0\0", 5));
  sync(file_inode);
  write(1, "X");
  EXPECT_EQ(bytes(cut(Keep::synced), "file"), std::string("abc\0\0", 5));
  EXPECT_EQ(bytes(cut(Keep::issued), "file"), std::string("aXc\0\0", 5));
}

TEST_F(ReplayRules, a_sync_covers_only_calls_that_had_returned_before_it_began) {
  create("file");
  sync(root_inode);
  Record& early = add(RecordKind::write, file_inode, {}, {}, "ab");
  Record& sync = add(RecordKind::sync, file_inode);
  end(early);
  end(sync);
  EXPECT_EQ(bytes(cut(Keep::synced), "file"), "");
  this->sync(file_inode);
  EXPECT_EQ(bytes(cut(Keep::synced), "file"), "ab");
}

TEST_F(ReplayRules, a_sync_that_failed_or_has_not_returned_promises_nothing) {
  create("file");
  sync(root_inode);
  write(0, "ab");
  Record& failed = add(RecordKind::sync, file_inode);
  failed.flags = record_failed;
  end(failed);
  add(RecordKind::sync, file_inode);
  EXPECT_EQ(bytes(cut(Keep::synced), "file"), "");
}

TEST_F(ReplayRules, a_rename_never_loses_both_names_nor_shows_both) {
  create("old");
  write(0, "ab");
  sync(file_inode);
  sync(root_inode);
  rename("old", "new");
  bool is_old = false;
  bool is_new = false;
  for (std::uint32_t seed = 0; seed < 50; ++seed) {
    const Tree tree = cut(Keep::some, seed);
    EXPECT_EQ(tree.files.size(), 1u);
    is_old = is_old || bytes(tree, "old") == "ab";
    is_new = is_new || bytes(tree, "new") == "ab";
  }
  EXPECT_TRUE(is_old && is_new) << "both are possible";
  EXPECT_EQ(bytes(cut(Keep::synced), "new"), "-");
  sync(root_inode);
  EXPECT_EQ(bytes(cut(Keep::synced), "old"), "-");
}

TEST_F(ReplayRules, of_what_was_not_synced_any_sector_may_be_there) {
  create("file");
  write(0, std::string(8'192, 'a'));
  sync(file_inode);
  sync(root_inode);
  write(256, std::string(4'096, 'b'));
  write(4'096, std::string(4'096, 'c'));
  std::set<std::string> seen;
  for (std::uint32_t seed = 0; seed < 300; ++seed) {
    const std::string found = bytes(cut(Keep::some, seed), "file");
    ASSERT_EQ(found.size(), 8'192u);
    EXPECT_EQ(found.substr(0, 256), std::string(256, 'a'));
    for (std::size_t at = 512; at < 8'192; at += 512) {
      const bool overlap = at == 4'096;
      const std::string sector = found.substr(at, overlap ? 256 : 512);
      EXPECT_EQ(sector, std::string(sector.size(), sector[0])) << "torn within a sector";
    }
    seen.insert(found);
  }
  EXPECT_GT(seen.size(), 25u);
}

TEST_F(ReplayRules, what_a_killed_process_had_begun_is_what_the_next_one_finds) {
  create("file");
  sync(root_inode);
  write(0, "abcd");
  Record& unended = add(RecordKind::write, file_inode, {}, {}, "xyz");
  unended.offset = 8;
  seen_at_once(add(RecordKind::begin, 0));
  seen_at_once(add(RecordKind::content, file_inode, {}, {}, "abcdef"));
  EXPECT_EQ(bytes(cut(Keep::issued), "file"), "abcdef") << "somebody else wrote, too";
  EXPECT_EQ(bytes(cut(Keep::synced), "file"), "");
  sync(file_inode);
  EXPECT_EQ(bytes(cut(Keep::synced), "file"), "abcdef");
}

TEST_F(ReplayRules, a_new_file_with_the_inode_of_one_that_is_gone_is_another_file) {
  create("first");
  write(0, "ab");
  sync(file_inode);
  Record& removed = add(RecordKind::remove, 0, "first");
  removed.directory = root_inode;
  seen_at_once(removed);
  create("second");
  sync(root_inode);
  EXPECT_EQ(bytes(cut(Keep::synced), "first"), "-");
  EXPECT_EQ(bytes(cut(Keep::synced), "second"), "");
}

TEST_F(ReplayRules, nothing_is_there_that_began_after_the_cut) {
  create("file");
  sync(root_inode);
  const std::uint64_t moment = header().sequence;
  write(0, "ab");
  sync(file_inode);
  Replay replay(*recording_, "state/payloads");
  const Tree tree = replay.cut({moment, Keep::issued, Keep::issued, 1});
  EXPECT_EQ(bytes(tree, "file"), "");
  ASSERT_FALSE(replay.boundaries().empty());
  EXPECT_EQ(replay.boundaries().back(), replay.last());
}

TEST_F(ReplayRules, the_folder_apart_is_cut_on_its_own) {
  create("file");
  write(0, "ab");
  make(RecordKind::create, file_inode + 1, apart_inode, "payload");
  Replay replay(*recording_, "state/payloads");
  const Tree tree = replay.cut({replay.last(), Keep::issued, Keep::synced, 1});
  EXPECT_EQ(bytes(tree, "file"), "ab");
  EXPECT_EQ(bytes(tree, "payloads/payload"), "-");
}

TEST_F(ReplayRules, what_was_there_before_the_recording_is_durable) {
  fs::create_directories(directory_ / "state/payloads");
  Tree base;
  base.directories = {"state", "state/payloads"};
  base.files = {{"state/known", "ab"}};
  base.write_below(directory_);
  EXPECT_EQ(difference(base, Tree::read(directory_ / "state")), "");
  auto inodes = inodes_below(directory_ / "state");
  Recording empty(directory_ / "log2", directory_ / "state");
  Replay replay(empty, "state/payloads", base, inodes);
  EXPECT_EQ(difference(base, replay.cut({})), "");
}

}  // namespace
}  // namespace pm::power
