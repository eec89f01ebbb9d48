#pragma once

#include <string_view>

namespace pm::api {

// At most 255 bytes without the control characters of Unicode (below U+0020, U+007F to U+009F).
// Protobuf has seen to it that it is UTF-8.
bool is_plain_text(std::string_view text);

}  // namespace pm::api
