#pragma once

#include <cstdint>
#include <pm/cpp/result.hpp>
#include <string>
#include <string_view>

namespace pm::policy {

// A file that grows by whole lines. rotate() makes it PATH.1, in the place of the one before, and
// begins a new one. One thread at a time.
class LineFile {
 public:
  LineFile(std::string path, std::uint64_t bytes_max)
      : path_(std::move(path)), bytes_max_(bytes_max) {}
  ~LineFile() { close(); }
  LineFile(const LineFile&) = delete;
  LineFile& operator=(const LineFile&) = delete;

  // Makes the file, for its user alone, or goes on behind its last whole line: what a kill has torn
  // is taken away. Nothing happens when it is open.
  Status open();
  bool has_room(std::uint64_t bytes) const { return size_ + bytes <= bytes_max_; }
  bool is_empty() const { return size_ == 0; }
  // Lines, each with its end: all of them, or none.
  Status append(std::string_view lines);
  Status rotate();

 private:
  void close();
  Status failure(const char* doing) const;
  Status cut_torn_line();

  const std::string path_;
  const std::uint64_t bytes_max_;
  int file_ = -1;
  std::uint64_t size_ = 0;
};

}  // namespace pm::policy
