#include "list_reader.h"

#include <algorithm>
#include <utility>

namespace pm::api {

using catalog::Catalog;
using catalog::Clocks;
using catalog::LabelTerm;

ListReader::ListReader(ledger::Ledger& ledger, ListQuery query)
    : ledger_(ledger), query_(std::move(query)), next_(query_.behind) {
  collect(query_.filter.root);
  walk_.order = query_.order;
  walk_.tier = query_.tier;
  found_.reserve(query_.count);
}

bool ListReader::lacks_size_index() const {
  return walk_.by_size() && !ledger_.read([](const Catalog& catalog, const Clocks&) {
    return catalog.is_sorted_by_size();
  });
}

void ListReader::make_size_index() {
  while (lacks_size_index()) ledger_.submit(catalog::IndexSizes{});
}

// Finds the tests that nothing which is listed may fail.
void ListReader::collect(const FilterNode& node) {
  if (node.kind == FilterNode::Kind::test) required_.push_back(&node.test);
  if (node.kind != FilterNode::Kind::all) return;
  for (const FilterNode& child : node.children) collect(child);
}

// Chooses what to walk through: of the tiers and labels required, the one with the fewest payloads.
void ListReader::plan(const Catalog& catalog) {
  total_ = catalog.count_listed(query_.tier);
  std::uint64_t fewest = total_;
  for (const FilterTest* test : required_) {
    if (test->field == FilterField::tier && test->comparison == Comparison::equal) {
      const auto tier = static_cast<catalog::TierIndex>(test->number);
      if (query_.tier != catalog::no_tier && query_.tier != tier) ended_ = true;
      if (catalog.count_listed(tier) >= fewest) continue;
      fewest = catalog.count_listed(tier);
      walk_.tier = tier;
      walk_.label.reset();
    } else if (test->field == FilterField::label &&
               (test->comparison == Comparison::equal || test->comparison == Comparison::has)) {
      LabelTerm term{test->key, std::nullopt};
      if (test->comparison == Comparison::equal) term.value = test->text;
      if (catalog.count_labelled(term) >= fewest) continue;
      fewest = catalog.count_labelled(term);
      walk_.label = std::move(term);
    }
  }
}

bool ListReader::fits(const catalog::View& view) const {
  if (query_.tier != catalog::no_tier && view.tier != query_.tier) return false;
  return matches(query_.filter.root, view, query_.now_ns);
}

// As many as are missing, while most of those looked at fit; else as many as one hold may see.
std::uint32_t ListReader::slice_size() const {
  constexpr std::uint32_t slice_max = 256;
  const auto missing = query_.count - static_cast<std::uint32_t>(found_.size());
  const bool most_fit = fitting_ * 2 >= slice_.size();
  return most_fit ? std::min(missing, slice_max) : slice_max;
}

bool ListReader::read(std::uint32_t candidates) {
  while (!ended_ && found_.size() < query_.count) {
    if (seen_ >= candidates) return false;
    const std::uint32_t asked = slice_size();
    slice_.clear();
    ledger_.read([&](const Catalog& catalog, const Clocks&) {
      if (!planned_) plan(catalog);
      planned_ = true;
      if (!ended_) catalog.walk(walk_, next_, asked, slice_);
    });
    ended_ = ended_ || slice_.size() < asked;
    fitting_ = 0;
    for (catalog::Listed& listed : slice_) {
      if (found_.size() == query_.count) {
        ended_ = false;  // This one is left.
        break;
      }
      ++seen_;
      next_ = catalog::ListPlace{listed.view.size_bytes, listed.view.order};
      if (!fits(listed.view)) continue;
      ++fitting_;
      found_.push_back(std::move(listed));
    }
  }
  if (ended_) next_.reset();
  return true;
}

}  // namespace pm::api
