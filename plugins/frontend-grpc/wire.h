#pragma once

#include <cstdint>
#include <string>
#include <string_view>

// The few protobuf fields that health and reflection need, written and read by hand: the generated
// code of those services may be in the process already, and one pool takes a file once.
// Format: https://protobuf.dev/programming-guides/encoding

namespace pm::frontend {

void append_bytes(std::string& message, int field, std::string_view value);
void append_number(std::string& message, int field, std::uint64_t value);

// Reads the fields of a message one by one.
class FieldReader {
 public:
  explicit FieldReader(std::string_view message) : rest_(message) {}

  // False at the end, or when the message is malformed.
  bool next();
  bool malformed() const { return malformed_; }
  int field() const { return field_; }
  std::string_view bytes() const { return bytes_; }  // Of a length-delimited field.
  std::uint64_t number() const { return number_; }   // Of a varint field.

 private:
  bool read_varint(std::uint64_t& value);
  bool take(std::uint64_t length);
  bool fail();

  std::string_view rest_;
  std::string_view bytes_;
  std::uint64_t number_ = 0;
  int field_ = 0;
  bool malformed_ = false;
};

}  // namespace pm::frontend
