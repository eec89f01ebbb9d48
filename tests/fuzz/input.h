#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

// What every target is made of: one function that takes any bytes and must come back,
//
//   extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
//
// with expect() for what must hold whatever the bytes are. libFuzzer or replay_main.cpp calls it.

namespace pm::fuzz {

// Ends the process, as a crash does, when `holds` is false.
inline void expect(bool holds, const char* what, const std::string& detail = {}) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s: %s\n", what, detail.c_str());
  std::abort();
}

// Takes an input apart from its front. Past the end there are zeros and empty texts.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size)
      : rest_(reinterpret_cast<const char*>(data), size) {}

  bool empty() const { return rest_.empty(); }

  template <typename Integer>
  Integer integer() {
    Integer value{};
    const std::string_view bytes = take(sizeof value);
    if (!bytes.empty()) std::memcpy(&value, bytes.data(), bytes.size());
    return value;
  }
  std::uint8_t byte() { return integer<std::uint8_t>(); }

  // A small number in one byte, any number in nine: mutations of small ones stay small.
  std::uint64_t number() {
    const std::uint8_t first = byte();
    return first < 0xf0 ? first : integer<std::uint64_t>();
  }

  std::string_view take(std::size_t length) {
    const std::string_view bytes = rest_.substr(0, std::min(length, rest_.size()));
    rest_.remove_prefix(bytes.size());
    return bytes;
  }
  // Up to 255 bytes, behind their number.
  std::string_view text() { return take(byte()); }
  std::string_view rest() { return take(rest_.size()); }
  // What stands before `end`, which goes too.
  std::string_view until(char end) {
    const std::string_view bytes = take(std::min(rest_.find(end), rest_.size()));
    take(1);
    return bytes;
  }

 private:
  std::string_view rest_;
};

}  // namespace pm::fuzz
