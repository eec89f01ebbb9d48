#include "values.h"

#include <algorithm>
#include <charconv>
#include <span>
#include <string>
#include <utility>

#include "core/catalog/payload.h"
#include "payload/manager/core/v1/types.pb.h"

namespace pm::api {

namespace {

namespace core = payload::manager::core::v1;
using Named = std::pair<std::string_view, std::uint64_t>;

std::optional<std::uint64_t> find(std::span<const Named> names, std::string_view text) {
  for (const auto& [name, value] : names) {
    if (name == text) return value;
  }
  return std::nullopt;
}

// A number and the factor that its suffix names.
std::optional<std::uint64_t> parse_scaled(std::string_view text, std::span<const Named> suffixes) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  const auto factor = find(suffixes, text);
  std::uint64_t product = 0;
  if (!factor || __builtin_mul_overflow(number, *factor, &product)) return std::nullopt;
  return product;
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char letter) {
    return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
  });
  return lower;
}

}  // namespace

std::optional<std::uint64_t> parse_bytes(std::string_view text) {
  static constexpr Named suffixes[] = {
      {"", 1}, {"KiB", 1ULL << 10}, {"MiB", 1ULL << 20}, {"GiB", 1ULL << 30}, {"TiB", 1ULL << 40}};
  return parse_scaled(text, suffixes);
}

std::optional<std::uint64_t> parse_duration_ns(std::string_view text) {
  constexpr std::uint64_t second_ns = 1'000'000'000;
  static constexpr Named suffixes[] = {{"ms", second_ns / 1000},
                                       {"s", second_ns},
                                       {"m", 60 * second_ns},
                                       {"h", 3600 * second_ns},
                                       {"d", 24 * 3600 * second_ns}};
  return parse_scaled(text, suffixes);
}

std::optional<std::uint64_t> parse_count(std::string_view text) {
  static constexpr Named suffixes[] = {{"", 1}};
  return parse_scaled(text, suffixes);
}

std::optional<std::uint64_t> parse_state(std::string_view text) {
  static constexpr Named names[] = {{"allocated", core::PAYLOAD_STATE_ALLOCATED},
                                    {"active", core::PAYLOAD_STATE_ACTIVE},
                                    {"spilling", core::PAYLOAD_STATE_SPILLING},
                                    {"durable", core::PAYLOAD_STATE_DURABLE},
                                    {"lost", core::PAYLOAD_STATE_LOST}};
  return find(names, lower_case(text));
}

std::optional<std::uint64_t> parse_priority(std::string_view text) {
  using catalog::Priority;
  static constexpr Named names[] = {{"low", static_cast<std::uint64_t>(Priority::low)},
                                    {"normal", static_cast<std::uint64_t>(Priority::normal)},
                                    {"high", static_cast<std::uint64_t>(Priority::high)},
                                    {"never", static_cast<std::uint64_t>(Priority::never)}};
  return find(names, lower_case(text));
}

}  // namespace pm::api
