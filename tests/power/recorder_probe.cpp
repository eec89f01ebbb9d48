// A program to be recorded: it changes files in all ways that the recorder knows, or, with an
// argument, in one that it must refuse.

#include <fcntl.h>
#include <liburing.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <string>

namespace {

std::string root;

std::string in_root(const char* name) { return root + "/" + name; }

void check(bool good, const char* what) {
  if (good) return;
  std::perror(what);
  std::exit(1);
}

int make(const char* name, int flags = O_RDWR | O_CREAT) {
  const int fd = ::open(in_root(name).c_str(), flags, 0600);
  check(fd >= 0, name);
  return fd;
}

// By io_uring: two writes at once.
void write_by_ring(int fd) {
  io_uring ring{};
  check(::io_uring_queue_init(4, &ring, 0) == 0, "io_uring_queue_init");
  static const std::string first(5'000, 'r');
  static const std::string second(3'000, 's');
  ::io_uring_prep_write(::io_uring_get_sqe(&ring), fd, first.data(), 5'000, 0);
  io_uring_sqe* entry = ::io_uring_get_sqe(&ring);
  ::io_uring_prep_write(entry, fd, second.data(), 3'000, 5'000);
  ::io_uring_sqe_set_data64(entry, 7);
  check(::io_uring_submit_and_wait(&ring, 2) == 2, "io_uring_submit_and_wait");
  ::io_uring_queue_exit(&ring);
}

void change_all() {
  check(::mkdir(root.c_str(), 0700) == 0, "mkdir");
  const int directory = ::open(root.c_str(), O_RDONLY | O_DIRECTORY);
  check(::mkdirat(directory, "below", 0700) == 0, "mkdirat");
  const int fd = make("file");
  check(::write(fd, "one", 3) == 3 && ::write(fd, "two", 3) == 3, "write");
  check(::pwrite(fd, "three", 5, 100) == 5, "pwrite");
  check(::fsync(fd) == 0 && ::fsync(directory) == 0, "fsync");
  check(::ftruncate(fd, 50) == 0, "ftruncate");
  check(::posix_fallocate(fd, 0, 9'000) == 0, "posix_fallocate");
  check(::fdatasync(fd) == 0, "fdatasync");
  const int appended = make("appended", O_WRONLY | O_CREAT | O_APPEND);
  check(::write(appended, "a", 1) == 1 && ::write(appended, "b", 1) == 1, "append");
  const int emptied = make("emptied");
  check(::write(emptied, "gone", 4) == 4, "write");
  make("emptied", O_WRONLY | O_TRUNC);
  write_by_ring(make("ring"));
  const int relative = ::openat(directory, "below/relative", O_RDWR | O_CREAT, 0600);
  check(relative >= 0 && ::pwrite(relative, "x", 1, 0) == 1, "openat");
  check(::link(in_root("file").c_str(), in_root("linked").c_str()) == 0, "link");
  check(::renameat(directory, "appended", directory, "renamed") == 0, "renameat");
  check(::rename(in_root("emptied").c_str(), in_root("renamed").c_str()) == 0, "rename");
  make("removed");
  check(::unlinkat(directory, "removed", 0) == 0, "unlinkat");
  check(::mkdir(in_root("folder").c_str(), 0700) == 0 && ::rmdir(in_root("folder").c_str()) == 0,
        "rmdir");
  errno = 0;
  check(::mkdir(root.c_str(), 0700) != 0 && errno == EEXIST, "mkdir of what is there");
}

void refuse(const std::string& what) {
  check(::mkdir(root.c_str(), 0700) == 0, "mkdir");
  const int fd = make("file");
  check(::ftruncate(fd, 4'096) == 0, "ftruncate");
  char text[] = "text";
  const iovec part{text, 4};
  const std::map<std::string, std::function<void()>> ways{
      {"writev", [&] { check(::writev(fd, &part, 1) == 4, "writev"); }},
      {"pwritev", [&] { check(::pwritev(fd, &part, 1, 0) == 4, "pwritev"); }},
      {"mapping",
       [&] {
         check(::mmap(nullptr, 4'096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED,
               "mmap");
       }},
      {"sendfile", [&] { ::sendfile(fd, make("other"), nullptr, 1); }},
      {"copy", [&] { ::copy_file_range(fd, nullptr, make("other"), nullptr, 1, 0); }},
      {"symlink", [&] { check(::symlink("a", in_root("b").c_str()) == 0, "symlink"); }},
      {"stream", [&] { check(std::fopen(in_root("c").c_str(), "w") != nullptr, "fopen"); }},
      {"dsync", [&] { make("d", O_WRONLY | O_CREAT | O_DSYNC); }},
      {"punch", [&] { ::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4'096); }},
      {"outside",
       [&] { check(::rename(in_root("file").c_str(), (root + "2").c_str()) == 0, "rename"); }},
      {"ring_fsync",
       [&] {
         io_uring ring{};
         check(::io_uring_queue_init(4, &ring, 0) == 0, "io_uring_queue_init");
         ::io_uring_prep_fsync(::io_uring_get_sqe(&ring), fd, 0);
         check(::io_uring_submit_and_wait(&ring, 1) == 1, "io_uring_submit_and_wait");
       }},
  };
  ways.at(what)();
}

}  // namespace

int main(int count, char** arguments) {
  root = arguments[1];
  if (count > 2) {
    refuse(arguments[2]);
  } else {
    change_all();
  }
  return 0;
}
