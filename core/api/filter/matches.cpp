#include <algorithm>
#include <compare>

#include "core/api/tier_table.h"
#include "filter.h"

namespace pm::api {

namespace {

bool holds(std::strong_ordering order, Comparison comparison) {
  switch (comparison) {
    case Comparison::equal: return order == 0;
    case Comparison::not_equal: return order != 0;
    case Comparison::less: return order < 0;
    case Comparison::less_or_equal: return order <= 0;
    case Comparison::greater: return order > 0;
    case Comparison::greater_or_equal: return order >= 0;
    case Comparison::has: break;
  }
  return true;
}

bool label_matches(const FilterTest& test, const catalog::View& view) {
  const auto& labels = view.additions.labels;
  if (labels == nullptr) return false;
  const auto found = std::lower_bound(
      labels->begin(), labels->end(), test.key,
      [](const catalog::Label& label, const std::string& key) { return label.key < key; });
  if (found == labels->end() || found->key != test.key) return false;
  return holds(found->value <=> test.text, test.comparison);
}

std::uint64_t number_of(FilterField field, const catalog::View& view, std::int64_t now_ns) {
  switch (field) {
    case FilterField::tier: return view.tier;
    case FilterField::state: return static_cast<std::uint64_t>(state_of(view));
    case FilterField::size_bytes: return view.size_bytes;
    case FilterField::age:
      // Unsigned, as the difference of a damaged time has no room in a signed number.
      if (now_ns <= view.created_at_ns) return 0;
      return static_cast<std::uint64_t>(now_ns) - static_cast<std::uint64_t>(view.created_at_ns);
    case FilterField::pinned: return view.additions.pinned ? 1 : 0;
    case FilterField::leases: return view.leases;
    case FilterField::priority: return static_cast<std::uint64_t>(view.retention.priority);
    case FilterField::label: break;
  }
  return 0;
}

}  // namespace

bool matches(const FilterNode& node, const catalog::View& view, std::int64_t now_ns) {
  const auto child_matches = [&](const FilterNode& child) { return matches(child, view, now_ns); };
  switch (node.kind) {
    case FilterNode::Kind::all:
      return std::all_of(node.children.begin(), node.children.end(), child_matches);
    case FilterNode::Kind::any:
      return std::any_of(node.children.begin(), node.children.end(), child_matches);
    case FilterNode::Kind::negation: return !child_matches(node.children.front());
    case FilterNode::Kind::test: break;
  }
  if (node.test.field == FilterField::label) return label_matches(node.test, view);
  return holds(number_of(node.test.field, view, now_ns) <=> node.test.number, node.test.comparison);
}

}  // namespace pm::api
