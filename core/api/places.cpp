#include "places.h"

#include <hwloc.h>
#include <pm/ext/draft/tier_facts.h>

#include <string_view>

namespace pm::api {

namespace {

bool take_fact(void* data, const char* name, std::int64_t value) {
  auto& facts = *static_cast<policy::TierFacts*>(data);
  if (value < 0 || value > INT32_MAX) return true;
  const std::string_view known(name);
  if (known == PM_TIER_FACT_NUMA_NODE) facts.numa_node = static_cast<std::int32_t>(value);
  if (known == PM_TIER_FACT_GPU) facts.gpu = static_cast<std::int32_t>(value);
  return true;
}

}  // namespace

void add_place(const pm_tier_t* tier, policy::TierFacts& facts) {
  const auto* told = static_cast<const pm_tier_facts_t*>(tier->get_extension(tier, PM_TIER_FACTS));
  if (told != nullptr) told->visit(tier, take_fact, &facts);
}

void NumaNodes::Destroy::operator()(hwloc_topology* topology) const {
  hwloc_topology_destroy(topology);
}

std::int32_t NumaNodes::node_of(std::int32_t pid) {
  std::call_once(loaded_, [this] {
    hwloc_topology_t topology = nullptr;
    if (hwloc_topology_init(&topology) != 0) return;
    topology_.reset(topology);
    if (hwloc_topology_load(topology) != 0) topology_.reset();
  });
  if (topology_ == nullptr) return -1;
  hwloc_bitmap_t processors = hwloc_bitmap_alloc();
  hwloc_bitmap_t nodes = hwloc_bitmap_alloc();
  std::int32_t node = -1;
  if (hwloc_get_proc_cpubind(topology_.get(), pid, processors, HWLOC_CPUBIND_PROCESS) == 0) {
    hwloc_cpuset_to_nodeset(topology_.get(), processors, nodes);
    if (hwloc_bitmap_weight(nodes) == 1) node = hwloc_bitmap_first(nodes);
  }
  hwloc_bitmap_free(nodes);
  hwloc_bitmap_free(processors);
  return node;
}

}  // namespace pm::api
