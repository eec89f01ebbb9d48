#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace pm::config {

// True for the keys that take sizes as text: those ending in _bytes, _bytes_max or _bytes_min, and
// bytes_per_second.
bool is_size_key(std::string_view key);

// "4GiB" -> 4294967296. Digits and one of KiB, MiB, GiB, TiB (IEC 80000-13), nothing else; nothing
// when it is written otherwise, or does not fit into 63 bits.
std::optional<std::int64_t> parse_size(std::string_view text);

}  // namespace pm::config
