#pragma once

#include <pm/ext/draft/tier_enumerate.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <pm/cpp/result.hpp>

#include "names.h"
#include "numa_node.h"
#include "shm_file.h"

// The sealed layout: one memfd for each object, which the kernel keeps anybody from changing once
// it is sealed, whatever they have: the host, its user, root, and who kept a writer's descriptor.
// It has no name, so it is there as long as the host has its descriptor, or somebody maps it.
//
// Its length is fixed from the beginning, so neither readers nor the host can die of SIGBUS.
// Thread-safe.

namespace pm::shm {

class SealedObjects {
 public:
  // `count_max`: how many there may be at a time, as each holds a descriptor. `node` is where they
  // are; NULL: anywhere.
  SealedObjects(Names names, std::uint64_t count_max, std::shared_ptr<const NumaNode> node)
      : names_(std::move(names)), count_max_(count_max), node_(std::move(node)) {}

  // ALREADY_EXISTS; RESOURCE_EXHAUSTED: there are `count_max`, or no more descriptors, or not so
  // much memory; CANCELLED. Nothing is left behind.
  Status allocate(const pm_call_context_t* context, const pm_object_id_t& object,
                  std::uint64_t length, bool host_writes);

  Result<std::uint64_t> read(const pm_object_id_t& object, std::uint64_t offset, void* target,
                             std::uint64_t length) const;
  Status write(const pm_object_id_t& object, std::uint64_t offset, const void* source,
               std::uint64_t length) const;
  // FAILED_PRECONDITION: somebody maps it for writing, and it can be sealed when they no longer do;
  // or its writer has closed it against seals. May wait a fifth of a second for pages that the
  // kernel reads or writes on behalf of somebody.
  Status seal(const pm_object_id_t& object, std::uint64_t length) const;
  Status remove(const pm_object_id_t& object);
  bool holds(const pm_object_id_t& object) const;
  // As Segments::share().
  Result<int> share(const pm_object_id_t& object, bool writable) const;

  struct Found {
    pm_object_id_t object;
    std::uint64_t length;
    bool sealed;
  };
  // Visits every object; false from `visit` ends it.
  Status enumerate(const std::function<bool(const Found&)>& visit) const;

 private:
  using Key = std::array<std::uint8_t, sizeof(pm_object_id_t)>;
  using File = std::shared_ptr<const ShmFile>;
  static Key key_of(const pm_object_id_t& object);
  Result<File> find(const pm_object_id_t& object) const;
  Status take(const Key& key, std::uint64_t length);
  void give_back(const Key& key, std::uint64_t length);
  Result<ShmFile> make(const pm_call_context_t* context, const pm_object_id_t& object,
                       std::uint64_t length, bool host_writes) const;

  const Names names_;
  const std::uint64_t count_max_;
  const std::shared_ptr<const NumaNode> node_;
  mutable std::mutex mutex_;   // Round what follows.
  std::map<Key, File> files_;  // NULL: being made.
  std::uint64_t bytes_ = 0;
};

}  // namespace pm::shm
