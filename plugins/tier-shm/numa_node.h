#pragma once

#include <hwloc.h>

#include <cstdint>
#include <memory>
#include <pm/cpp/result.hpp>

#include "shm_file.h"

namespace pm::shm {

// A NUMA node of this machine, for memory that is to be on it. [thread-safe]
class NumaNode {
 public:
  // INVALID_ARGUMENT: there is no node of this number; the words name those there are.
  static Result<std::shared_ptr<const NumaNode>> find(std::uint64_t number);

  std::uint64_t number() const { return number_; }

  // The object's first `length` bytes come from this node, whoever touches them first, as long as
  // it has room: nobody is killed for want of it while other nodes have some. To be called before
  // anything of the object has been taken. Does nothing when the topology that hwloc was told to
  // use (HWLOC_XMLFILE, HWLOC_SYNTHETIC) is not this machine's.
  Status bind(const ShmFile& file, std::uint64_t length) const;

 private:
  struct Destroy {
    void operator()(hwloc_topology_t topology) const { hwloc_topology_destroy(topology); }
  };
  using Topology = std::unique_ptr<hwloc_topology, Destroy>;

  NumaNode(Topology topology, hwloc_obj_t node, std::uint64_t number)
      : topology_(std::move(topology)), node_(node), number_(number) {}

  const Topology topology_;
  const hwloc_obj_t node_;
  const std::uint64_t number_;
};

}  // namespace pm::shm
