#include <algorithm>
#include <utility>

#include "catalog.h"
#include "mutant.h"

// Copies whose bytes are not what was committed. A bad copy stays where it is, as nobody knows yet
// whether it is all that is left; but it is never shown or read again. A good copy on its tier
// takes its place. Without any good copy the payload is lost, and what is left of it stays for an
// operator's eyes until the payload is deleted.

namespace pm::catalog {

// ---- what is known of a copy ----

// The payload has no good copy any more.
void Catalog::lose(Slot slot) {
  Payload& payload = payloads_[slot];
  leave_tier_list(slot);
  payload.phase = Phase::lost;
  lost_.insert(payload.order, slot);
}

// And it has one again.
void Catalog::revive(Slot slot) {
  Payload& payload = payloads_[slot];
  lost_.remove(payload.order, slot);
  payload.phase = Phase::committed;
  enter_tier_list(slot, shown(payload)->tier);
}

// What was to be read from it, and has not begun, is given up before. False: it is known to be bad.
bool Catalog::condemn(Slot slot, std::uint64_t generation, Cause cause) {
  Payload& payload = payloads_[slot];
  Copy* copy = find_copy(payload, generation);
  if (copy == nullptr || copy->bad || payload.phase != Phase::committed) return false;
  if (is_planted(Mutant::good_copy_is_condemned)) {
    if (const Copy* other = fastest_besides(payload, generation)) {
      copy = find_copy(payload, other->generation);
    }
  }
  const TierIndex from = payload.listed;
  copy->bad = true;
  close(*copy);
  ++tiers_[copy->tier].bad_copies;
  ++tiers_[copy->tier].bad_copies_found;
  if (shown(payload) == nullptr) {
    lose(slot);
  } else {
    relist(slot);
    join_victims(slot);
  }
  ++payload.revision;
  record_payload(slot);
  const bool lost = payload.phase == Phase::lost;
  tell(lost ? EventKind::lost : EventKind::moved, cause, slot, from);
  changes_->events.back().why = Reason::checksum_mismatch;
  return true;
}

// It has the bytes that were committed, after all.
void Catalog::acquit(Slot slot, Copy& copy) {
  Payload& payload = payloads_[slot];
  const TierIndex from = payload.listed;
  copy.bad = false;
  --tiers_[copy.tier].bad_copies;
  if (payload.phase == Phase::lost) {
    revive(slot);
  } else {
    relist(slot);
  }
  join_victims(slot);
  ++payload.revision;
  record_payload(slot);
  tell(EventKind::moved, Cause::scrub, slot, from);
}

// A good copy is to stand on a tier where there is a bad one. What cannot be done now is left to
// the next scrub.
void Catalog::replace(Slot slot, TierIndex tier, const Waiter& waiter) {
  const Payload& payload = payloads_[slot];
  if (payload.phase == Phase::lost) return refuse_for(slot, waiter, Reason::payload_lost);
  Reason why = service_obstacle(tier);
  if (payload.operation != no_slot) why = Reason::payload_busy;
  if (stopping_) why = Reason::shutting_down;
  if (why != Reason::none) return refuse_for(slot, waiter, why);
  const Slot move = start_move(slot, tier, false);
  operations_[move].repair = true;
  if (waiter.ticket != 0) attach(move, waiter);
  why = admit(move);
  if (why == Reason::none) return;
  tell_refused(Cause::scrub, slot, tier, why);
  refuse_all(move, why);
  end_operation(move);
}

// A good one stands there now.
void Catalog::drop_bad_on(Slot slot, TierIndex tier) {
  std::vector<std::uint64_t> bad;
  each_copy(payloads_[slot], [&](const Copy& copy) {
    if (copy.bad && copy.tier == tier) bad.push_back(copy.generation);
  });
  for (const std::uint64_t generation : bad) drop_copy(slot, generation);
}

// ---- reports ----

// Of a payload that has been committed, else null.
Copy* Catalog::find_checked(const Id& id, std::uint64_t generation) {
  const Slot slot = payload_by_id_.find(id);
  if (slot == no_slot) return nullptr;
  const Phase phase = payloads_[slot].phase;
  if (phase != Phase::committed && phase != Phase::lost) return nullptr;
  return find_copy(payloads_[slot], generation);
}

void Catalog::on(const CheckCopy& command) {
  const Waiter waiter{.ticket = command.ticket};
  Copy* const copy = find_checked(command.id, command.generation);
  constexpr std::uint16_t checks_max = 100;
  if (copy == nullptr) return refuse(waiter, Reason::payload_not_found);
  if (copy->checks == checks_max) return refuse(waiter, Reason::payload_busy);
  ++copy->checks;
  answer(waiter, {});
}

void Catalog::on(const CopyChecked& report) {
  const Waiter waiter{.ticket = report.ticket};
  Copy* const copy = find_checked(report.id, report.generation);
  if (copy == nullptr) {
    const Slot doomed = doomed_by_generation_.find(report.generation);
    if (doomed != no_slot && doomed_[doomed].checks > 0) {
      --doomed_[doomed].checks;
      release_hold(report.generation);
    }
    return refuse(waiter, Reason::payload_not_found);
  }
  if (copy->checks > 0) --copy->checks;
  const Slot slot = payload_by_id_.find(report.id);
  Payload& payload = payloads_[slot];
  if (report.verdict == CopyChecked::Verdict::unreadable && !copy->bad &&
      fastest_besides(payload, report.generation) == nullptr) {
    return refuse_for(slot, waiter, Reason::storage_error);
  }
  if (report.verdict == CopyChecked::Verdict::bad ||
      report.verdict == CopyChecked::Verdict::unreadable) {
    return found_bad(slot, *copy, waiter);
  }
  if (report.verdict == CopyChecked::Verdict::good) {
    const bool has_checksum = payload.checksum.kind != ChecksumKind::none;
    if (!has_checksum && !copy->bad && report.checksum.kind != ChecksumKind::none) {
      set_checksum(slot, report.checksum);
      record_payload(slot);
    }
    // Whoever began when the payload had no checksum has held the bytes against nothing; and what
    // is being moved may be replaced right now.
    const bool is_equal = has_checksum && report.checksum == checksum_of(slot);
    if (copy->bad && is_equal && payload.operation == no_slot) acquit(slot, *copy);
  }
  if (payload.phase == Phase::lost) return refuse_for(slot, waiter, Reason::payload_lost);
  answer_with_view(waiter, slot);
}

void Catalog::found_bad(Slot slot, const Copy& copy, const Waiter& waiter) {
  const std::uint64_t generation = copy.generation;
  const TierIndex tier = copy.tier;
  TierIndex target = no_tier;
  TierIndex source = no_tier;
  const Slot move = payloads_[slot].operation;
  if (move != no_slot && operations_[move].source_generation == generation &&
      operations_[move].stage != Stage::running) {
    target = operations_[move].tier;
    source = operations_[move].source_tier;
    tell_refused(cause_of(operations_[move]), slot, target, Reason::checksum_mismatch);
    refuse_all(move, Reason::checksum_mismatch);
    end_operation(move);
  }
  condemn(slot, generation, Cause::scrub);
  replace(slot, tier, waiter);
  // Who waited behind the move that was given up.
  if (target != no_tier) pump(target);
  if (source != no_tier) pump(source);
}

// With another copy the payload lives on; else it is lost, and stays so that whoever asks is told.
void Catalog::on(const CopyGone& report) {
  const Slot slot = payload_by_id_.find(report.id);
  if (slot == no_slot) return;
  Payload& payload = payloads_[slot];
  const Copy* copy = find_copy(payload, report.generation);
  if (copy == nullptr) return;
  const bool was_lost = payload.phase == Phase::lost;
  const TierIndex from = payload.listed;
  if (!was_lost && fastest_besides(payload, report.generation) == nullptr) lose(slot);
  drop_copy(slot, report.generation);
  ++payload.revision;
  record_payload(slot);
  if (was_lost) return;
  const bool lost = payload.phase == Phase::lost;
  tell(lost ? EventKind::lost : EventKind::moved, Cause::fault, slot, from);
}

// ---- what to read ----

void Catalog::add_to_check(Slot slot, std::vector<CopyToCheck>& found) const {
  const Payload& payload = payloads_[slot];
  if (payload.phase != Phase::committed && payload.phase != Phase::lost) return;
  constexpr std::uint8_t wanted = traits_keeps_bytes | traits_survives_process;
  each_copy(payload, [&](const Copy& copy) {
    const Tier& tier = tiers_[copy.tier];
    if ((tier.facts.traits & wanted) != wanted) return;
    found.push_back({object_of(payload, copy), checksum_of(slot), payload.order, copy.bad});
  });
}

Reason Catalog::copies_to_check(const Id& id, const Clocks& now, std::vector<CopyToCheck>& found,
                                std::uint64_t& lsn) const {
  const Slot slot = find_live(id, now);
  if (slot == no_slot || payloads_[slot].phase == Phase::allocating) {
    lsn = std::max(lsn, last_erase_lsn_);
    return Reason::payload_not_found;
  }
  lsn = std::max(lsn, payloads_[slot].lsn);
  if (payloads_[slot].phase == Phase::allocated) return Reason::payload_not_committed;
  add_to_check(slot, found);
  const bool is_lost = payloads_[slot].phase == Phase::lost;
  return is_lost && found.empty() ? Reason::payload_lost : Reason::none;
}

bool Catalog::has_copy(const Id& id, std::uint64_t generation) const {
  const Slot slot = payload_by_id_.find(id);
  if (slot == no_slot) return false;
  bool has = false;
  each_copy(payloads_[slot], [&](const Copy& copy) { has = has || copy.generation == generation; });
  return has;
}

}  // namespace pm::catalog
