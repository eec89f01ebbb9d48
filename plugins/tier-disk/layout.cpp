#include "layout.h"

namespace pm::disk {

namespace {

constexpr std::string_view part_suffix = ".part";
constexpr std::size_t uuid_length = 36;
constexpr std::size_t sealed_length = uuid_length + 1 + 16;

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

void append_hex(std::string& text, std::uint8_t byte) {
  constexpr const char* digits = "0123456789abcdef";
  text += digits[byte >> 4];
  text += digits[byte & 15];
}

bool is_dash_position(std::size_t i) { return i == 8 || i == 13 || i == 18 || i == 23; }

}  // namespace

std::optional<unsigned> parse_hex_byte(std::string_view text) {
  if (text.size() != 2) return std::nullopt;
  const int high = hex_digit(text[0]);
  const int low = hex_digit(text[1]);
  if (high < 0 || low < 0) return std::nullopt;
  return static_cast<unsigned>(high * 16 + low);
}

std::string bucket_name(unsigned bucket) {
  std::string name;
  append_hex(name, static_cast<std::uint8_t>(bucket / 256));
  name += '/';
  append_hex(name, static_cast<std::uint8_t>(bucket));
  return name;
}

std::string file_name(const pm_object_id_t& object, bool sealed) {
  std::string name;
  name.reserve(sealed_length + part_suffix.size());
  for (const std::uint8_t byte : object.payload) {
    if (is_dash_position(name.size())) name += '-';
    append_hex(name, byte);
  }
  name += '.';
  for (int shift = 56; shift >= 0; shift -= 8)
    append_hex(name, static_cast<std::uint8_t>(object.generation >> shift));
  if (!sealed) name += part_suffix;
  return name;
}

std::string relative_path(const pm_object_id_t& object, bool sealed) {
  return bucket_name(bucket_of(object)) + "/" + file_name(object, sealed);
}

std::optional<ObjectName> parse_file_name(std::string_view name) {
  ObjectName result{};
  result.sealed = name.size() == sealed_length;
  if (!result.sealed) {
    if (name.size() != sealed_length + part_suffix.size() || !name.ends_with(part_suffix))
      return std::nullopt;
    name.remove_suffix(part_suffix.size());
  }
  std::size_t byte = 0;
  for (std::size_t i = 0; i < uuid_length;) {
    if (is_dash_position(i)) {
      if (name[i++] != '-') return std::nullopt;
      continue;
    }
    const auto value = parse_hex_byte(name.substr(i, 2));
    if (!value) return std::nullopt;
    result.object.payload[byte++] = static_cast<std::uint8_t>(*value);
    i += 2;
  }
  if (name[uuid_length] != '.') return std::nullopt;
  for (const char c : name.substr(uuid_length + 1)) {
    const int digit = hex_digit(c);
    if (digit < 0) return std::nullopt;
    result.object.generation = result.object.generation << 4 | static_cast<std::uint64_t>(digit);
  }
  return result;
}

}  // namespace pm::disk
