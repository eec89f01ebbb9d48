#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <pm/cpp/result.hpp>
#include <span>

#include "core/catalog/payload.h"

namespace pm::mover {

// Computes a checksum of bytes that come in pieces.
//   XXH3-128  xxHash, canonical (big-endian) form
//   SHA-256   FIPS 180-4
//   CRC32C    RFC 3720, appendix B.4; big-endian
// One thread at a time.
class ChecksumHasher {
 public:
  // `kind` is not none.
  explicit ChecksumHasher(catalog::ChecksumKind kind);
  ~ChecksumHasher();
  ChecksumHasher(const ChecksumHasher&) = delete;
  ChecksumHasher& operator=(const ChecksumHasher&) = delete;

  void add(const void* data, std::size_t length);

  // Of everything added. Once. Fails when the library that computes it had no memory.
  Result<catalog::Checksum> finish();

 private:
  struct State;
  const catalog::ChecksumKind kind_;
  std::unique_ptr<State> state_;
};

// Up to `length` bytes from `offset` on, fewer only at the end; valid until the next call.
using ReadPart =
    std::function<Result<std::span<const std::byte>>(std::uint64_t offset, std::uint64_t length)>;

// The checksum of `length` bytes, read in parts. out_of_range: there are fewer.
Result<catalog::Checksum> checksum_of_parts(catalog::ChecksumKind kind, std::uint64_t length,
                                            std::uint64_t part_bytes, const ReadPart& read);

// CRC32C of more bytes behind those whose CRC32C is `crc` (0 of none). With the processor's
// instruction where it has one; `portable` never uses it.
std::uint32_t extend_crc32c(std::uint32_t crc, const void* data, std::size_t length);
std::uint32_t extend_crc32c_portable(std::uint32_t crc, const void* data, std::size_t length);

}  // namespace pm::mover
