// The calls that make, change and remove names. Compiled without _FILE_OFFSET_BITS, because that
// would give open() the name of open64().

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "interpose.h"
#include "recorder.h"

using pm::power::find_place;
using pm::power::NamesLock;
using pm::power::note;
using pm::power::Place;
using pm::power::RecordKind;

namespace {

// What stands behind any way to open a file.
template <typename Open>
int record_open(int directory, const char* path, int flags, Open open) {
  constexpr int changing = O_CREAT | O_TRUNC;
  constexpr int synced = O_DSYNC | (O_TMPFILE & ~O_DIRECTORY);
  if ((flags & (changing | synced)) == 0) return open();
  Place place;
  find_place(directory, path, place);
  if (!place.inside) return open();
  if ((flags & synced) != 0) pm::power::refuse("O_SYNC, O_DSYNC or O_TMPFILE", place.path);
  const NamesLock lock;
  const int fd = open();
  const int error = errno;
  if (fd >= 0 && (flags & changing) != 0) {
    note({.kind = RecordKind::create,
          .inode = pm::power::inode_of(fd),
          .directory = place.directory,
          .name = place.name,
          .flags = (flags & O_TRUNC) != 0 ? pm::power::record_truncates : 0});
  }
  errno = error;
  return fd;
}

std::uint64_t inode_at(int directory, const char* path) {
  struct stat found {};
  return ::fstatat(directory, path, &found, AT_SYMLINK_NOFOLLOW) == 0 ? found.st_ino : 0;
}

// Does `call` between looking at the two places and noting it; of link(2) and rename(2).
template <typename Call>
int record_two(RecordKind kind, int from, const char* path, int to, const char* other, Call call) {
  Place source;
  Place target;
  find_place(from, path, source);
  find_place(to, other, target);
  if (!source.inside && !target.inside) return call();
  if (source.inside != target.inside) pm::power::refuse("a name that crosses the root", path);
  const NamesLock lock;
  const std::uint64_t inode = inode_at(from, path);
  const int result = call();
  const int error = errno;
  if (result == 0) {
    note({.kind = kind,
          .inode = inode,
          .directory = source.directory,
          .name = source.name,
          .other_directory = target.directory,
          .other_name = target.name});
  }
  errno = error;
  return result;
}

template <typename Call>
int record_remove(int directory, const char* path, Call call) {
  Place place;
  find_place(directory, path, place);
  if (!place.inside) return call();
  const NamesLock lock;
  const int result = call();
  const int error = errno;
  if (result == 0) {
    note({.kind = RecordKind::remove, .directory = place.directory, .name = place.name});
  }
  errno = error;
  return result;
}

template <typename Call>
int record_make_directory(int directory, const char* path, Call call) {
  Place place;
  find_place(directory, path, place);
  if (!place.inside) return call();
  const NamesLock lock;
  const int result = call();
  const int error = errno;
  if (result == 0) {
    note({.kind = RecordKind::make_directory,
          .inode = inode_at(directory, path),
          .directory = place.directory,
          .name = place.name});
  }
  errno = error;
  return result;
}

mode_t mode_of(int flags, va_list arguments) {
  return (flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY))) != 0 ? va_arg(arguments, mode_t) : 0;
}

int refused_inside(int directory, const char* path, const char* what) {
  Place place;
  find_place(directory, path, place);
  if (place.inside) pm::power::refuse(what, place.path);
  return 0;
}

}  // namespace

PM_EXPORT int open(const char* path, int flags, ...) {
  PM_NEXT(open);
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return record_open(AT_FDCWD, path, flags, [&] { return next(path, flags, mode); });
}

PM_EXPORT int open64(const char* path, int flags, ...) {
  PM_NEXT(open64);
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return record_open(AT_FDCWD, path, flags, [&] { return next(path, flags, mode); });
}

PM_EXPORT int openat(int directory, const char* path, int flags, ...) {
  PM_NEXT(openat);
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return record_open(directory, path, flags, [&] { return next(directory, path, flags, mode); });
}

PM_EXPORT int openat64(int directory, const char* path, int flags, ...) {
  PM_NEXT(openat64);
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return record_open(directory, path, flags, [&] { return next(directory, path, flags, mode); });
}

PM_EXPORT int creat(const char* path, mode_t mode) {
  return open(path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

PM_EXPORT int creat64(const char* path, mode_t mode) { return creat(path, mode); }

// openat2(2) has no function of its own.
PM_EXPORT long syscall(long number, ...) noexcept {
  PM_NEXT(syscall);
  long at[6];
  va_list arguments;
  va_start(arguments, number);
  for (long& argument : at) argument = va_arg(arguments, long);
  va_end(arguments);
  const auto call = [&] { return next(number, at[0], at[1], at[2], at[3], at[4], at[5]); };
  if (number != SYS_openat2) return call();
  const auto* how = reinterpret_cast<const open_how*>(at[2]);
  return record_open(static_cast<int>(at[0]), reinterpret_cast<const char*>(at[1]),
                     static_cast<int>(how->flags), [&] { return static_cast<int>(call()); });
}

PM_EXPORT int mkdir(const char* path, mode_t mode) noexcept {
  PM_NEXT(mkdir);
  return record_make_directory(AT_FDCWD, path, [&] { return next(path, mode); });
}

PM_EXPORT int mkdirat(int directory, const char* path, mode_t mode) noexcept {
  PM_NEXT(mkdirat);
  return record_make_directory(directory, path, [&] { return next(directory, path, mode); });
}

PM_EXPORT int unlink(const char* path) noexcept {
  PM_NEXT(unlink);
  return record_remove(AT_FDCWD, path, [&] { return next(path); });
}

PM_EXPORT int unlinkat(int directory, const char* path, int flags) noexcept {
  PM_NEXT(unlinkat);
  return record_remove(directory, path, [&] { return next(directory, path, flags); });
}

PM_EXPORT int rmdir(const char* path) noexcept {
  PM_NEXT(rmdir);
  return record_remove(AT_FDCWD, path, [&] { return next(path); });
}

PM_EXPORT int remove(const char* path) noexcept {
  PM_NEXT(remove);
  return record_remove(AT_FDCWD, path, [&] { return next(path); });
}

PM_EXPORT int rename(const char* from, const char* to) noexcept {
  PM_NEXT(rename);
  return record_two(RecordKind::rename, AT_FDCWD, from, AT_FDCWD, to,
                    [&] { return next(from, to); });
}

PM_EXPORT int renameat(int from, const char* path, int to, const char* other) noexcept {
  PM_NEXT(renameat);
  return record_two(RecordKind::rename, from, path, to, other,
                    [&] { return next(from, path, to, other); });
}

PM_EXPORT int renameat2(int from, const char* path, int to, const char* other,
                        unsigned flags) noexcept {
  PM_NEXT(renameat2);
  if ((flags & RENAME_EXCHANGE) != 0) refused_inside(from, path, "an exchange of two names");
  return record_two(RecordKind::rename, from, path, to, other,
                    [&] { return next(from, path, to, other, flags); });
}

PM_EXPORT int link(const char* from, const char* to) noexcept {
  PM_NEXT(link);
  return record_two(RecordKind::link, AT_FDCWD, from, AT_FDCWD, to, [&] { return next(from, to); });
}

PM_EXPORT int linkat(int from, const char* path, int to, const char* other, int flags) noexcept {
  PM_NEXT(linkat);
  return record_two(RecordKind::link, from, path, to, other,
                    [&] { return next(from, path, to, other, flags); });
}

PM_EXPORT int symlink(const char* target, const char* path) noexcept {
  PM_NEXT(symlink);
  refused_inside(AT_FDCWD, path, "a symbolic link");
  return next(target, path);
}

PM_EXPORT int symlinkat(const char* target, int directory, const char* path) noexcept {
  PM_NEXT(symlinkat);
  refused_inside(directory, path, "a symbolic link");
  return next(target, directory, path);
}
