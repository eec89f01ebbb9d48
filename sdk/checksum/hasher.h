#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <pm/cpp/result.hpp>

// The checksums of payloads, for the host and for clients that verify what they read.

namespace pm {

// Numbers of the contract (ChecksumAlgorithm).
enum class HashKind : std::uint32_t { xxh3_128 = 1, sha256 = 2, crc32c = 3 };

// So many bytes, then zeros. 0: no kind that is known.
using Digest = std::array<std::uint8_t, 32>;
constexpr std::size_t digest_bytes(HashKind kind) {
  switch (kind) {
    case HashKind::xxh3_128: return 16;
    case HashKind::sha256: return 32;
    case HashKind::crc32c: return 4;
  }
  return 0;
}

// Computes a checksum of bytes that come in pieces.
//   XXH3-128  xxHash, canonical (big-endian) form
//   SHA-256   FIPS 180-4
//   CRC32C    RFC 3720, appendix B.4; big-endian
// One thread at a time.
class Hasher {
 public:
  explicit Hasher(HashKind kind);
  ~Hasher();
  Hasher(const Hasher&) = delete;
  Hasher& operator=(const Hasher&) = delete;

  void add(const void* data, std::size_t length);

  // Of everything added. Once. Fails when the library that computes it had no memory.
  Result<Digest> finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// CRC32C of more bytes behind those whose CRC32C is `crc` (0 of none). With the processor's
// instruction where it has one; `portable` never uses it.
std::uint32_t extend_crc32c(std::uint32_t crc, const void* data, std::size_t length);
std::uint32_t extend_crc32c_portable(std::uint32_t crc, const void* data, std::size_t length);

}  // namespace pm
