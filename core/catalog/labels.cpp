#include <algorithm>
#include <utility>

#include "catalog.h"

// Labels of payloads.

namespace pm::catalog {

namespace {

// Both sorted by key; what is set counts more than what was there.
Labels changed(const Labels& labels, const UpdateLabels& change) {
  Labels result;
  auto set = change.set.begin();
  for (const Label& label : labels) {
    while (set != change.set.end() && set->key < label.key) result.push_back(*set++);
    if (set != change.set.end() && set->key == label.key) continue;  // Pushed in its turn.
    if (!std::binary_search(change.remove.begin(), change.remove.end(), label.key)) {
      result.push_back(label);
    }
  }
  result.insert(result.end(), set, change.set.end());
  return result;
}

}  // namespace

// Before the commit there is no record to change: the commit's has the labels.
void Catalog::on(const UpdateLabels& command) {
  Waiter waiter{.ticket = command.ticket};
  if (is_repeat(command.request, command.ticket, waiter.request)) return;
  const Slot slot = find_live(command.id, now_);
  if (slot == no_slot || payloads_[slot].phase == Phase::allocating) {
    return refuse(waiter, Reason::payload_not_found);
  }
  const Payload& payload = payloads_[slot];
  if (payload.phase == Phase::lost) return refuse_for(slot, waiter, Reason::payload_lost);
  static const Labels none;
  const std::shared_ptr<const Labels> before = additions_of(slot).labels;
  Labels after = changed(before != nullptr ? *before : none, command);
  if (after.size() > labels_max) return refuse(waiter, Reason::labels_full);
  if (after != (before != nullptr ? *before : none)) {
    if (before != nullptr) labels_.remove(*before, payload.order, slot);
    labels_.add(after, payload.order, slot);
    add_to(slot).labels =
        after.empty() ? nullptr : std::make_shared<const Labels>(std::move(after));
    settle_additions(slot);
    if (payload.phase == Phase::committed) record_payload(slot);
    tell(EventKind::updated, Cause::request, slot, no_tier);
  }
  answer_with_view(waiter, slot);
}

}  // namespace pm::catalog
