#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>

#include "record_format.h"

// The inside of the recorder: a library to be preloaded into a process (ld.so(8), LD_PRELOAD). It
// stands before the calls that change files and notes, in one log, what they do below one
// directory. Nothing here allocates, because it also runs inside of allocators' and loaders' calls.

namespace pm::power {

inline constexpr std::size_t path_bytes_max = 4096;

// A name in a directory.
struct Place {
  bool inside = false;  // Below the recorded directory, or itself.
  std::uint64_t directory = 0;
  char path[path_bytes_max];  // Absolute.
  const char* name = path;    // Its last component.
};

// The function of this name that would have been called without this library.
void* next_function(const char* name);

// `path` as openat(2) takes it.
void find_place(int directory, const char* path, Place& place);
// Of an open file or directory.
void find_place(int fd, Place& place);
// False, and nothing else is done, when the descriptor is of no interest; otherwise its inode.
bool is_recorded(int fd, std::uint64_t& inode);
// The inode of what is open; 0: it cannot be told.
std::uint64_t inode_of(int fd);

bool is_forgotten(const Place& place);
bool is_shared(const Place& place);
bool is_parent_of_root(const Place& place);

// Serializes changes of names, so that their order in the log is the one in which they happened.
class NamesLock {
 public:
  NamesLock();
  ~NamesLock();
  NamesLock(const NamesLock&) = delete;
  NamesLock& operator=(const NamesLock&) = delete;
};

struct Fields {
  RecordKind kind;
  std::uint64_t inode = 0;
  std::uint64_t directory = 0;
  const char* name = "";
  std::uint64_t other_directory = 0;
  const char* other_name = "";
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  std::uint32_t flags = 0;
  const void* data = nullptr;  // `length` bytes.
};

// Notes what begins. NULL: nothing is recorded, or there is no room (which is trouble).
Record* begin_record(const Fields& fields);
// And how it ended: `result` as of write(2). Passes NULL over.
void end_record(Record* record, std::int64_t result);
// Both, for what cannot be seen half done.
void note(const Fields& fields);
// What the file holds now.
void note_content(int fd, std::uint64_t inode);

// Something was done that the log cannot tell.
void refuse(const char* what, const char* path);

}  // namespace pm::power
