#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace pm::api {

// "4096", "64MiB": suffixes KiB, MiB, GiB, TiB. Nothing when it is no such number, or too large.
std::optional<std::uint64_t> parse_bytes(std::string_view text);

// "90s", "15m", "1h", "7d", "250ms".
std::optional<std::uint64_t> parse_duration_ns(std::string_view text);

std::optional<std::uint64_t> parse_count(std::string_view text);

// A payload's state by its name in the contract: "active" or "ACTIVE".
std::optional<std::uint64_t> parse_state(std::string_view text);

// An eviction priority by its name: "low" or "LOW".
std::optional<std::uint64_t> parse_priority(std::string_view text);

}  // namespace pm::api
