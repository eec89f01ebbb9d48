#include "faked_clock.h"

#include <cstdlib>
#include <fstream>
#include <stdexcept>

namespace pm::clients {

FakedClock::FakedClock(const std::filesystem::path& folder) : file_(folder / "clock-offset") {
  set_offset(std::chrono::seconds(0));
}

// See faketime(1): "Advanced features".
integration::Environment FakedClock::environment() const {
  const char* library = std::getenv("PM_FAKETIME_LIBRARY");
  if (library == nullptr) throw std::runtime_error("PM_FAKETIME_LIBRARY is not set");
  return {{"LD_PRELOAD", library},
          {"FAKETIME_TIMESTAMP_FILE", file_.string()},
          {"FAKETIME_NO_CACHE", "1"},
          {"FAKETIME_DONT_FAKE_MONOTONIC", "1"},
          {"NO_FAKE_STAT", "1"}};
}

void FakedClock::set_offset(std::chrono::seconds offset) {
  const std::filesystem::path made = file_.string() + ".new";
  const std::string sign = offset.count() < 0 ? "" : "+";
  if (!(std::ofstream(made) << sign << offset.count() << '\n').flush()) {
    throw std::runtime_error("cannot write " + made.string());
  }
  std::filesystem::rename(made, file_);
  offset_ = offset;
}

std::chrono::system_clock::time_point FakedClock::now() const {
  return std::chrono::system_clock::now() + offset_;
}

}  // namespace pm::clients
