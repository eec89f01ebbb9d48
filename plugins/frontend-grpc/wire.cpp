#include "wire.h"

namespace pm::frontend {
namespace {

enum WireType : std::uint32_t { kVarint = 0, kFixed64 = 1, kLength = 2, kFixed32 = 5 };

void append_varint(std::string& message, std::uint64_t value) {
  while (value >= 0x80) {
    message.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  message.push_back(static_cast<char>(value));
}

}  // namespace

void append_bytes(std::string& message, int field, std::string_view value) {
  append_varint(message, static_cast<std::uint64_t>(field) << 3 | kLength);
  append_varint(message, value.size());
  message.append(value);
}

void append_number(std::string& message, int field, std::uint64_t value) {
  append_varint(message, static_cast<std::uint64_t>(field) << 3 | kVarint);
  append_varint(message, value);
}

bool FieldReader::fail() {
  malformed_ = true;
  rest_ = {};
  return false;
}

bool FieldReader::read_varint(std::uint64_t& value) {
  value = 0;
  for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(rest_.front());
    rest_.remove_prefix(1);
    value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return true;
  }
  return fail();
}

bool FieldReader::take(std::uint64_t length) {
  if (length > rest_.size()) return fail();
  bytes_ = rest_.substr(0, length);
  rest_.remove_prefix(length);
  return true;
}

bool FieldReader::next() {
  if (rest_.empty()) return false;
  std::uint64_t key = 0;
  bytes_ = {};
  number_ = 0;
  if (!read_varint(key)) return false;
  field_ = static_cast<int>(key >> 3);
  std::uint64_t length = 0;
  switch (key & 7) {
    case kVarint: return read_varint(number_);
    case kFixed64: return take(8);
    case kLength: return read_varint(length) && take(length);
    case kFixed32: return take(4);
    default: return fail();
  }
}

}  // namespace pm::frontend
