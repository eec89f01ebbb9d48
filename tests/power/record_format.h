#pragma once

#include <atomic>
#include <cstdint>

// What the recorder writes and the replay reads: a file that both map, a header and then records.

namespace pm::power {

inline constexpr std::uint64_t log_magic = 0x31474f4c52574f50;  // "POWRLOG1"
inline constexpr std::uint64_t log_header_bytes = 4096;

// Names of the environment variables that tell the recorder what to do. Without `log` it records
// nothing.
namespace variable {
inline constexpr char log[] = "PM_RECORD_LOG";    // The log, as Recording::create() made it.
inline constexpr char root[] = "PM_RECORD_ROOT";  // The directory whose effects are recorded.
// Below it other processes write through mappings, too: a file's bytes are looked at when it is
// synced.
inline constexpr char shared[] = "PM_RECORD_SHARED";
// A planted mistake: syncs of what this pattern (fnmatch) matches are answered, and not done.
inline constexpr char forget[] = "PM_RECORD_FORGET";
// From so many numbers of the sequence on; 0: from the beginning.
inline constexpr char forget_from[] = "PM_RECORD_FORGET_FROM";
// Kill the process as soon as the sequence has come so far.
inline constexpr char kill_at[] = "PM_RECORD_KILL_AT";
// What the kernel is said to have as its boot id.
inline constexpr char boot_id[] = "PM_RECORD_BOOT_ID";
}  // namespace variable

struct LogHeader {
  std::uint64_t magic;
  std::uint64_t capacity_bytes;
  // Counts what begins and what ends. A client that reads it after an answer knows: whatever the
  // answer rests on has a smaller number.
  std::atomic<std::uint64_t> sequence;
  std::atomic<std::uint64_t> tail_bytes;  // Where the next record goes.
  std::atomic<std::uint32_t> has_trouble;
  char trouble[480];  // What the recorder cannot record, the first of it.
};
static_assert(sizeof(LogHeader) <= log_header_bytes);

enum class RecordKind : std::uint32_t {
  create = 1,  // open(2) that may make or empty `name` in `directory`; `inode` is what it got.
  make_directory,
  link,      // `inode` is now also called `other_name` in `other_directory`.
  rename,    // `inode` from `name` in `directory` to `other_name` in `other_directory`.
  remove,    // `name` of `directory`: unlink(2) or rmdir(2).
  write,     // `length` bytes of data at `offset`.
  truncate,  // To `length` bytes.
  extend,    // To at least `length` bytes: fallocate(2).
  content,   // What the file holds now, whoever wrote it: `length` bytes of data.
  begin,     // A process begins: what had not ended by now never will.
  sync,      // fsync(2), fdatasync(2)
};

inline constexpr std::uint32_t record_truncates = 1;  // create: O_TRUNC
inline constexpr std::uint32_t record_failed = 2;     // Had no effect.

// Names and data follow it.
struct Record {
  std::uint64_t total_bytes;  // Of all; a multiple of 8.
  RecordKind kind;
  std::uint32_t flags;
  // Numbers of the sequence. `begun` is written last when the record is made; 0: it is not
  // complete. `ended` is 0 until the call has returned.
  std::atomic<std::uint64_t> begun;
  std::atomic<std::uint64_t> ended;
  std::uint64_t inode;
  std::uint64_t directory;
  std::uint64_t other_directory;
  std::uint64_t offset;
  std::uint64_t length;
  std::uint32_t name_length;
  std::uint32_t other_name_length;
};

}  // namespace pm::power
