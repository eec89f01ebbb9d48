#include <algorithm>

#include "model.h"

// Copies that are bad or gone.

namespace pm::catalog::naive {

std::size_t Model::bad_copies_on(TierIndex tier) const {
  std::size_t count = 0;
  for (const auto& [key, payload] : payloads_) {
    for (const HeldCopy& copy : payload.copies) count += copy.tier == tier && copy.bad;
  }
  return count;
}

Cause Model::cause_of(const Work& work) {
  if (work.repair) return Cause::scrub;
  return work.eviction ? Cause::room : Cause::request;
}

static HeldCopy* copy_of(Held& payload, std::uint64_t generation) {
  for (HeldCopy& copy : payload.copies) {
    if (copy.generation == generation) return &copy;
  }
  return nullptr;
}

HeldCopy* Model::find_checked(const Id& id, std::uint64_t generation) {
  const auto found = payloads_.find(id.bytes);
  if (found == payloads_.end()) return nullptr;
  const bool was_committed =
      found->second.phase == Phase::committed || found->second.phase == Phase::lost;
  return was_committed ? copy_of(found->second, generation) : nullptr;
}

// Nobody is given it any more.
void Model::condemn(Held& payload, HeldCopy& copy, Cause cause) {
  if (copy.bad || payload.phase != Phase::committed) return;
  const TierIndex from = shown(payload)->tier;
  copy.bad = true;
  ++tiers_[copy.tier].bad_found;
  if (shown(payload) == nullptr) payload.phase = Phase::lost;
  settle_idle(payload);
  ++payload.revision;
  record(payload);
  tell(payload.phase == Phase::lost ? EventKind::lost : EventKind::moved, cause, payload, from);
  at_.outcomes->events.back().why = Reason::checksum_mismatch;
}

void Model::replace(Held& payload, TierIndex tier, const Caller& caller) {
  if (payload.phase == Phase::lost) return refuse_for(&payload, caller, Reason::payload_lost);
  if (stopping_) return refuse_for(&payload, caller, Reason::shutting_down);
  if (payload.work != 0) return refuse_for(&payload, caller, Reason::payload_busy);
  if (const Reason why = sickness(tier); why != Reason::none) {
    return refuse_for(&payload, caller, why);
  }
  const std::uint64_t generation = start_move(payload, tier, false);
  works_.at(generation).repair = true;
  if (caller.ticket != 0) works_.at(generation).callers.push_back(caller);
  const Reason why = admit(generation);
  if (why == Reason::none) return;
  tell_refused(Cause::scrub, payload, tier, why);
  refuse_all(generation, why);
  end(generation);
}

void Model::on(const CheckCopy& command) {
  const Caller caller{.ticket = command.ticket};
  HeldCopy* copy = find_checked(command.id, command.generation);
  if (copy == nullptr) return refuse(caller, Reason::payload_not_found);
  ++copy->checks;
  answer(caller, {});
}

void Model::on(const CopyChecked& report) {
  const Caller caller{.ticket = report.ticket};
  HeldCopy* copy = find_checked(report.id, report.generation);
  if (copy == nullptr) {
    const auto leaving = leaving_.find(report.generation);
    if (leaving != leaving_.end() && leaving->second.checks > 0) --leaving->second.checks;
    return refuse(caller, Reason::payload_not_found);
  }
  copy->checks = std::max(copy->checks - 1, 0);
  Held& payload = payloads_.at(report.id.bytes);
  if (report.verdict == CopyChecked::Verdict::unreadable) {
    const bool has_another = std::ranges::any_of(payload.copies, [&](const HeldCopy& other) {
      return !other.bad && other.generation != report.generation;
    });
    if (!has_another && !copy->bad) return refuse_for(&payload, caller, Reason::storage_error);
    return found_bad(payload, *copy, caller);
  }
  if (report.verdict == CopyChecked::Verdict::bad) return found_bad(payload, *copy, caller);
  const bool is_good = report.verdict == CopyChecked::Verdict::good;
  const bool is_known = payload.checksum.kind != ChecksumKind::none;
  if (is_good && !is_known && !copy->bad && report.checksum.kind != ChecksumKind::none) {
    payload.checksum = report.checksum;
    record(payload);
  }
  const bool is_equal = is_known && report.checksum == payload.checksum;
  if (is_good && is_equal && copy->bad && payload.work == 0) {
    const HeldCopy* before = shown(payload);
    const TierIndex from = before != nullptr ? before->tier : no_tier;
    copy->bad = false;
    payload.phase = Phase::committed;
    settle_idle(payload);
    ++payload.revision;
    record(payload);
    tell(EventKind::moved, Cause::scrub, payload, from);
  }
  if (payload.phase == Phase::lost) return refuse_for(&payload, caller, Reason::payload_lost);
  show(caller, payload.id.bytes);
}

void Model::found_bad(Held& payload, HeldCopy& copy, const Caller& caller) {
  const std::uint64_t generation = copy.generation;
  const TierIndex tier = copy.tier;
  std::optional<Work> given_up;
  if (payload.work != 0 && works_.at(payload.work).waits() &&
      works_.at(payload.work).source_generation == generation) {
    given_up = works_.at(payload.work);
    tell_refused(cause_of(*given_up), payload, given_up->tier, Reason::checksum_mismatch);
    refuse_all(payload.work, Reason::checksum_mismatch);
    end(payload.work);
  }
  condemn(payload, copy, Cause::scrub);
  replace(payload, tier, caller);
  if (!given_up) return;
  pump(given_up->tier);
  pump(given_up->source_tier);
}

void Model::on(const CopyGone& report) {
  const auto found = payloads_.find(report.id.bytes);
  if (found == payloads_.end()) return;
  Held& payload = found->second;
  if (copy_of(payload, report.generation) == nullptr) return;
  const bool was_lost = payload.phase == Phase::lost;
  const TierIndex from = was_lost ? no_tier : shown(payload)->tier;
  const bool has_another = std::any_of(
      payload.copies.begin(), payload.copies.end(),
      [&](const HeldCopy& copy) { return !copy.bad && copy.generation != report.generation; });
  if (!has_another) payload.phase = Phase::lost;
  drop_copy(payload, report.generation);
  ++payload.revision;
  record(payload);
  if (was_lost) return;
  tell(has_another ? EventKind::moved : EventKind::lost, Cause::fault, payload, from);
}

}  // namespace pm::catalog::naive
