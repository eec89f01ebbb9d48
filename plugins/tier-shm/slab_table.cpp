#include "slab_table.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "slab_allocator.h"

namespace pm::shm {
namespace {

// FNV-1a, 64 bits (http://www.isthe.com/chongo/tech/comp/fnv).
std::uint64_t check_of(const void* data, std::size_t length) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (std::size_t i = 0; i < length; ++i) {
    hash = (hash ^ static_cast<const std::uint8_t*>(data)[i]) * 0x100000001b3u;
  }
  return hash;
}

template <std::size_t N>
void copy_text(char (&target)[N], const std::string& source) {
  std::memcpy(target, source.data(), std::min(source.size(), N - 1));
}

}  // namespace

SlabHeader make_slab_header(std::uint32_t granules, const std::string& instance_id,
                            const std::string& boot_id) {
  SlabHeader header{};
  std::memcpy(header.magic, "PM SLAB", 8);
  header.version = 1;
  header.granule_bytes = SlabAllocator::granule_bytes;
  header.granules = granules;
  header.data_offset_bytes = slab_data_offset_bytes(granules);
  copy_text(header.instance_id, instance_id);
  copy_text(header.boot_id, boot_id);
  header.check = check_of(&header, offsetof(SlabHeader, check));
  return header;
}

BlockRecord make_block_record(const pm_object_id_t& object, std::uint64_t length,
                              std::uint32_t owner_uid, BlockRecord::State state) {
  BlockRecord record{};
  std::memcpy(record.payload, object.payload, sizeof record.payload);
  record.generation = object.generation;
  record.length = length;
  record.owner_uid = owner_uid;
  record.state = state;
  record.check = check_of(&record, offsetof(BlockRecord, check));
  return record;
}

bool is_block(const BlockRecord& record) {
  return (record.state == BlockRecord::written || record.state == BlockRecord::sealed) &&
         record.check == check_of(&record, offsetof(BlockRecord, check));
}

pm_object_id_t object_of(const BlockRecord& record) {
  pm_object_id_t object{};
  std::memcpy(object.payload, record.payload, sizeof object.payload);
  object.generation = record.generation;
  return object;
}

}  // namespace pm::shm
