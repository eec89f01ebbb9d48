// The texts of ids, tiers and states.

#include <array>
#include <charconv>

#include "pm/client/client.h"

namespace pm::client {
namespace {

constexpr std::array<const char*, 6> tier_names = {"unspecified", "gpu",    "ram",
                                                   "disk",        "object", "void"};
constexpr std::array<const char*, 9> state_names = {"unspecified", "allocated", "active",
                                                    "spilling",    "durable",   "evicting",
                                                    "deleting",    "expired",   "deleted"};
constexpr std::string_view foreign_tier_prefix = "tier-";

int hex_value(char digit) noexcept {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

bool is_dash_position(std::size_t i) noexcept { return i == 8 || i == 13 || i == 18 || i == 23; }

}  // namespace

namespace detail {

Result<std::array<std::uint8_t, 16>> parse_uuid(std::string_view text) {
  const auto refused = [text] {
    return Status(Code::invalid_argument,
                  "'" + std::string(text.substr(0, 64)) +
                      "' is not an id: give a UUID such as 6f1a2b3c-0d4e-4f50-8a6b-7c8d9e0f1a2b");
  };
  if (text.size() != 36) return refused();
  std::array<std::uint8_t, 16> bytes{};
  std::size_t digits = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (is_dash_position(i)) {
      if (text[i] != '-') return refused();
      continue;
    }
    const int value = hex_value(text[i]);
    if (value < 0) return refused();
    std::uint8_t& byte = bytes[digits / 2];
    byte = static_cast<std::uint8_t>(byte << 4 | value);
    ++digits;
  }
  return bytes;
}

std::string format_uuid(const std::array<std::uint8_t, 16>& bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  text.reserve(36);
  for (const std::uint8_t byte : bytes) {
    if (is_dash_position(text.size())) text += '-';
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

}  // namespace detail

std::string tier_name(Tier tier) {
  const auto number = static_cast<std::uint32_t>(tier);
  if (number < tier_names.size()) return tier_names[number];
  return std::string(foreign_tier_prefix) + std::to_string(number);
}

Result<Tier> parse_tier(std::string_view text) {
  for (std::uint32_t number = 1; number < tier_names.size(); ++number) {
    if (text == tier_names[number]) return static_cast<Tier>(number);
  }
  if (text.starts_with(foreign_tier_prefix)) {
    const std::string_view digits = text.substr(foreign_tier_prefix.size());
    std::uint32_t number = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    const bool whole = error == std::errc() && end == digits.data() + digits.size();
    if (whole && number >= 100 && number <= INT32_MAX) return static_cast<Tier>(number);
  }
  return Status(Code::invalid_argument,
                "'" + std::string(text.substr(0, 64)) +
                    "' is not a tier: give gpu, ram, disk, object, void, or tier-N with the number"
                    " (100 and up) of another tier");
}

std::string state_name(State state) {
  const auto number = static_cast<std::uint32_t>(state);
  if (number < state_names.size()) return state_names[number];
  if (state == State::lost) return "lost";
  return "state-" + std::to_string(number);
}

}  // namespace pm::client
