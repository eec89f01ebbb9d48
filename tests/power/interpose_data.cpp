// The calls that change or sync what is in files. Compiled as interpose_names.cpp is.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "interpose.h"
#include "recorder.h"

using pm::power::begin_record;
using pm::power::end_record;
using pm::power::find_place;
using pm::power::is_recorded;
using pm::power::Place;
using pm::power::Record;
using pm::power::RecordKind;

namespace {

template <typename Call>
ssize_t record_write(int fd, const void* data, size_t length, off_t offset, Call call) {
  std::uint64_t inode = 0;
  if (!is_recorded(fd, inode)) return call();
  Record* record = begin_record({.kind = RecordKind::write,
                                 .inode = inode,
                                 .offset = static_cast<std::uint64_t>(offset),
                                 .length = length,
                                 .data = data});
  const ssize_t result = call();
  const int error = errno;
  end_record(record, result);
  errno = error;
  return result;
}

// `length` is what the call asks for; `call` gives 0 when it went well.
template <typename Call>
int record_length(RecordKind kind, int fd, off_t length, Call call) {
  std::uint64_t inode = 0;
  if (!is_recorded(fd, inode)) return call();
  Record* record =
      begin_record({.kind = kind, .inode = inode, .length = static_cast<std::uint64_t>(length)});
  const int result = call();
  const int error = errno;
  end_record(record, result == 0 ? 0 : -1);
  errno = error;
  return result;
}

template <typename Call>
int record_sync(int fd, Call call) {
  Place place;
  find_place(fd, place);
  if (!place.inside && !pm::power::is_parent_of_root(place)) return call();
  const std::uint64_t inode = pm::power::inode_of(fd);
  if (pm::power::is_shared(place)) pm::power::note_content(fd, inode);
  if (pm::power::is_forgotten(place)) return 0;
  Record* record = begin_record({.kind = RecordKind::sync, .inode = inode, .name = place.path});
  const int result = call();
  const int error = errno;
  end_record(record, result);
  errno = error;
  return result;
}

void refuse_fd(int fd, const char* what) {
  std::uint64_t inode = 0;
  if (!is_recorded(fd, inode)) return;
  Place place;
  find_place(fd, place);
  pm::power::refuse(what, place.path);
}

off_t position(int fd) {
  const bool appends = (::fcntl(fd, F_GETFL) & O_APPEND) != 0;
  struct stat found {};
  if (appends && ::fstat(fd, &found) == 0) return found.st_size;
  return ::lseek(fd, 0, SEEK_CUR);
}

FILE* boot_id_file(const char* path) {
  const char* id = std::getenv(pm::power::variable::boot_id);
  if (id == nullptr || std::strcmp(path, "/proc/sys/kernel/random/boot_id") != 0) return nullptr;
  const int fd = ::memfd_create("boot_id", MFD_CLOEXEC);
  if (fd < 0 || ::dprintf(fd, "%s\n", id) < 0 || ::lseek(fd, 0, SEEK_SET) != 0) std::abort();
  return ::fdopen(fd, "r");
}

void refuse_stream(const char* path, const char* mode) {
  if (std::strpbrk(mode, "wa+") == nullptr) return;
  Place place;
  find_place(AT_FDCWD, path, place);
  if (place.inside) pm::power::refuse("a stream that writes", path);
}

}  // namespace

PM_EXPORT ssize_t write(int fd, const void* data, size_t length) {
  PM_NEXT(write);
  std::uint64_t inode = 0;
  if (!is_recorded(fd, inode)) return next(fd, data, length);
  return record_write(fd, data, length, position(fd), [&] { return next(fd, data, length); });
}

PM_EXPORT ssize_t pwrite(int fd, const void* data, size_t length, off_t offset) {
  PM_NEXT(pwrite);
  return record_write(fd, data, length, offset, [&] { return next(fd, data, length, offset); });
}

PM_EXPORT ssize_t pwrite64(int fd, const void* data, size_t length, off64_t offset) {
  PM_NEXT(pwrite64);
  return record_write(fd, data, length, offset, [&] { return next(fd, data, length, offset); });
}

PM_EXPORT ssize_t writev(int fd, const iovec* parts, int count) {
  PM_NEXT(writev);
  refuse_fd(fd, "writev");
  return next(fd, parts, count);
}

PM_EXPORT ssize_t pwritev(int fd, const iovec* parts, int count, off_t offset) {
  PM_NEXT(pwritev);
  refuse_fd(fd, "pwritev");
  return next(fd, parts, count, offset);
}

PM_EXPORT ssize_t pwritev64(int fd, const iovec* parts, int count, off64_t offset) {
  PM_NEXT(pwritev64);
  refuse_fd(fd, "pwritev");
  return next(fd, parts, count, offset);
}

PM_EXPORT ssize_t pwritev2(int fd, const iovec* parts, int count, off_t offset, int flags) {
  PM_NEXT(pwritev2);
  refuse_fd(fd, "pwritev2");
  return next(fd, parts, count, offset, flags);
}

PM_EXPORT ssize_t pwritev64v2(int fd, const iovec* parts, int count, off64_t offset, int flags) {
  return pwritev2(fd, parts, count, offset, flags);
}

PM_EXPORT ssize_t sendfile(int to, int from, off_t* offset, size_t length) noexcept {
  PM_NEXT(sendfile);
  refuse_fd(to, "sendfile");
  return next(to, from, offset, length);
}

PM_EXPORT ssize_t sendfile64(int to, int from, off64_t* offset, size_t length) noexcept {
  return sendfile(to, from, offset, length);
}

PM_EXPORT ssize_t copy_file_range(int from, off64_t* from_at, int to, off64_t* to_at, size_t length,
                                  unsigned flags) {
  PM_NEXT(copy_file_range);
  refuse_fd(to, "copy_file_range");
  return next(from, from_at, to, to_at, length, flags);
}

PM_EXPORT ssize_t splice(int from, off64_t* from_at, int to, off64_t* to_at, size_t length,
                         unsigned flags) {
  PM_NEXT(splice);
  refuse_fd(to, "splice");
  return next(from, from_at, to, to_at, length, flags);
}

PM_EXPORT int ftruncate(int fd, off_t length) noexcept {
  PM_NEXT(ftruncate);
  return record_length(RecordKind::truncate, fd, length, [&] { return next(fd, length); });
}

PM_EXPORT int ftruncate64(int fd, off64_t length) noexcept {
  PM_NEXT(ftruncate64);
  return record_length(RecordKind::truncate, fd, length, [&] { return next(fd, length); });
}

PM_EXPORT int truncate(const char* path, off_t length) noexcept {
  PM_NEXT(truncate);
  refuse_stream(path, "w");
  return next(path, length);
}

PM_EXPORT int truncate64(const char* path, off64_t length) noexcept {
  return truncate(path, length);
}

PM_EXPORT int posix_fallocate(int fd, off_t offset, off_t length) {
  PM_NEXT(posix_fallocate);
  return record_length(RecordKind::extend, fd, offset + length,
                       [&] { return next(fd, offset, length); });
}

PM_EXPORT int posix_fallocate64(int fd, off64_t offset, off64_t length) {
  PM_NEXT(posix_fallocate64);
  return record_length(RecordKind::extend, fd, offset + length,
                       [&] { return next(fd, offset, length); });
}

PM_EXPORT int fallocate(int fd, int mode, off_t offset, off_t length) {
  PM_NEXT(fallocate);
  if (mode != 0) refuse_fd(fd, "fallocate with a mode");
  return record_length(RecordKind::extend, fd, offset + length,
                       [&] { return next(fd, mode, offset, length); });
}

PM_EXPORT int fallocate64(int fd, int mode, off64_t offset, off64_t length) {
  return fallocate(fd, mode, offset, length);
}

PM_EXPORT int fsync(int fd) {
  PM_NEXT(fsync);
  return record_sync(fd, [&] { return next(fd); });
}

PM_EXPORT int fdatasync(int fd) {
  PM_NEXT(fdatasync);
  return record_sync(fd, [&] { return next(fd); });
}

// Neither promises what fsync(2) does, or they promise more; nothing here calls them.
PM_EXPORT void sync() noexcept {
  PM_NEXT(sync);
  pm::power::refuse("sync", "");
  next();
}

PM_EXPORT int syncfs(int fd) noexcept {
  PM_NEXT(syncfs);
  refuse_fd(fd, "syncfs");
  return next(fd);
}

PM_EXPORT int sync_file_range(int fd, off64_t offset, off64_t length, unsigned flags) {
  PM_NEXT(sync_file_range);
  refuse_fd(fd, "sync_file_range");
  return next(fd, offset, length, flags);
}

// A -shm file of SQLite is not recorded, so it may be mapped.
PM_EXPORT void* mmap(void* address, size_t length, int protection, int flags, int fd,
                     off_t offset) noexcept {
  PM_NEXT(mmap);
  const bool writes = (protection & PROT_WRITE) != 0 && (flags & MAP_TYPE) != MAP_PRIVATE;
  if (writes && fd >= 0) refuse_fd(fd, "a mapping that is written to");
  return next(address, length, protection, flags, fd, offset);
}

PM_EXPORT void* mmap64(void* address, size_t length, int protection, int flags, int fd,
                       off64_t offset) noexcept {
  return mmap(address, length, protection, flags, fd, offset);
}

// The kernel's boot id is read so; a machine that lost power comes back with another one.
PM_EXPORT FILE* fopen(const char* path, const char* mode) {
  PM_NEXT(fopen);
  if (FILE* file = boot_id_file(path)) return file;
  refuse_stream(path, mode);
  return next(path, mode);
}

PM_EXPORT FILE* fopen64(const char* path, const char* mode) { return fopen(path, mode); }
