#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "host_process.h"
#include "record_format.h"

namespace pm::power {

// One record, read. The texts and bytes lie in the recording.
struct Recorded {
  const Record* record = nullptr;
  std::string_view name;
  std::string_view other_name;
  std::string_view data;
};

// Something that began or ended, in the order of the sequence.
struct Moment {
  std::uint64_t sequence = 0;
  std::size_t record = 0;
  bool is_end = false;
};

// The log of one or more processes that ran with the recorder, one after the other.
class Recording {
 public:
  // Makes an empty log at `file` for what happens below `root`, which need not exist.
  Recording(const std::filesystem::path& file, std::filesystem::path root);
  ~Recording();
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

  const std::filesystem::path& root() const { return root_; }
  // For the process to be recorded.
  integration::Environment environment() const;

  // The sequence by now. Any thread, also while it is being recorded.
  std::uint64_t now() const { return header_->sequence.load(); }

  // Not empty: something was done that the log does not tell.
  std::string trouble() const;
  // After the last process has ended.
  std::vector<Recorded> records() const;
  static std::vector<Moment> moments(const std::vector<Recorded>& records);

 private:
  std::filesystem::path file_;
  std::filesystem::path root_;
  LogHeader* header_ = nullptr;
};

// The library to be preloaded.
std::filesystem::path recorder_library();

}  // namespace pm::power
