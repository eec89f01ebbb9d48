#include <algorithm>
#include <utility>

#include "catalog.h"

// Reads, and what an earlier life left.

namespace pm::catalog {

View Catalog::view_of(Slot slot) const {
  const Payload& payload = payloads_[slot];
  View view;
  view.id = payload.id;
  view.size_bytes = payload.size_bytes;
  view.revision = payload.revision;
  view.created_at_ns = payload.created_at_ns;
  view.expires_at_ns = payload.expires_at_ns;
  view.order = payload.order;
  view.leases = payload.leases;
  view.phase = payload.phase;
  view.retention = payload.retention;
  view.checksum = checksum_of(slot);
  if (payload.operation != no_slot && payload.phase == Phase::committed) {
    const Operation& operation = operations_[payload.operation];
    view.spilling = operation.downward && operation.stage == Stage::running;
  }
  if (payload.has_extras) view.additions = additions_of(slot);
  if (const Copy* copy = shown(payload)) {
    view.tier = copy->tier;
    view.generation = copy->generation;
    view.cookie = copy->cookie.unpack();
    view.durable = payload.phase == Phase::committed && survives_power(copy->tier);
  } else if (payload.phase == Phase::lost) {
    each_copy(payload, [&](const Copy& copy) {
      if (view.bad_tier == no_tier || is_slower(view.bad_tier, copy.tier)) {
        view.bad_tier = copy.tier;
      }
    });
  }
  return view;
}

Reason Catalog::resolve(const Id& id, const Clocks& now, View& view, std::uint64_t& lsn) const {
  const Slot slot = find_live(id, now);
  if (slot == no_slot || payloads_[slot].phase == Phase::allocating) {
    lsn = std::max(lsn, last_erase_lsn_);
    return Reason::payload_not_found;
  }
  const Payload& payload = payloads_[slot];
  lsn = std::max(lsn, payload.lsn);
  view = view_of(slot);
  return payload.phase == Phase::lost ? Reason::payload_lost : Reason::none;
}

void Catalog::list(std::uint64_t before_order, TierIndex tier, std::uint32_t count,
                   std::vector<View>& views, std::uint64_t& lsn) const {
  if (views.size() >= count) return;
  std::vector<Listed> found;
  ListWalk all;
  all.tier = tier;
  walk(all, ListPlace{0, before_order}, count - static_cast<std::uint32_t>(views.size()), found);
  for (Listed& each : found) {
    views.push_back(std::move(each.view));
    lsn = std::max(lsn, each.lsn);
  }
}

Counts Catalog::counts() const {
  Counts counts;
  for (const Tier& tier : tiers_) {
    counts.tiers.push_back({tier.listed.size(), tier.listed_bytes, tier.copies, tier.used_bytes,
                            tier.failed, tier.bad_copies, tier.bad_copies_found, tier.degraded,
                            tier.why_degraded});
  }
  counts.lost = lost_.size();
  counts.leases = leases_.size();
  counts.operations = operations_.size();
  counts.uncommitted = uncommitted_count_;
  counts.pinned = pinned_count_;
  counts.streams = streams_.size();
  return counts;
}

std::uint64_t Catalog::next_due_mono_ns() const {
  constexpr std::uint64_t at_once_ns = 1;
  if (asks_anew_ || !ended_sessions_.empty()) return at_once_ns;
  std::uint64_t due = 0;
  for (const OrderedIndex* index : {&lease_due_, &operation_due_, &removal_due_, &give_up_due_}) {
    if (const auto first = index->first(); first && (due == 0 || first->key < due)) {
      due = first->key;
    }
  }
  for (const Tier& tier : tiers_) {
    if (!tier.is_relieved || tier.relief_after_ns == 0) continue;
    if (due == 0 || tier.relief_after_ns < due) due = tier.relief_after_ns;
  }
  const std::uint64_t sweep = streams_.next_due_mono_ns();
  return sweep != 0 && (due == 0 || sweep < due) ? sweep : due;
}

std::int64_t Catalog::next_due_wall_ns() const {
  std::uint64_t due = 0;
  if (const auto first = payload_due_.first()) due = first->key;
  if (const auto first = pin_due_.first(); first && (due == 0 || first->key < due)) {
    due = first->key;
  }
  if (const auto first = request_due_.first()) {
    const std::uint64_t forget_at = first->key + limits_.requests_kept_ns;
    if (due == 0 || forget_at < due) due = forget_at;
  }
  const auto old_entries = static_cast<std::uint64_t>(streams_.next_due_wall_ns());
  if (old_entries != 0 && (due == 0 || old_entries < due)) due = old_entries;
  return static_cast<std::int64_t>(due);
}

// ---- restore ----

void Catalog::restore(const PayloadRecord& record) {
  const Slot slot = payloads_.add();
  Payload& payload = payloads_[slot];
  payload.id = record.id;
  payload.size_bytes = record.size_bytes;
  payload.revision = record.revision;
  payload.created_at_ns = record.created_at_ns;
  payload.expires_at_ns = record.expires_at_ns;
  payload.order = record.order;
  payload.retention = record.retention;
  payload.phase = record.lost ? Phase::lost : Phase::committed;
  order_ = std::max(order_, record.order);
  if (!record.owner.empty()) take_owner(slot, record.owner);
  for (const CopyRecord& copy_record : record.copies) {
    Copy copy;
    copy.generation = copy_record.generation;
    copy.tier = copy_record.tier;
    copy.bad = copy_record.bad;
    if (copy.bad) ++tiers_[copy.tier].bad_copies;
    copy.cookie = PackedCookie(copy_record.cookie);
    tiers_[copy.tier].used_bytes += charge(copy.tier, record.size_bytes);
    add_copy(payload, std::move(copy));
  }
  payload_by_id_.insert(slot);
  if (record.additions.any()) add_to(slot) = record.additions;
  set_checksum(slot, record.checksum);
  restored_.emplace_back(record.order, slot);
}

// Rows come in the order of their ids, which is none. In that of their making the indexes grow at
// their ends, which takes a fifth of the time, and who was made first leaves first.
void Catalog::end_restore() {
  std::sort(restored_.begin(), restored_.end());
  for (const auto& [order, slot] : restored_) {
    if (additions_of(slot).pinned) {
      ++pinned_count_;
      index_pin(slot);
    }
    relist(slot);
    index_due(slot);
    join_victims(slot);
  }
  restored_ = {};
}

void Catalog::restore(const RequestRecord& record) {
  if (requests_.size() >= limits_.requests_max) return;
  const Slot slot = requests_.add();
  Request& request = requests_[slot];
  request.id = record.key;
  request.digest = record.digest;
  request.answered = true;
  request.answered_at_ns = record.answered_at_ns;
  request.reply = record.reply;
  request.reply.lsn = restored_lsn;  // Not 0: its row goes when it is forgotten.
  request_by_id_.insert(slot);
  request_due_.insert(static_cast<std::uint64_t>(record.answered_at_ns), slot);
}

void Catalog::restore(const TierRecord& record) {
  if (record.tier >= tiers_.size()) return;
  tiers_[record.tier].failed = record.failed;
  tiers_[record.tier].medium = record.medium;
}

}  // namespace pm::catalog
