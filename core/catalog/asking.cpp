#include <algorithm>
#include <utility>

#include "catalog.h"

// Policies: when they are asked, what they are told, and their answers. They are asked outside, so
// an answer comes later, or not at all, and may be about what is not so any more.

namespace pm::catalog {

namespace {

// Looked at for candidates, at most.
constexpr int looked_at_max = 256;
// Answers of which nothing could be done, in a row, before the built-in rule chooses.
constexpr std::uint32_t answers_in_vain_max = 3;

}  // namespace

void Catalog::use(const PolicyInUse& policy) {
  policy_ = policy;
  if (policy.order == VictimOrder::score) scores_.use();
}

void Catalog::on(const PolicyInUse& policy) {
  const bool asked_before = policy_.asks_retain;
  use(policy);
  if (!policy.asks_retain) asks_anew_.reset();
  if (policy.asks_retain && !asked_before) asks_anew_.emplace();
}

// ---- spill ----

// Of one priority by score, those that are not scored yet come first: nobody has read them since
// scores are kept, so they stand in front of those that are.
template <typename Visit>
void Catalog::visit_victims(TierIndex index, Visit visit) const {
  const Victims& victims = tiers_[index].victims;
  const bool by_score = policy_.order == VictimOrder::score;
  auto scored = by_score ? scores_.next(index, {}) : std::nullopt;
  for (const Priority priority : {Priority::low, Priority::normal, Priority::high}) {
    for (Slot slot = victims.first_of(priority); slot != no_slot;
         slot = payloads_[slot].victim_after) {
      if (by_score && scores_.has(slot)) break;
      if (!visit(slot)) return;
    }
    for (; scored && ScoreIndex::priority_of(*scored) == priority;
         scored = scores_.next(index, scored)) {
      if (!visit(scored->slot)) return;
    }
  }
}

Catalog::Room Catalog::ask_for_room(TierIndex index) {
  Tier& tier = tiers_[index];
  // Whom the policy cannot choose it need not be shown.
  bool may_leave = false;
  int looked_at = 0;
  visit_victims(index, [&](Slot slot) {
    const Payload& payload = payloads_[slot];
    may_leave = plan_eviction(payload, *shown(payload)).kind != EvictionPlan::Kind::stays;
    return !may_leave && ++looked_at < looked_at_max;
  });
  if (!may_leave && looked_at < looked_at_max) return Room::never;
  if (tier.question == 0) {
    tier.question = ++question_number_;
    changes_->questions.emplace_back(SpillWanted{index, tier.question});
  }
  return Room::perhaps;
}

void Catalog::on(const Evict& answer) {
  if (answer.tier >= tiers_.size()) return;
  Tier& tier = tiers_[answer.tier];
  if (answer.number == 0 || tier.question != answer.number) return;
  tier.question = 0;
  if (stopping_) return;
  rule_ = answer.rule;
  bool has_left = wanted_bytes(answer.tier) == 0;
  const std::size_t count = std::min(answer.choices.size(), spill_choices_max);
  for (std::size_t at = 0; at < count && wanted_bytes(answer.tier) > 0; ++at) {
    if (evict_chosen(answer.tier, answer.choices[at])) has_left = true;
  }
  rule_ = 0;
  tier.answers_in_vain = has_left ? 0 : tier.answers_in_vain + 1;
  if (!answer.is_answered || tier.answers_in_vain >= answers_in_vain_max) {
    tier.answers_in_vain = 0;
    tier.decides_itself = true;
  }
  pump(answer.tier);
  relieve(answer.tier);
  tier.decides_itself = false;
}

bool Catalog::evict_chosen(TierIndex tier, const SpillChoice& choice) {
  const Slot slot = payload_by_id_.find(choice.id);
  if (slot == no_slot || !payloads_[slot].victim || payloads_[slot].listed != tier) return false;
  const Copy* copy = find_copy_on(payloads_[slot], tier);
  if (copy == nullptr || copy->generation != choice.generation) return false;
  const bool is_needed = needed_bytes(tier) > 0;
  if (!is_needed && !leaves_ahead(slot, tier, choice.target)) return false;
  return evict(slot, tier, choice.target);
}

void Catalog::look_at_victims(TierIndex index, std::uint32_t count, const Clocks& now,
                              SpillLook& look) const {
  look.bytes_wanted = wanted_bytes(index);
  int looked_at = 0;
  visit_victims(index, [&](Slot slot) {
    const Payload& payload = payloads_[slot];
    const Copy& copy = *shown(payload);
    if (plan_eviction(payload, copy).kind != EvictionPlan::Kind::stays) {
      look.candidates.push_back(candidate_of(slot, copy, now));
    }
    return ++looked_at < looked_at_max && look.candidates.size() < count;
  });
}

bool Catalog::look_at_first_victim(TierIndex index, const Clocks& now, Candidate& victim) const {
  bool is_found = false;
  visit_victims(index, [&](Slot slot) {
    victim = candidate_of(slot, *shown(payloads_[slot]), now);
    is_found = true;
    return false;
  });
  return is_found;
}

bool Catalog::look_at(const Id& id, const Clocks& now, Candidate& payload) const {
  const Slot slot = find_live(id, now);
  if (slot == no_slot || payloads_[slot].phase != Phase::committed) return false;
  payload = candidate_of(slot, *shown(payloads_[slot]), now);
  return true;
}

Candidate Catalog::candidate_of(Slot slot, const Copy& copy, const Clocks& now) const {
  const Payload& payload = payloads_[slot];
  Candidate found;
  found.id = payload.id;
  found.generation = copy.generation;
  found.size_bytes = payload.size_bytes;
  found.created_at_ns = payload.created_at_ns;
  found.expires_at_ns = payload.expires_at_ns;
  found.retention = payload.retention;
  found.leases = payload.leases;
  if (payload.has_extras) {
    found.labels = additions_of(slot).labels;
    found.pinned = additions_of(slot).pinned;
  }
  each_copy(payload, [&](const Copy& other) {
    if (!other.bad) found.tiers.push_back(other.tier);
  });
  std::sort(found.tiers.begin(), found.tiers.end(),
            [this](TierIndex one, TierIndex other) { return is_slower(other, one); });
  found.reads = payload.history.reads;
  found.frequency = reads_.frequency(payload.history);
  const std::int64_t age_ns = std::max<std::int64_t>(now.wall_ns - payload.created_at_ns, 0);
  found.unread_ns = payload.history.reads > 0 ? ReadClock::unread_ns(payload.history, now.mono_ns)
                                              : static_cast<std::uint64_t>(age_ns);
  return found;
}

std::vector<TierLoad> Catalog::loads() const {
  std::vector<TierLoad> loads;
  for (std::size_t index = 0; index < tiers_.size(); ++index) {
    const Tier& tier = tiers_[index];
    loads.push_back({tier.used_bytes, std::min(tier.leaving_bytes, tier.used_bytes),
                     tier.waiting_bytes,
                     service_obstacle(static_cast<TierIndex>(index)) == Reason::none});
  }
  return loads;
}

// ---- copies besides ----

// What was asked for when it was allocated. Done as well as it can be: nobody waits for it.
void Catalog::make_second_copy(Slot slot) {
  const auto wanted = copy_to_.find(slot);
  if (wanted == copy_to_.end()) return;
  const TierIndex tier = wanted->second.tier;
  rule_ = wanted->second.rule;
  copy_to_.erase(wanted);
  const Payload& payload = payloads_[slot];
  const bool keeps_bytes = (tiers_[tier].facts.traits & traits_keeps_bytes) != 0;
  if (stopping_ || payload.phase != Phase::committed || payload.operation != no_slot ||
      !keeps_bytes || find_copy_on(payloads_[slot], tier) != nullptr) {
    return;
  }
  Reason why = service_obstacle(tier);
  if (why == Reason::none) {
    const Slot move = start_move(slot, tier, false);
    operations_[move].copies = true;
    why = admit(move);
    if (why != Reason::none) end_operation(move);
  }
  if (why != Reason::none) tell_refused(Cause::policy, slot, tier, why);
}

// ---- retain ----

// It is not asked twice, and ends in time unless the answer says otherwise.
void Catalog::ask_retain(Slot slot) {
  Payload& payload = payloads_[slot];
  payload_due_.remove(static_cast<std::uint64_t>(due_wall_ns(payload)), slot);
  payload.asks_retain = false;
  payload_due_.insert(static_cast<std::uint64_t>(due_wall_ns(payload)), slot);
  changes_->questions.emplace_back(RetainWanted{payload.id});
}

// Ends that were set while there was no rule are gone through, a slice with each Tick.
void Catalog::ask_retain_anew(int things_max) {
  for (int things = 0; asks_anew_ && things < things_max; ++things) {
    asks_anew_ = payload_due_.after(*asks_anew_);
    if (!asks_anew_ || payloads_[asks_anew_->slot].asks_retain) continue;
    // Comes back in front of the place, if anywhere else: it is due sooner.
    const Slot slot = asks_anew_->slot;
    unindex_due(slot);
    index_due(slot);
  }
  if (asks_anew_) changes_->more = true;
}

void Catalog::on(const Retain& answer) {
  const Slot slot = find_live(answer.id, now_);
  if (slot == no_slot || stopping_ || answer.keep_ns == 0) return;
  Payload& payload = payloads_[slot];
  if (payload.phase != Phase::committed || payload.expires_at_ns == 0) return;
  rule_ = answer.rule;
  constexpr std::int64_t latest_ns = INT64_MAX;
  const auto left_ns = static_cast<std::uint64_t>(latest_ns - payload.expires_at_ns);
  unindex_due(slot);
  payload.expires_at_ns += static_cast<std::int64_t>(std::min(answer.keep_ns, left_ns));
  index_due(slot);
  ++payload.revision;
  record_payload(slot);
  tell(EventKind::updated, Cause::policy, slot, payload.listed);
  if (answer.tier == no_tier || answer.tier >= tiers_.size()) return;
  Spill down;
  down.tier = answer.tier;
  down.best_effort = true;
  spill(slot, down, Waiter{});
}

}  // namespace pm::catalog
