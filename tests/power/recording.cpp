#include "recording.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>

namespace pm::power {

namespace {

// Sparse: only what is written takes room.
constexpr std::uint64_t log_bytes_max = 4ull << 30;

}  // namespace

std::filesystem::path recorder_library() {
  return integration::build_directory() / "tests/libpm_power_recorder.so";
}

Recording::Recording(const std::filesystem::path& file, std::filesystem::path root)
    : file_(file), root_(std::move(root)) {
  const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  const bool sized = fd >= 0 && ::ftruncate(fd, log_bytes_max) == 0;
  void* mapped = sized ? ::mmap(nullptr, log_bytes_max, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
                       : MAP_FAILED;
  if (fd >= 0) ::close(fd);
  if (mapped == MAP_FAILED) throw std::runtime_error("cannot make " + file.string());
  header_ = static_cast<LogHeader*>(mapped);
  header_->magic = log_magic;
  header_->capacity_bytes = log_bytes_max;
  header_->tail_bytes = log_header_bytes;
}

Recording::~Recording() {
  ::munmap(header_, log_bytes_max);
  std::error_code ignored;
  std::filesystem::remove(file_, ignored);
}

integration::Environment Recording::environment() const {
  return {{"LD_PRELOAD", recorder_library().string()},
          {variable::log, file_.string()},
          {variable::root, root_.string()}};
}

std::string Recording::trouble() const {
  return header_->has_trouble != 0 ? std::string(header_->trouble) : std::string();
}

std::vector<Recorded> Recording::records() const {
  std::vector<Recorded> result;
  const char* const begin = reinterpret_cast<const char*>(header_);
  for (std::uint64_t at = log_header_bytes; at < header_->tail_bytes;) {
    const auto* record = reinterpret_cast<const Record*>(begin + at);
    // A process was killed while it made this one: those behind it cannot be found any more.
    if (record->total_bytes == 0) throw std::runtime_error("the log has a hole");
    at += record->total_bytes;
    if (record->begun == 0) continue;
    const char* text = reinterpret_cast<const char*>(record + 1);
    const char* other = text + record->name_length;
    const char* data = other + record->other_name_length;
    const bool has_data = record->kind == RecordKind::write || record->kind == RecordKind::content;
    result.push_back({record,
                      {text, record->name_length},
                      {other, record->other_name_length},
                      {data, has_data ? record->length : 0}});
  }
  return result;
}

std::vector<Moment> Recording::moments(const std::vector<Recorded>& records) {
  std::vector<Moment> result;
  for (std::size_t at = 0; at < records.size(); ++at) {
    const Record& record = *records[at].record;
    result.push_back({record.begun, at, false});
    // What is seen at once has one number only.
    if (record.ended > record.begun) result.push_back({record.ended, at, true});
  }
  std::sort(result.begin(), result.end(),
            [](const Moment& a, const Moment& b) { return a.sequence < b.sequence; });
  return result;
}

}  // namespace pm::power
