#pragma once

#include <pm/ext/draft/tier_enumerate.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <pm/cpp/plugin.hpp>
#include <string>

#include "numa_node.h"
#include "shm_file.h"
#include "slab_allocator.h"
#include "slab_table.h"

// One shared memory object that holds many objects of the tier. Clients map it once and keep it.
//
// Thread-safe. The lock covers the allocator only; table and data are read and written outside it,
// which is sound because calls about one object never overlap (pm_tier_t).

namespace pm::shm {

struct SlabOptions {
  std::string name;  // With the leading slash.
  std::string instance_id;
  std::string boot_id;
  std::uint64_t bytes = 0;  // Of data; a multiple of the granule, at least one.
  mode_t mode = 0600;
  std::shared_ptr<const NumaNode> node;  // Where a new one is; NULL: anywhere.
};

class Slab {
 public:
  // Takes over the slab of that name when it has this instance, boot and geometry; removes any
  // other and makes a new one, with all its room taken. RESOURCE_EXHAUSTED: /dev/shm lacks room.
  static Result<std::unique_ptr<Slab>> open(const sdk::Host& host, const SlabOptions& options);

  // A slab that holds nothing goes with the host; one that holds anything waits for the next.
  ~Slab();

  // The first granule of a new block. RESOURCE_EXHAUSTED: no run of free granules is long enough,
  // or the slab is damaged. ALREADY_EXISTS: the slab holds the object.
  Result<std::uint32_t> allocate(const pm_object_id_t& object, std::uint64_t length,
                                 std::uint32_t owner_uid);

  // NOT_FOUND: no such object. DATA_LOSS: it has another length, or is not sealed.
  Status adopt(const pm_object_id_t& object, std::uint32_t first, std::uint64_t length) const;
  // NOT_FOUND: no block of that length can begin there. Asks nothing of what is there now.
  Status check_place(std::uint32_t first, std::uint64_t length) const;
  Result<std::uint64_t> read(const pm_object_id_t& object, std::uint32_t first,
                             std::uint64_t offset, void* target, std::uint64_t length) const;
  Status write(const pm_object_id_t& object, std::uint32_t first, std::uint64_t offset,
               const void* source, std::uint64_t length) const;
  Status seal(const pm_object_id_t& object, std::uint32_t first, std::uint64_t length);
  Status remove(const pm_object_id_t& object, std::uint32_t first);

  bool holds(const pm_object_id_t& object) const;

  // A descriptor of the whole for another process. DATA_LOSS: a client resized it.
  Result<int> share(bool writable) const;

  // Visits every block, sealed or not; false from `visit` ends it.
  using Visit = std::function<bool(const pm_object_id_t&, const SlabAllocator::Entry&)>;
  Status enumerate(const Visit& visit) const;

  const std::string& name() const { return options_.name; }
  std::uint64_t bytes() const { return options_.bytes; }
  std::uint64_t bytes_used() const;
  std::uint64_t objects() const;
  std::uint64_t mapping_bytes() const { return data_offset_bytes_ + options_.bytes; }
  std::uint64_t block_offset_bytes(std::uint32_t first) const {
    return data_offset_bytes_ + std::uint64_t{first} * SlabAllocator::granule_bytes;
  }

 private:
  Slab(const sdk::Host& host, const SlabOptions& options, ShmFile file, bool is_new);

  static bool fits(const ShmFile& file, const SlabOptions& options, const SlabHeader& header);
  static Status lay_out(const ShmFile& file, const SlabOptions& options, const SlabHeader& header);
  Status restore();
  Status check_intact() const;
  Status write_record(std::uint32_t first, const BlockRecord& record) const;
  Result<SlabAllocator::Entry> find(const pm_object_id_t& object, std::uint32_t first) const;

  const sdk::Host host_;
  const SlabOptions options_;
  const std::uint64_t data_offset_bytes_;
  const ShmFile file_;
  mutable std::atomic<bool> damaged_ = false;  // A client shortened it. For good.
  mutable std::mutex mutex_;
  SlabAllocator allocator_;
};

}  // namespace pm::shm
