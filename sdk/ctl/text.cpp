#include "text.h"

#include <array>
#include <charconv>
#include <cstdio>
#include <limits>

namespace pm::ctl {

int exit_of(Code code) noexcept {
  switch (code) {
    case Code::ok: return exit_ok;
    case Code::not_found: return exit_not_found;
    case Code::failed_precondition:
    case Code::aborted:
    case Code::already_exists:
    case Code::permission_denied: return exit_refused;
    case Code::unavailable:
    case Code::deadline_exceeded:
    case Code::resource_exhausted: return exit_retryable;
    case Code::data_loss: return exit_data_loss;
    default: return exit_failure;
  }
}

Result<std::uint64_t> parse_size(std::string_view text) {
  struct Unit {
    std::string_view suffix;
    unsigned shift;
  };
  static constexpr std::array<Unit, 5> units = {Unit{"", 0}, Unit{"KiB", 10}, Unit{"MiB", 20},
                                                Unit{"GiB", 30}, Unit{"TiB", 40}};
  std::uint64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error == std::errc()) {
    const std::string_view suffix(end, static_cast<std::size_t>(text.data() + text.size() - end));
    for (const Unit& unit : units) {
      if (suffix != unit.suffix) continue;
      if (count > std::numeric_limits<std::uint64_t>::max() >> unit.shift) break;
      return count << unit.shift;
    }
  }
  return Status(Code::invalid_argument,
                "'" + std::string(text.substr(0, 64)) +
                    "' is not a size: give bytes, or a number with KiB, MiB, GiB or TiB");
}

std::string iso_time(client::WallTime time) {
  using namespace std::chrono;
  const auto day = floor<days>(time);
  const year_month_day date(day);
  const hh_mm_ss clock(floor<milliseconds>(time - day));
  std::array<char, 64> text{};
  const int length = std::snprintf(
      text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ",
      static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
      static_cast<unsigned>(date.day()), static_cast<int>(clock.hours().count()),
      static_cast<int>(clock.minutes().count()), static_cast<int>(clock.seconds().count()),
      static_cast<int>(clock.subseconds().count()));
  return {text.data(), static_cast<std::size_t>(length)};
}

}  // namespace pm::ctl
