#include "scan_plan.h"

#include <algorithm>
#include <tuple>

namespace pm::repository_memory {

namespace {

using sdk::RecordKind;

bool holds(const pm_value_t& value, const pm_condition_t& condition) {
  const int result = compare(value, condition.value);
  switch (condition.comparison) {
    case PM_EQUAL: return result == 0;
    case PM_LESS: return result < 0;
    case PM_LESS_EQUAL: return result <= 0;
    case PM_GREATER: return result > 0;
    default: return result >= 0;
  }
}

const pm_condition_t* equality(const RecordKind& kind, const pm_scan_t& scan, std::size_t at) {
  for (std::uint32_t i = 0; i < scan.condition_count; ++i)
    if (scan.conditions[i].comparison == PM_EQUAL &&
        scan.conditions[i].value.field == kind.fields[at].id)
      return &scan.conditions[i];
  return nullptr;
}

ScanPlan plan_with(const RecordKind& kind, const std::vector<std::size_t>& positions,
                   const pm_scan_t& scan) {
  ScanPlan plan;
  const auto is_constant = [&](std::size_t at) { return equality(kind, scan, at) != nullptr; };
  std::vector<std::size_t> first;
  if (scan.order_field != 0) first.push_back(kind.position(scan.order_field));
  plan.order = sdk::deciding_positions(kind, first, is_constant);
  plan.is_in_order = plan.order == sdk::deciding_positions(kind, positions, is_constant);
  std::size_t place = 0;
  for (; place < positions.size() && is_constant(positions[place]); ++place)
    plan.equal.push_back(&equality(kind, scan, positions[place])->value);
  if (place == positions.size()) return plan;
  for (std::uint32_t i = 0; i < scan.condition_count; ++i)
    if (scan.conditions[i].value.field == kind.fields[positions[place]].id)
      plan.range.push_back(&scan.conditions[i]);
  return plan;
}

// The edges of the part of a tree that a plan walks.
class Edges {
 public:
  Edges(const ScanPlan& plan, const std::vector<std::size_t>& positions)
      : plan_(plan), positions_(positions) {}

  bool is_before(const Record& record) const {
    if (const int result = compare_equal_part(record); result != 0) return result < 0;
    return fails(record, [](std::uint32_t comparison) {
      return comparison == PM_GREATER || comparison == PM_GREATER_EQUAL;
    });
  }
  bool is_after(const Record& record) const {
    if (const int result = compare_equal_part(record); result != 0) return result > 0;
    return fails(record, [](std::uint32_t comparison) {
      return comparison == PM_LESS || comparison == PM_LESS_EQUAL;
    });
  }

 private:
  int compare_equal_part(const Record& record) const {
    for (std::size_t i = 0; i < plan_.equal.size(); ++i)
      if (const int result = compare(record.values()[positions_[i]], *plan_.equal[i]); result != 0)
        return result;
    return 0;
  }
  template <typename IsOfThisEdge>
  bool fails(const Record& record, const IsOfThisEdge& is_of_this_edge) const {
    for (const pm_condition_t* condition : plan_.range)
      if (is_of_this_edge(condition->comparison) &&
          !holds(record.values()[positions_[plan_.equal.size()]], *condition))
        return true;
    return false;
  }

  const ScanPlan& plan_;
  const std::vector<std::size_t>& positions_;
};

bool meets(const RecordKind& kind, const pm_scan_t& scan, const Record& record) {
  for (std::uint32_t i = 0; i < scan.condition_count; ++i) {
    const std::size_t at = kind.position(scan.conditions[i].value.field);
    if (!holds(record.values()[at], scan.conditions[i])) return false;
  }
  return true;
}

}  // namespace

ScanPlan plan_scan(const RecordKind& kind, const std::vector<OrderedTree>& trees,
                   const pm_scan_t& scan) {
  const auto worth = [](const ScanPlan& plan) {
    return std::tuple(plan.equal.size(), !plan.range.empty(), plan.is_in_order);
  };
  ScanPlan best = plan_with(kind, trees[0].positions(), scan);
  for (std::size_t tree = 1; tree < trees.size(); ++tree) {
    ScanPlan plan = plan_with(kind, trees[tree].positions(), scan);
    plan.tree = tree;
    if (worth(plan) > worth(best)) best = std::move(plan);
  }
  return best;
}

void run_scan(const RecordKind& kind, const pm_scan_t& scan, const ScanPlan& plan,
              const Snapshot& snapshot, const std::vector<std::size_t>& positions,
              pm_on_record_t on_record, void* data) {
  const Edges edges(plan, positions);
  const bool descending = scan.descending != 0;
  const auto before = [&](const Record& record) { return edges.is_before(record); };
  const auto after = [&](const Record& record) { return edges.is_after(record); };
  std::uint64_t left = scan.limit == 0 ? UINT64_MAX : scan.limit;
  const auto hand_out = [&](const Record& record) {
    return on_record(data, record.values(), record.value_count) && --left != 0;
  };
  if (plan.is_in_order) {
    snapshot.walk(descending, before, after, [&](const Record& record) {
      return !meets(kind, scan, record) || hand_out(record);
    });
    return;
  }
  std::vector<const Record*> found;
  snapshot.walk(false, before, after, [&](const Record& record) {
    if (meets(kind, scan, record)) found.push_back(&record);
    return true;
  });
  const auto comes_first = [&](const Record* a, const Record* b) {
    return descending ? compare(*b, *a, plan.order) < 0 : compare(*a, *b, plan.order) < 0;
  };
  const std::size_t wanted = std::min<std::uint64_t>(left, found.size());
  std::partial_sort(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(wanted), found.end(),
                    comes_first);
  for (std::size_t i = 0; i < wanted; ++i)
    if (!hand_out(*found[i])) return;
}

}  // namespace pm::repository_memory
