#include "core/config/size_text.h"

#include <charconv>

namespace pm::config {

bool is_size_key(std::string_view key) {
  return key.ends_with("_bytes") || key.ends_with("_bytes_max") || key.ends_with("_bytes_min") ||
         key == "bytes_per_second";
}

std::optional<std::int64_t> parse_size(std::string_view text) {
  if (text.empty() || text.front() < '0' || text.front() > '9') return std::nullopt;
  std::int64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc{}) return std::nullopt;
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  const int shift = unit == "KiB"   ? 10
                    : unit == "MiB" ? 20
                    : unit == "GiB" ? 30
                    : unit == "TiB" ? 40
                                    : 0;
  if (shift == 0 || count > (INT64_MAX >> shift)) return std::nullopt;
  return count << shift;
}

}  // namespace pm::config
