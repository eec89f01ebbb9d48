#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

namespace pm::ledger {

// Fixed-width integers in the machine's byte order and length-prefixed strings: for values that
// never leave the machine's own repository.
class ByteWriter {
 public:
  template <typename Integer>
  void integer(Integer value) {
    static_assert(std::is_integral_v<Integer>);
    out_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void text(std::string_view value) {
    integer(static_cast<std::uint32_t>(value.size()));
    out_.append(value);
  }
  void raw(const void* data, std::size_t length) {
    out_.append(static_cast<const char*>(data), length);
  }
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

// Reads the same back; past the end it gives zeros and ok() turns false.
class ByteReader {
 public:
  explicit ByteReader(std::string_view in) : in_(in) {}

  template <typename Integer>
  Integer integer() {
    Integer value{};
    raw(&value, sizeof value);
    return value;
  }
  std::string text() {
    const auto length = integer<std::uint32_t>();
    if (length > in_.size()) {
      ok_ = false;
      return {};
    }
    std::string value(in_.substr(0, length));
    in_.remove_prefix(length);
    return value;
  }
  void raw(void* data, std::size_t length) {
    if (length > in_.size()) {
      ok_ = false;
      return;
    }
    std::memcpy(data, in_.data(), length);
    in_.remove_prefix(length);
  }
  bool ok() const { return ok_; }
  bool at_end() const { return in_.empty(); }

 private:
  std::string_view in_;
  bool ok_ = true;
};

}  // namespace pm::ledger
