#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace pm::policy {

// A script's words as people and protobuf's strings can take them: UTF-8 (RFC 3629) without control
// characters, and no longer. Bytes that are no character become '?', control characters spaces.
std::string printable(std::string_view text, std::size_t bytes_max);

}  // namespace pm::policy
