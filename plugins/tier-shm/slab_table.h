#pragma once

#include <pm/tier.h>

#include <cstdint>
#include <string>
#include <type_traits>

// The format of a slab, version 1, little-endian:
//
//   offset 0            SlabHeader, padded to a page
//   offset 4096         one BlockRecord for each granule; it means something for the first granule
//                       of a block, and is all zero for every other
//   data_offset_bytes   the granules
//
// The records let the next life of the host find what the slab holds. Every client that maps the
// slab can write them, so what is read back is a claim: checked, bounded, never followed.

namespace pm::shm {

struct SlabHeader {
  char magic[8];
  std::uint32_t version;
  std::uint32_t granule_bytes;
  std::uint64_t granules;
  std::uint64_t data_offset_bytes;
  char instance_id[24];  // NUL-padded, as boot_id.
  char boot_id[40];
  std::uint64_t check;
};
static_assert(sizeof(SlabHeader) == 104 && std::is_trivially_copyable_v<SlabHeader>);

struct BlockRecord {
  enum State : std::uint32_t { none = 0, written = 1, sealed = 2 };

  std::uint8_t payload[16];
  std::uint64_t generation;
  std::uint64_t length;
  std::uint32_t owner_uid;
  std::uint32_t state;
  std::uint64_t reserved[2];
  std::uint64_t check;  // Against accidents, not against malice.
};
static_assert(sizeof(BlockRecord) == 64 && std::is_trivially_copyable_v<BlockRecord>);

constexpr std::uint64_t slab_table_offset_bytes = 4096;
constexpr std::uint64_t slab_data_offset_bytes(std::uint32_t granules) {
  const std::uint64_t end = slab_table_offset_bytes + granules * sizeof(BlockRecord);
  return (end + 4095) / 4096 * 4096;
}
constexpr std::uint64_t slab_record_offset_bytes(std::uint32_t granule) {
  return slab_table_offset_bytes + granule * sizeof(BlockRecord);
}

SlabHeader make_slab_header(std::uint32_t granules, const std::string& instance_id,
                            const std::string& boot_id);

BlockRecord make_block_record(const pm_object_id_t& object, std::uint64_t length,
                              std::uint32_t owner_uid, BlockRecord::State state);

// True when the record's check holds and it speaks of a block.
bool is_block(const BlockRecord& record);

pm_object_id_t object_of(const BlockRecord& record);

}  // namespace pm::shm
