#include <algorithm>
#include <utility>

#include "catalog.h"

// Lists: where a payload stands in them, and walks through them.

namespace pm::catalog {

namespace {

// One of the sorted lists that a walk merges.
struct Source {
  OrderedIndex::Cursor cursor;
  std::optional<OrderedIndex::Entry> head;
};

std::optional<OrderedIndex::Entry> step(OrderedIndex::Cursor& cursor, bool forward) {
  return forward ? cursor.forward() : cursor.backward();
}

// Visits the pairs of all sources in order until `visit` returns false.
template <typename Visit>
void merge(std::vector<Source>& sources, bool forward, Visit visit) {
  for (Source& source : sources) source.head = step(source.cursor, forward);
  while (true) {
    Source* next = nullptr;
    for (Source& source : sources) {
      if (!source.head) continue;
      if (next == nullptr || (source.head->key < next->head->key) == forward) next = &source;
    }
    if (next == nullptr || !visit(next->head->slot)) return;
    next->head = step(next->cursor, forward);
  }
}

}  // namespace

// From now on the payload is shown in lists.
void Catalog::join_lists(Slot slot) {
  const Payload& payload = payloads_[slot];
  if (const auto& labels = additions_of(slot).labels) labels_.add(*labels, payload.order, slot);
  sizes_.add(payload.size_bytes, payload.order, slot);
}

void Catalog::leave_lists(Slot slot) {
  const Payload& payload = payloads_[slot];
  if (const auto& labels = additions_of(slot).labels) labels_.remove(*labels, payload.order, slot);
  sizes_.remove(payload.size_bytes, payload.order, slot);
}

template <typename Visit>
void Catalog::visit_by_age(TierIndex tier, std::uint64_t from, bool forward, Visit visit) const {
  std::vector<Source> sources;
  if (tier != no_tier) {
    if (tier < tiers_.size()) sources.push_back({tiers_[tier].listed.at(from), {}});
  } else {
    for (const Tier& each : tiers_) sources.push_back({each.listed.at(from), {}});
    sources.push_back({lost_.at(from), {}});
  }
  merge(sources, forward, visit);
}

void Catalog::walk(const ListWalk& walk, const std::optional<ListPlace>& behind,
                   std::uint32_t count, std::vector<Listed>& found) const {
  const bool forward =
      walk.order == ListOrder::oldest_first || walk.order == ListOrder::smallest_first;
  // A cursor stands in front of a pair: to go on forward it starts in front of the next one.
  const std::uint64_t order = behind ? behind->order + (forward ? 1 : 0) : forward ? 0 : UINT64_MAX;
  std::uint32_t left = count;
  const auto take = [&](Slot slot) {
    if (left == 0) return false;
    found.push_back({view_of(slot), payloads_[slot].lsn});
    return --left > 0;
  };
  if (walk.by_size()) {
    const std::uint64_t size = behind ? behind->size_bytes : forward ? 0 : UINT64_MAX;
    SizeIndex::Pairs::Cursor cursor = sizes_.at(size, order);
    while (const auto entry = forward ? cursor.forward() : cursor.backward()) {
      if (!take(entry->slot)) return;
    }
  } else if (walk.label) {
    LabelIndex::Cursor cursor = labels_.at(*walk.label, order);
    while (const Slot slot = forward ? cursor.forward() : cursor.backward()) {
      if (!take(slot)) return;
    }
  } else {
    visit_by_age(walk.tier, order, forward, take);
  }
}

bool Catalog::copies_to_check(std::uint64_t& order, std::uint64_t last_order, std::uint32_t count,
                              std::vector<CopyToCheck>& found) const {
  std::uint32_t left = count;
  visit_by_age(no_tier, order + 1, true, [&](Slot slot) {
    if (payloads_[slot].order > last_order) return false;
    order = payloads_[slot].order;
    add_to_check(slot, found);
    return --left > 0;
  });
  return left == 0;
}

std::uint64_t Catalog::count_listed(TierIndex tier) const {
  if (tier != no_tier) return tier < tiers_.size() ? tiers_[tier].listed.size() : 0;
  std::uint64_t total = lost_.size();
  for (const Tier& each : tiers_) total += each.listed.size();
  return total;
}

void Catalog::on(const IndexSizes&) {
  if (!sizes_.is_begun()) sizes_.begin(order_ + 1);
  if (sizes_.is_complete()) return;
  constexpr int payloads_max = 256;
  int left = payloads_max;
  visit_by_age(no_tier, sizes_.from(), false, [&](Slot slot) {
    sizes_.extend(payloads_[slot].size_bytes, payloads_[slot].order, slot);
    return --left > 0;
  });
  if (left > 0) sizes_.complete();
}

}  // namespace pm::catalog
