#include "numa_node.h"

#include <sys/mman.h>

#include <cerrno>
#include <string>

namespace pm::shm {

Result<std::shared_ptr<const NumaNode>> NumaNode::find(std::uint64_t number) {
  hwloc_topology_t loaded = nullptr;
  if (hwloc_topology_init(&loaded) != 0) {
    return Status(Code::internal, "numa_node: hwloc does not start");
  }
  Topology topology(loaded);
  if (hwloc_topology_load(topology.get()) != 0) {
    return Status(Code::internal, "numa_node: hwloc cannot tell the nodes of this machine");
  }
  std::string numbers;
  for (hwloc_obj_t node = nullptr;
       (node = hwloc_get_next_obj_by_type(topology.get(), HWLOC_OBJ_NUMANODE, node)) != nullptr;) {
    if (node->os_index == number) {
      return std::shared_ptr<const NumaNode>(new NumaNode(std::move(topology), node, number));
    }
    numbers += (numbers.empty() ? "" : ", ") + std::to_string(node->os_index);
  }
  return Status(Code::invalid_argument, "numa_node: this machine has no NUMA node " +
                                            std::to_string(number) + "; it has " + numbers);
}

// The kernel keeps the wish with the object, so a mapping is only needed to say it.
Status NumaNode::bind(const ShmFile& file, std::uint64_t length) const {
  if (hwloc_topology_is_thissystem(topology_.get()) == 0) return {};
  void* const memory =
      ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file.get(), 0);
  if (memory == MAP_FAILED) return errno_status(errno, "numa_node: cannot map shared memory");
  const int bound = hwloc_set_area_membind(topology_.get(), memory, length, node_->nodeset,
                                           HWLOC_MEMBIND_BIND, HWLOC_MEMBIND_BYNODESET);
  const int error = errno;
  ::munmap(memory, length);
  if (bound == 0) return {};
  return errno_status(error, "numa_node: cannot bind to node " + std::to_string(number_));
}

}  // namespace pm::shm
