#include "names.h"

namespace pm::shm {
namespace {

constexpr std::string_view hex_digits = "0123456789abcdef";
constexpr std::size_t uuid_length = 36;
constexpr std::size_t generation_length = 16;

bool dash_before(std::size_t byte) { return byte == 4 || byte == 6 || byte == 8 || byte == 10; }

void append_byte(std::string& text, std::uint8_t byte) {
  text += hex_digits[byte >> 4];
  text += hex_digits[byte & 15];
}

// Reads two hex digits at `position`; -1 when they are none.
int byte_at(std::string_view text, std::size_t position) {
  const auto high = hex_digits.find(text[position]);
  const auto low = hex_digits.find(text[position + 1]);
  if (high == std::string_view::npos || low == std::string_view::npos) return -1;
  return static_cast<int>(high << 4 | low);
}

}  // namespace

std::string Names::segment(const pm_object_id_t& object) const {
  std::string name;
  name.reserve(1 + stem_.size() + uuid_length + 1 + generation_length);
  name += '/';
  name += stem_;
  for (std::size_t i = 0; i < sizeof object.payload; ++i) {
    if (dash_before(i)) name += '-';
    append_byte(name, object.payload[i]);
  }
  name += '.';
  for (int shift = 56; shift >= 0; shift -= 8) {
    append_byte(name, static_cast<std::uint8_t>(object.generation >> shift));
  }
  return name;
}

std::string Names::slab(unsigned number) const {
  return "/" + stem_ + "slab-" + std::to_string(number);
}

std::optional<pm_object_id_t> Names::parse_segment(std::string_view entry) const {
  if (entry.substr(0, stem_.size()) != stem_) return std::nullopt;
  entry.remove_prefix(stem_.size());
  if (entry.size() != uuid_length + 1 + generation_length) return std::nullopt;
  pm_object_id_t object{};
  std::size_t position = 0;
  for (std::size_t i = 0; i < sizeof object.payload; ++i) {
    if (dash_before(i) && entry[position++] != '-') return std::nullopt;
    const int byte = byte_at(entry, position);
    if (byte < 0) return std::nullopt;
    object.payload[i] = static_cast<std::uint8_t>(byte);
    position += 2;
  }
  if (entry[position++] != '.') return std::nullopt;
  for (int i = 0; i < 8; ++i, position += 2) {
    const int byte = byte_at(entry, position);
    if (byte < 0) return std::nullopt;
    object.generation = object.generation << 8 | static_cast<std::uint64_t>(byte);
  }
  return object;
}

}  // namespace pm::shm
