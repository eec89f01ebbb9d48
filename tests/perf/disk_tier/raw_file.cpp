#include "raw_file.h"

#include <fcntl.h>
#include <liburing.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace pm::perf {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void fail(const std::string& what) {
  std::fprintf(stderr, "perf_disk_tier: %s\n", what.c_str());
  std::exit(1);
}

double move_raw(const std::string& path, bool is_write, char* memory, std::uint64_t bytes,
                std::uint64_t chunk_bytes, unsigned depth) {
  if (is_write) ::unlink(path.c_str());
  io_uring ring{};
  if (::io_uring_queue_init(depth, &ring, 0) != 0) fail("io_uring_queue_init");
  const double start = now();
  const int flags = is_write ? O_CREAT | O_EXCL | O_RDWR : O_RDONLY;
  const int fd = ::open(path.c_str(), flags | O_DIRECT | O_CLOEXEC, 0600);
  if (fd < 0) fail("cannot open " + path);

  std::vector<unsigned> free;
  for (unsigned i = 0; i < depth; ++i) free.push_back(i);
  std::uint64_t next = 0;
  std::uint64_t done = 0;
  while (done < bytes) {
    for (; next < bytes && !free.empty(); next += chunk_bytes) {
      char* const buffer = memory + free.back() * chunk_bytes;
      io_uring_sqe* entry = ::io_uring_get_sqe(&ring);
      if (is_write)
        ::io_uring_prep_write(entry, fd, buffer, static_cast<unsigned>(chunk_bytes), next);
      else
        ::io_uring_prep_read(entry, fd, buffer, static_cast<unsigned>(chunk_bytes), next);
      ::io_uring_sqe_set_data64(entry, free.back());
      free.pop_back();
    }
    ::io_uring_submit_and_wait(&ring, 1);
    io_uring_cqe* completion = nullptr;
    while (::io_uring_peek_cqe(&ring, &completion) == 0) {
      if (completion->res != static_cast<int>(chunk_bytes)) fail("short transfer of " + path);
      free.push_back(static_cast<unsigned>(::io_uring_cqe_get_data64(completion)));
      ::io_uring_cqe_seen(&ring, completion);
      done += chunk_bytes;
    }
  }
  if (is_write && ::fsync(fd) != 0) fail("fsync of " + path);
  ::close(fd);
  const double seconds = now() - start;
  ::io_uring_queue_exit(&ring);
  return seconds;
}

}  // namespace pm::perf
