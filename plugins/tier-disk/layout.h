#pragma once

#include <pm/tier.h>

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

// Where an object stands below the root: `ab/cd/UUID.GENERATION`, and with `.part` behind it while
// it is not sealed. `ab` and `cd` are the first two bytes of the payload's id, GENERATION is 16
// hexadecimal digits; all digits are lower case. Two levels keep a directory at some 15 entries
// per million objects.

namespace pm::disk {

inline constexpr std::uint64_t block_bytes = 4096;  // Unit of charge, and of O_DIRECT.

// Saturates instead of overflowing, so that an absurd length is refused as too large.
constexpr std::uint64_t round_up_to_block(std::uint64_t bytes) {
  return bytes > UINT64_MAX - block_bytes ? UINT64_MAX - block_bytes + 1
                                          : (bytes + block_bytes - 1) / block_bytes * block_bytes;
}

struct ObjectName {
  pm_object_id_t object;
  bool sealed;
};

// Which of the 65,536 directories.
constexpr unsigned bucket_of(const pm_object_id_t& object) {
  return object.payload[0] * 256u + object.payload[1];
}

std::string bucket_name(unsigned bucket);                          // "ab/cd"
std::string file_name(const pm_object_id_t& object, bool sealed);  // "UUID.GENERATION[.part]"
std::string relative_path(const pm_object_id_t& object, bool sealed);

// Nothing for a name that file_name() would not give.
std::optional<ObjectName> parse_file_name(std::string_view name);

// The byte that two lower-case hexadecimal digits, and nothing else, say.
std::optional<unsigned> parse_hex_byte(std::string_view text);

struct ObjectHash {
  std::size_t operator()(const pm_object_id_t& object) const {
    std::uint64_t low = 0;  // Ids are random, so their own bytes are the best hash.
    std::memcpy(&low, object.payload + 8, sizeof(low));
    return static_cast<std::size_t>(low ^ (object.generation * 0x9e3779b97f4a7c15u));
  }
};
struct ObjectEqual {
  bool operator()(const pm_object_id_t& a, const pm_object_id_t& b) const {
    return a.generation == b.generation && std::memcmp(a.payload, b.payload, 16) == 0;
  }
};

}  // namespace pm::disk
