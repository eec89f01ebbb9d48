#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "recording.h"

// What a disk holds after the power was cut at one moment of a recording.
//
// The model. A file has the bytes and the length of its last sync, that is of all calls that had
// returned before the sync began. A directory has the names of its last sync. Whatever was done
// since may be there or not: each write, in parts of 512 or 4,096 bytes, each change of length,
// each change of a name. So a sync of a file says nothing about its name (POSIX; ext4 says more,
// which is one of the cases here), and names of one directory become durable in any order.
// rename(2) is one change: at no time are both names gone. Only what a call has begun before the
// cut can be there.

namespace pm::power {

// What is kept of that which was not synced.
enum class Keep : std::uint8_t {
  synced,  // Nothing: the least that any file system may keep.
  named,   // Names and lengths, no bytes: a journal of metadata was written, the data not.
  issued,  // Everything: as if only the process had been killed.
  some,    // What a seed says.
};
const char* keep_name(Keep keep);

struct Cut {
  std::uint64_t sequence = 0;
  Keep store = Keep::synced;  // Everything but what lies below Replay's `apart`.
  Keep apart = Keep::synced;
  std::uint32_t seed = 0;
  std::string to_text() const;
};

// Files and directories by their path below the directory that holds the recorded root.
struct Tree {
  std::map<std::string, std::string> files;
  std::set<std::string> directories;

  // What stands below `root` now, without SQLite's -shm files, which outlive no power cut.
  static Tree read(const std::filesystem::path& root);
  void write_below(const std::filesystem::path& directory) const;
};
// What differs, in words; empty: nothing.
std::string difference(const Tree& expected, const Tree& found);

// Of the root and everything below it, by path as in a Tree.
std::map<std::string, std::uint64_t> inodes_below(const std::filesystem::path& root);

class Replay {
 public:
  // `apart`: a folder that a cut treats on its own, relative to the directory that holds the root.
  // `inodes`: of what was there, durable, before the recording began: inodes_below().
  Replay(const Recording& recording, std::string apart, const Tree& base = {},
         const std::map<std::string, std::uint64_t>& inodes = {});

  // Ends of syncs and the moments just before they began, in order.
  const std::vector<std::uint64_t>& boundaries() const { return boundaries_; }
  std::uint64_t last() const { return moments_.empty() ? 0 : moments_.back().sequence; }
  std::size_t syncs() const { return syncs_; }

  // Goes on to the cut's moment, never back, and says what is there.
  Tree cut(const Cut& cut);

 private:
  struct Change {  // Of a file's bytes or length.
    RecordKind kind{};
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    std::string_view data;
    std::uint64_t begun = 0;
    std::uint64_t ended = 0;  // 0: not by now.
    std::size_t record = 0;
  };
  struct NameChange {
    std::uint64_t sequence = 0;
    std::string removed;  // Empty: none.
    std::string added;
    std::uint64_t node = 0;
  };
  struct Node {
    bool is_directory = false;
    std::string bytes;  // Durable.
    std::vector<Change> changes;
    std::map<std::string, std::uint64_t> names;  // Durable.
    std::map<std::string, std::uint64_t> current_names;
    std::vector<NameChange> name_changes;
  };

  void add_base(const Tree& base, const std::map<std::string, std::uint64_t>& inodes);
  void begin(std::size_t at);
  void end(std::size_t at);
  void make(const Recorded& recorded, bool is_directory);
  void change_names(std::uint64_t directory, NameChange change);
  void add_change(const Recorded& recorded, std::size_t at);
  static void compare_content(Node& node, const Recorded& recorded);
  void forget_unended();
  void sync(Node& node, std::uint64_t begun) const;
  Node* node_at(std::uint64_t inode);
  static void apply(const Change& change, std::string& bytes);
  static void apply(const NameChange& change, std::map<std::string, std::uint64_t>& names);
  static void keep_some(const Change& change, double share, std::mt19937& random,
                        std::string& bytes);
  std::string bytes_of(const Node& node, Keep keep, double share, std::mt19937& random) const;
  void collect(const Node& node, const std::string& path, const Cut& cut, double share,
               std::mt19937& random, Tree& tree) const;
  Keep keep_of(const std::string& path, const Cut& cut) const;

  const std::string apart_;
  std::vector<Recorded> records_;
  std::vector<Moment> moments_;
  std::vector<std::uint64_t> boundaries_;
  std::size_t syncs_ = 0;
  std::size_t next_ = 0;  // Moment.
  std::vector<std::unique_ptr<Node>> nodes_;
  std::unordered_map<std::uint64_t, std::uint64_t> node_of_inode_;
  // Of calls that have not returned: the node that they change.
  std::unordered_map<std::size_t, std::uint64_t> node_of_record_;
};

}  // namespace pm::power
