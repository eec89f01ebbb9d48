#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "pm/client/client.h"

// Bytes that can be told apart, and their hashes.

namespace pm::integration {

using Digest = std::string;  // SHA-256, 32 bytes.

Digest sha256(std::span<const std::byte> bytes);

// Fills with bytes that `seed` determines.
void fill(std::span<std::byte> bytes, std::uint64_t seed);

struct Stored {
  client::Descriptor descriptor;
  Digest digest;
};

// Allocates, writes and commits `size_bytes` made of `seed`.
Result<Stored> put(client::Client& client, std::uint64_t size_bytes, std::uint64_t seed,
                   client::CreateOptions options = {});

// Leases, maps and hashes.
Result<Digest> digest_of(client::Client& client, const client::PayloadId& id);

}  // namespace pm::integration
