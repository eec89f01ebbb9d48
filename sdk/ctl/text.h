#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "pm/client/client.h"

// What people type and read: sizes, times, exit statuses.

namespace pm::ctl {

// Exit statuses, as --help lists them.
enum Exit : int {
  exit_ok = 0,
  exit_failure = 1,
  exit_usage = 2,
  exit_not_found = 3,
  exit_refused = 4,
  exit_retryable = 5,
  exit_data_loss = 6,
};
int exit_of(Code code) noexcept;

// "4096", "4KiB", "1MiB", "2GiB", "1TiB": bytes. INVALID_ARGUMENT for anything else and for more
// than 2^64-1.
Result<std::uint64_t> parse_size(std::string_view text);

// "2026-01-02T03:04:05.678Z"; years outside 0 to 9999 as well, with as many digits as they need.
std::string iso_time(client::WallTime time);

}  // namespace pm::ctl
