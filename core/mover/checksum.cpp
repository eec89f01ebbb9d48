#include "checksum.h"

#include <algorithm>

namespace pm::mover {

static_assert(static_cast<int>(catalog::ChecksumKind::xxh3_128) ==
              static_cast<int>(HashKind::xxh3_128));
static_assert(static_cast<int>(catalog::ChecksumKind::sha256) ==
              static_cast<int>(HashKind::sha256));
static_assert(static_cast<int>(catalog::ChecksumKind::crc32c) ==
              static_cast<int>(HashKind::crc32c));

Result<catalog::Checksum> checksum_of_parts(catalog::ChecksumKind kind, std::uint64_t length,
                                            std::uint64_t part_bytes, const ReadPart& read) {
  ChecksumHasher hasher(kind);
  for (std::uint64_t offset = 0; offset < length; offset += part_bytes) {
    const std::uint64_t step = std::min(part_bytes, length - offset);
    const auto part = read(offset, step);
    if (!part.ok()) return part.status();
    if (part->size() != step) return Status(Code::out_of_range, "it is shorter than it should be");
    hasher.add(part->data(), part->size());
  }
  return hasher.finish();
}

}  // namespace pm::mover
