#include "line_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

namespace pm::policy {

void LineFile::close() {
  if (file_ >= 0) ::close(file_);
  file_ = -1;
  size_ = 0;
}

Status LineFile::failure(const char* doing) const {
  return {Code::failed_precondition, path_ + ": cannot be " + doing + ": " + std::strerror(errno)};
}

Status LineFile::open() {
  if (file_ >= 0) return {};
  // A pipe without a reader would keep us here for ever.
  file_ = ::open(path_.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
                 S_IRUSR | S_IWUSR);
  if (file_ < 0) return failure("opened");
  struct stat facts {};
  if (::fstat(file_, &facts) != 0 || !S_ISREG(facts.st_mode)) {
    close();
    return {Code::failed_precondition, path_ + ": is not a regular file"};
  }
  size_ = static_cast<std::uint64_t>(facts.st_size);
  const Status status = cut_torn_line();
  if (!status.ok()) close();
  return status;
}

Status LineFile::cut_torn_line() {
  constexpr std::uint64_t block_bytes = 64 << 10;
  std::vector<char> block(block_bytes);
  std::uint64_t end = size_;
  while (end > 0) {
    const std::uint64_t begin = end > block_bytes ? end - block_bytes : 0;
    const ssize_t got = ::pread(file_, block.data(), end - begin, static_cast<off_t>(begin));
    if (got != static_cast<ssize_t>(end - begin)) return failure("read");
    const std::string_view text(block.data(), static_cast<std::size_t>(got));
    const std::size_t last = text.rfind('\n');
    if (last != std::string_view::npos) {
      end = begin + last + 1;
      break;
    }
    end = begin;
  }
  if (end == size_) return {};
  if (::ftruncate(file_, static_cast<off_t>(end)) != 0) return failure("shortened");
  size_ = end;
  return {};
}

Status LineFile::append(std::string_view lines) {
  PM_TRY(open());
  for (std::size_t done = 0; done < lines.size();) {
    const ssize_t wrote = ::write(file_, lines.data() + done, lines.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) {
      const Status status = failure("written");
      // A part of a line would spoil the one behind it.
      if (done != 0 && ::ftruncate(file_, static_cast<off_t>(size_)) != 0) close();
      return status;
    }
    done += static_cast<std::size_t>(wrote);
  }
  size_ += lines.size();
  return {};
}

Status LineFile::rotate() {
  PM_TRY(open());
  if (std::rename(path_.c_str(), (path_ + ".1").c_str()) != 0) return failure("renamed");
  close();
  return open();
}

}  // namespace pm::policy
