// Preloaded into a host: makes a system call on some files fail as a medium would. The variable
// PM_IO_FAULT says which, as "CALL:NTH:ERRNO:REPEAT:PATH": the NTH such call (from 1) on a file
// whose path ends with PATH fails with ERRNO; and with REPEAT "sticky" all later ones. CALL is
// read, write, sync or truncate. With ERRNO 0 a write is short: half of it is written.

// Both names of a call are defined here: neither may stand for the other.
#undef _FILE_OFFSET_BITS

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

struct plan {
  char call[16];
  long nth;
  int error;
  char repeat[16];
  char path[128];
};

static struct plan plan;
static atomic_long calls;
static atomic_int has_hit;

__attribute__((constructor)) static void read_plan(void) {
  const char* text = getenv("PM_IO_FAULT");
  if (text == NULL || sscanf(text, "%15[^:]:%ld:%d:%15[^:]:%127s", plan.call, &plan.nth,
                             &plan.error, plan.repeat, plan.path) != 5) {
    plan.nth = 0;
  }
}

static int is_hit(const char* call, int fd) {
  if (plan.nth == 0 || strcmp(call, plan.call) != 0) return 0;
  char link[64];
  char path[512];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const int saved = errno;
  const ssize_t length = readlink(link, path, sizeof path - 1);
  errno = saved;
  if (length < 0) return 0;
  path[length] = '\0';
  const size_t wanted = strlen(plan.path);
  if ((size_t)length < wanted || strcmp(path + length - wanted, plan.path) != 0) return 0;
  const long number = atomic_fetch_add(&calls, 1) + 1;
  const int hit = number == plan.nth || (number > plan.nth && strcmp(plan.repeat, "sticky") == 0);
  if (hit && atomic_exchange(&has_hit, 1) == 0) {
    char words[700];
    const int count = snprintf(words, sizeof words, "io-fault: %s %ld of %s\n", call, number, path);
    (void)!write(STDERR_FILENO, words, (size_t)count);
  }
  return hit;
}

// The function that stands behind ours.
#define SYSTEM(name) (__extension__(__typeof__(&name)) dlsym(RTLD_NEXT, #name))

ssize_t pwrite(int fd, const void* data, size_t length, off_t offset) {
  if (is_hit("write", fd)) {
    if (plan.error != 0) return errno = plan.error, -1;
    length /= 2;
  }
  return SYSTEM(pwrite)(fd, data, length, offset);
}
ssize_t pwrite64(int fd, const void* data, size_t length, off64_t offset) {
  return pwrite(fd, data, length, offset);
}
ssize_t pread(int fd, void* data, size_t length, off_t offset) {
  if (is_hit("read", fd)) return errno = plan.error, -1;
  return SYSTEM(pread)(fd, data, length, offset);
}
ssize_t pread64(int fd, void* data, size_t length, off64_t offset) {
  return pread(fd, data, length, offset);
}
int fsync(int fd) {
  if (is_hit("sync", fd)) return errno = plan.error, -1;
  return SYSTEM(fsync)(fd);
}
int fdatasync(int fd) {
  if (is_hit("sync", fd)) return errno = plan.error, -1;
  return SYSTEM(fdatasync)(fd);
}
int ftruncate(int fd, off_t length) {
  if (is_hit("truncate", fd)) return errno = plan.error, -1;
  return SYSTEM(ftruncate)(fd, length);
}
int ftruncate64(int fd, off64_t length) { return ftruncate(fd, length); }
