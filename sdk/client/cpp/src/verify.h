#pragma once

#include <cstddef>
#include <span>

#include "connection.h"
#include "pm/client/client.h"

// Bytes that may have changed since they were committed.

namespace pm::client::detail {

// DATA_LOSS: the bytes do not have the checksum. OK also for a checksum of a kind that this client
// does not know.
Status verify(const Checksum& checksum, std::span<const std::byte> bytes);

// Lets the host read the payload's copies. OK: those that it shows from now on are good. DATA_LOSS:
// there is none.
Status check_copies(Connection& connection, const PayloadId& id);

}  // namespace pm::client::detail
