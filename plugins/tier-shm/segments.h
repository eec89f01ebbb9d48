#pragma once

#include <pm/ext/draft/tier_enumerate.h>

#include <cstdint>
#include <functional>
#include <pm/cpp/result.hpp>
#include <string>

#include "names.h"
#include "numa_node.h"
#include "shm_file.h"

// The segment layout: one POSIX shared memory object for each object of the tier. Nothing is kept
// in memory for a segment, neither a descriptor nor a record: its name says which object it is,
// its size how long, and its mode whether it is sealed (nobody may write: also a reader cannot
// open it again for writing through /proc). Thread-safe.

namespace pm::shm {

class Segments {
 public:
  // `mode` is what segments have until they are sealed, and `node` where they are; NULL: anywhere.
  Segments(Names names, mode_t mode, std::shared_ptr<const NumaNode> node = nullptr)
      : names_(std::move(names)), mode_(mode), node_(std::move(node)) {}

  // ALREADY_EXISTS, RESOURCE_EXHAUSTED (/dev/shm is full), CANCELLED: nothing is left behind.
  Status allocate(const pm_call_context_t* context, const pm_object_id_t& object,
                  std::uint64_t length, bool host_writes) const;

  // NOT_FOUND: no such segment. DATA_LOSS: another length, not sealed, or another user's.
  Status adopt(const pm_object_id_t& object, std::uint64_t length) const;
  Result<std::uint64_t> read(const pm_object_id_t& object, std::uint64_t offset, void* target,
                             std::uint64_t length) const;
  Status write(const pm_object_id_t& object, std::uint64_t offset, const void* source,
               std::uint64_t length) const;
  Status seal(const pm_object_id_t& object, std::uint64_t length) const;
  Status remove(const pm_object_id_t& object) const;
  bool holds(const pm_object_id_t& object) const;
  // A descriptor for another process. FAILED_PRECONDITION: for writing it must not be sealed, for
  // reading it must (only then nobody can make a writer's descriptor of it). DATA_LOSS: it has
  // another length, and whoever maps it would die of SIGBUS.
  Result<int> share(const pm_object_id_t& object, std::uint64_t length, bool writable) const;

  struct Found {
    pm_object_id_t object;
    std::uint64_t length;
    bool sealed;
  };
  // Visits every segment of this instance that belongs to this user; false from `visit` ends it.
  Status enumerate(const std::function<bool(const Found&)>& visit) const;

  const Names& names() const { return names_; }

 private:
  const Names names_;
  const mode_t mode_;
  const std::shared_ptr<const NumaNode> node_;
};

}  // namespace pm::shm
