#include "recorder.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace pm::power {

namespace {

struct State {
  LogHeader* log = nullptr;
  char root[path_bytes_max] = {};
  std::size_t root_length = 0;
  char shared[path_bytes_max] = {};
  const char* forget = nullptr;
  std::uint64_t forget_from = 0;
  std::uint64_t kill_at = UINT64_MAX;
};

State state;
pthread_mutex_t names_mutex = PTHREAD_MUTEX_INITIALIZER;
pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER;  // Of the place of the next record.

bool begins_with(const char* path, const char* folder, std::size_t length) {
  return std::strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

bool ends_with(const char* path, const char* end) {
  const std::size_t length = std::strlen(path);
  const std::size_t end_length = std::strlen(end);
  return length >= end_length && std::strcmp(path + length - end_length, end) == 0;
}

bool is_inside(const char* path) {
  return state.log != nullptr && begins_with(path, state.root, state.root_length);
}

bool read_descriptor(int fd, char* path) {
  char link[64];
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t length = ::readlink(link, path, path_bytes_max - 1);
  if (length < 0) return false;
  path[length] = '\0';
  if (ends_with(path, " (deleted)")) path[length - 10] = '\0';
  return true;
}

std::uint64_t inode_at(const char* path) {
  struct stat found {};
  return ::stat(path, &found) == 0 ? found.st_ino : 0;
}

void copy_text(char* to, const char* from) { std::snprintf(to, path_bytes_max, "%s", from); }

// Every file as this process finds it: an earlier one may have been killed in the middle of a call.
void note_tree(const char* folder) {
  DIR* directory = ::opendir(folder);
  if (directory == nullptr) return;
  while (const dirent* entry = ::readdir(directory)) {
    if (std::strcmp(entry->d_name, ".") == 0 || std::strcmp(entry->d_name, "..") == 0) continue;
    char path[path_bytes_max];
    if (std::snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) >= int{sizeof path}) {
      refuse("a path that is too long", folder);
    }
    if (entry->d_type == DT_DIR) note_tree(path);
    if (entry->d_type != DT_REG || ends_with(path, "-shm")) continue;
    const int fd = static_cast<int>(::syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC));
    if (fd < 0) continue;
    note_content(fd, inode_of(fd));
    ::close(fd);
  }
  ::closedir(directory);
}

__attribute__((constructor)) void attach() {
  const char* log = std::getenv(variable::log);
  const char* root = std::getenv(variable::root);
  if (log == nullptr || root == nullptr) return;
  const int fd = static_cast<int>(::syscall(SYS_openat, AT_FDCWD, log, O_RDWR | O_CLOEXEC));
  struct stat found {};
  if (fd < 0 || ::fstat(fd, &found) != 0) std::abort();
  void* mapped = ::mmap(nullptr, static_cast<std::size_t>(found.st_size), PROT_READ | PROT_WRITE,
                        MAP_SHARED, fd, 0);
  if (mapped == MAP_FAILED) std::abort();
  ::close(fd);
  copy_text(state.root, root);
  state.root_length = std::strlen(state.root);
  if (const char* shared = std::getenv(variable::shared)) copy_text(state.shared, shared);
  state.forget = std::getenv(variable::forget);
  if (const char* from = std::getenv(variable::forget_from)) {
    state.forget_from = std::strtoull(from, nullptr, 10);
  }
  if (const char* at = std::getenv(variable::kill_at)) {
    state.kill_at = std::strtoull(at, nullptr, 10);
  }
  state.log = static_cast<LogHeader*>(mapped);
  if (state.log->magic != log_magic) std::abort();
  note({.kind = RecordKind::begin});
  note_tree(state.root);
}

// It dies in the middle of whatever other threads do, but never between a change of names and its
// record, and never between taking a place in the log and marking it.
std::uint64_t next_sequence(bool may_die) {
  const std::uint64_t number = state.log->sequence.fetch_add(1) + 1;
  if (may_die && number >= state.kill_at) {
    ::pthread_mutex_lock(&names_mutex);
    ::pthread_mutex_lock(&log_mutex);
    ::kill(::getpid(), SIGKILL);
  }
  return number;
}

}  // namespace

void* next_function(const char* name) {
  void* const found = ::dlsym(RTLD_NEXT, name);
  if (found == nullptr) {
    std::fprintf(stderr, "recorder: there is no %s\n", name);
    std::abort();
  }
  return found;
}

void find_place(int directory, const char* path, Place& place) {
  place.inside = false;
  if (state.log == nullptr || path == nullptr) return;
  if (path[0] == '/') {
    copy_text(place.path, path);
  } else {
    char folder[path_bytes_max];
    if (directory == AT_FDCWD ? ::getcwd(folder, sizeof folder) == nullptr
                              : !read_descriptor(directory, folder)) {
      return;
    }
    if (std::snprintf(place.path, sizeof place.path, "%s/%s", folder, path) >=
        int{sizeof place.path}) {
      return refuse("a path that is too long", path);
    }
  }
  place.inside = is_inside(place.path);
  char* const slash = std::strrchr(place.path, '/');
  if (!place.inside || slash == nullptr) return;
  *slash = '\0';
  place.directory = inode_at(place.path);
  *slash = '/';
  place.name = slash + 1;
}

void find_place(int fd, Place& place) {
  place.inside = false;
  place.path[0] = '\0';
  if (state.log == nullptr || !read_descriptor(fd, place.path)) return;
  place.inside = is_inside(place.path);
}

std::uint64_t inode_of(int fd) {
  struct stat found {};
  return ::fstat(fd, &found) == 0 ? found.st_ino : 0;
}

bool is_recorded(int fd, std::uint64_t& inode) {
  if (state.log == nullptr) return false;
  const int error = errno;
  char path[path_bytes_max];
  const bool recorded = read_descriptor(fd, path) && is_inside(path) && !ends_with(path, "-shm");
  if (recorded) inode = inode_of(fd);
  errno = error;
  return recorded;
}

bool is_forgotten(const Place& place) {
  return state.forget != nullptr && state.log != nullptr &&
         state.log->sequence >= state.forget_from && ::fnmatch(state.forget, place.path, 0) == 0;
}

bool is_shared(const Place& place) {
  return state.shared[0] != '\0' &&
         begins_with(place.path, state.shared, std::strlen(state.shared));
}

bool is_parent_of_root(const Place& place) {
  const std::size_t length = std::strlen(place.path);
  return state.log != nullptr && length < state.root_length && state.root[length] == '/' &&
         std::strncmp(place.path, state.root, length) == 0 &&
         std::strchr(state.root + length + 1, '/') == nullptr;
}

NamesLock::NamesLock() { ::pthread_mutex_lock(&names_mutex); }
NamesLock::~NamesLock() { ::pthread_mutex_unlock(&names_mutex); }

static Record* take_place(std::uint64_t bytes) {
  Record* record = nullptr;
  ::pthread_mutex_lock(&log_mutex);
  const std::uint64_t at = state.log->tail_bytes;
  if (at + bytes <= state.log->capacity_bytes) {
    record = reinterpret_cast<Record*>(reinterpret_cast<char*>(state.log) + at);
    record->total_bytes = bytes;
    state.log->tail_bytes = at + bytes;
  }
  ::pthread_mutex_unlock(&log_mutex);
  if (record == nullptr) refuse("more than the log has room for", "");
  return record;
}

static Record* make_record(const Fields& fields) {
  if (state.log == nullptr) return nullptr;
  const std::size_t name_length = std::strlen(fields.name);
  const std::size_t other_length = std::strlen(fields.other_name);
  const std::uint64_t data_bytes = fields.data == nullptr ? 0 : fields.length;
  const std::uint64_t total =
      (sizeof(Record) + name_length + other_length + data_bytes + 7) / 8 * 8;
  Record* const record = take_place(total);
  if (record == nullptr) return nullptr;
  record->kind = fields.kind;
  record->flags = fields.flags;
  record->inode = fields.inode;
  record->directory = fields.directory;
  record->other_directory = fields.other_directory;
  record->offset = fields.offset;
  record->length = fields.length;
  record->name_length = static_cast<std::uint32_t>(name_length);
  record->other_name_length = static_cast<std::uint32_t>(other_length);
  char* end = reinterpret_cast<char*>(record + 1);
  std::memcpy(end, fields.name, name_length);
  std::memcpy(end + name_length, fields.other_name, other_length);
  if (data_bytes != 0) std::memcpy(end + name_length + other_length, fields.data, data_bytes);
  return record;
}

Record* begin_record(const Fields& fields) {
  Record* record = make_record(fields);
  if (record != nullptr) record->begun = next_sequence(true);
  return record;
}

void end_record(Record* record, std::int64_t result) {
  if (record == nullptr) return;
  if (result < 0) record->flags |= record_failed;
  if (record->kind == RecordKind::write && result >= 0) {
    record->length = static_cast<std::uint64_t>(result);
  }
  record->ended = next_sequence(false);
}

void note(const Fields& fields) {
  Record* record = make_record(fields);
  if (record == nullptr) return;
  const std::uint64_t number = next_sequence(false);
  record->ended = number;
  record->begun = number;
}

void note_content(int fd, std::uint64_t inode) {
  struct stat found {};
  if (::fstat(fd, &found) != 0 || !S_ISREG(found.st_mode)) return;
  const auto length = static_cast<std::size_t>(found.st_size);
  if (length == 0) return note({.kind = RecordKind::content, .inode = inode});
  void* bytes = ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (bytes == MAP_FAILED) return refuse("a file that is too large to look at", "");
  const ssize_t count = ::pread(fd, bytes, length, 0);
  if (count == static_cast<ssize_t>(length)) {
    note({.kind = RecordKind::content, .inode = inode, .length = length, .data = bytes});
  } else {
    refuse("a file that cannot be read", "");
  }
  ::munmap(bytes, length);
}

void refuse(const char* what, const char* path) {
  if (state.log == nullptr || state.log->has_trouble.fetch_or(1) != 0) return;
  std::snprintf(state.log->trouble, sizeof state.log->trouble, "%s: %s", what, path);
}

}  // namespace pm::power
