#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <pm/cpp/result.hpp>
#include <span>

#include "core/catalog/payload.h"
#include "sdk/checksum/hasher.h"

namespace pm::mover {

// Computes the catalog's checksums. One thread at a time.
class ChecksumHasher {
 public:
  // `kind` is not none.
  explicit ChecksumHasher(catalog::ChecksumKind kind)
      : kind_(kind), hasher_(static_cast<HashKind>(kind)) {}

  void add(const void* data, std::size_t length) { hasher_.add(data, length); }

  // Of everything added. Once. Fails when the library that computes it had no memory.
  Result<catalog::Checksum> finish() {
    const auto digest = hasher_.finish();
    if (!digest.ok()) return digest.status();
    return catalog::Checksum{kind_, *digest};
  }

 private:
  const catalog::ChecksumKind kind_;
  Hasher hasher_;
};

// Up to `length` bytes from `offset` on, fewer only at the end; valid until the next call.
using ReadPart =
    std::function<Result<std::span<const std::byte>>(std::uint64_t offset, std::uint64_t length)>;

// The checksum of `length` bytes, read in parts. out_of_range: there are fewer.
Result<catalog::Checksum> checksum_of_parts(catalog::ChecksumKind kind, std::uint64_t length,
                                            std::uint64_t part_bytes, const ReadPart& read);

}  // namespace pm::mover
