#pragma once

#include <string_view>

#include "core/catalog/ids.h"

namespace pm::api {

// A new payload id: RFC 4122 version 4, from the kernel's randomness (getrandom(2)).
catalog::Id random_payload_id();

// A new lease id: 16 bytes from the kernel's randomness.
catalog::Id random_id();

// False when `bytes` are not 16.
bool read_id(std::string_view bytes, catalog::Id& id);

}  // namespace pm::api
