#pragma once

#include <pm/cpp/record_schema.hpp>
#include <vector>

#include "ordered_tree.h"

namespace pm::repository_memory {

// How a scan goes through the trees of its kind.
struct ScanPlan {
  std::size_t tree = 0;            // The one to walk.
  bool is_in_order = false;        // The tree's order is the one asked for; else sort.
  std::vector<std::size_t> order;  // The positions to sort by.

  // The part of the tree to walk: these fields, the first of the tree's order, have these values,
  std::vector<const pm_value_t*> equal;
  // and the next one meets these conditions.
  std::vector<const pm_condition_t*> range;
};

ScanPlan plan_scan(const sdk::RecordKind& kind, const std::vector<OrderedTree>& trees,
                   const pm_scan_t& scan);

// Visits the records that meet the scan, in its order. `snapshot` is of the tree that the plan
// names, `positions` that tree's order.
void run_scan(const sdk::RecordKind& kind, const pm_scan_t& scan, const ScanPlan& plan,
              const Snapshot& snapshot, const std::vector<std::size_t>& positions,
              pm_on_record_t on_record, void* data);

}  // namespace pm::repository_memory
