#include "core/simulate/simulator.h"

#include <algorithm>
#include <utility>
#include <variant>

namespace pm::simulate {

namespace {

using catalog::no_tier;
using catalog::Reason;
using catalog::TierIndex;

constexpr std::uint32_t candidates_max = 64;  // As the engine shows.
constexpr catalog::Ticket the_ticket = 1;
constexpr std::uint64_t ms_ns = 1'000'000;
// Clocks at the first access: 0 means in many places that there is no time.
constexpr std::uint64_t begin_ns = 1'000'000'000;

std::vector<catalog::TierFacts> facts_of(const std::vector<SimulatedTier>& tiers) {
  std::vector<catalog::TierFacts> facts;
  for (const SimulatedTier& tier : tiers) facts.push_back(tier.facts);
  return facts;
}

}  // namespace

std::vector<SimulatedTier> two_tiers(std::uint64_t capacity_bytes) {
  const std::uint8_t keeps = catalog::traits_keeps_bytes | catalog::traits_survives_process;
  const std::uint8_t durable = keeps | catalog::traits_survives_power;
  return {{"fast", {keeps, 10, capacity_bytes, 1, 1, false}},
          {"slow", {durable, 20, UINT64_MAX, 1, no_tier, false}}};
}

Simulator::Simulator(std::vector<SimulatedTier> tiers, Decider decider)
    : tiers_(std::move(tiers)),
      facts_(constant_facts(tiers_)),
      decider_(std::move(decider)),
      catalog_(catalog::Limits{}, facts_of(tiers_), 1) {
  catalog_.use({decider_.spill != nullptr, false, decider_.order});
  for (std::size_t tier = 0; tier < tiers_.size(); ++tier) {
    result_.tiers.push_back({.name = tiers_[tier].name});
    if (facts_[tier].keeps_bytes) by_rank_.push_back(static_cast<TierIndex>(tier));
  }
  std::stable_sort(by_rank_.begin(), by_rank_.end(), [this](TierIndex a, TierIndex b) {
    return tiers_[a].facts.rank < tiers_[b].facts.rank;
  });
}

Status Simulator::run(std::span<const Access> trace) {
  for (const Access& one : trace) PM_TRY(access(one));
  return {};
}

Status Simulator::access(const Access& access) {
  now_ms_ = access.time_ms;
  now_.mono_ns = begin_ns + now_ms_ * ms_ns;
  now_.wall_ns = static_cast<std::int64_t>(now_.mono_ns);
  if (access.id >= is_made_.size()) is_made_.resize(access.id + 1 + access.id / 2);
  switch (access.op) {
    case Op::write: return write(access);
    case Op::remove: return remove(access.id);
    case Op::read: break;
  }
  return read(access);
}

// ---- what clients do ----

Status Simulator::read(const Access& access) {
  const bool is_new = !is_made_[access.id];
  if (is_new) {
    const Result<bool> made = make(access, by_rank_.back(), no_tier);
    if (!made.ok()) return made.status();
    if (!*made) {
      result_.hits.add(access.size_bytes, false);
      return {};
    }
  }
  catalog::AcquireLease acquire;
  acquire.ticket = the_ticket;
  acquire.id = id_of(access.id);
  acquire.lease = acquire.id;
  const Result<catalog::Reply> leased = submit(acquire);
  if (!leased.ok()) return leased.status();
  if (leased->reason == Reason::payload_not_found) {
    ++result_.gone;
    result_.hits.add(access.size_bytes, false);
    return write(access);
  }
  if (leased->reason != Reason::none) return unexpected("AcquireLease", *leased);
  const catalog::View& view = leased->view;
  const Result<catalog::Reply> released = submit(catalog::ReleaseLease{the_ticket, acquire.lease});
  if (!released.ok()) return released.status();

  TierResult& tier = result_.tiers[view.tier];
  ++tier.reads;
  tier.read_bytes += view.size_bytes;
  const bool is_fastest = view.tier == by_rank_.front();
  result_.hits.add(view.size_bytes, is_fastest && !is_new);
  if (!is_fastest) PM_TRY(promote(view));
  return {};
}

Status Simulator::promote(const catalog::View& view) {
  TierIndex target = policy::next_faster(facts_, view.tier, view.size_bytes);
  if (target == no_tier) {
    ++result_.refused;
    return {};
  }
  catalog::Candidate payload;
  if (decider_.promote && catalog_.look_at(view.id, now_, payload)) {
    policy::PromoteFacts facts;
    facts.tiers = tier_facts();
    facts.payload = policy::payload_facts(payload, now_);
    facts.tier = view.tier;
    facts.target = target;
    catalog::Candidate victim;
    facts.has_victim = catalog_.look_at_first_victim(target, now_, victim);
    if (facts.has_victim) facts.victim = policy::payload_facts(victim, now_);
    if (const auto decision = decider_.promote(facts)) target = decision->tier;
  }
  if (target == no_tier) {
    ++result_.left;
    return {};
  }
  catalog::Promote up;
  up.ticket = the_ticket;
  up.id = view.id;
  up.tier = target;
  up.only_up = true;
  const Result<catalog::Reply> reply = submit(up);
  if (!reply.ok()) return reply.status();
  ++(reply->reason == Reason::none ? result_.promoted : result_.refused);
  return {};
}

Status Simulator::write(const Access& access) {
  PM_TRY(remove(access.id));
  TierIndex tier = by_rank_.front();
  TierIndex copy_to = no_tier;
  if (decider_.place || decider_.admit) {
    policy::AdmitFacts facts;
    facts.tiers = tier_facts();
    facts.payload.size_bytes = access.size_bytes;
    if (decider_.place) {
      const auto decision = decider_.place({facts.tiers, facts.payload, {}, tier});
      // As the engine does it: what cannot be done is as if nobody had answered.
      if (decision && policy::can_take(facts.tiers[decision->tier], access.size_bytes)) {
        tier = decision->tier;
        copy_to = decision->copy_to;
      }
    }
    facts.tier = tier;
    const auto decision = decider_.admit ? decider_.admit(facts) : std::nullopt;
    if (decision && !decision->admitted) {
      ++result_.writes_declined;
      return {};
    }
  }
  for (; tier != no_tier; tier = next_slower(tier)) {
    const Result<bool> made = make(access, tier, copy_to);
    if (!made.ok()) return made.status();
    if (!*made) continue;
    ++result_.tiers[tier].placed;
    result_.tiers[tier].placed_bytes += access.size_bytes;
    return {};
  }
  ++result_.writes_refused;
  return {};
}

Status Simulator::remove(std::uint64_t id) {
  if (!is_made_[id]) return {};
  is_made_[id] = false;
  catalog::Delete removal;
  removal.ticket = the_ticket;
  removal.id = id_of(id);
  const Result<catalog::Reply> reply = submit(removal);
  if (!reply.ok()) return reply.status();
  // A payload that left for a tier that keeps no bytes is gone already.
  const bool gone = reply->reason == Reason::none || reply->reason == Reason::payload_not_found;
  return gone ? Status() : unexpected("Delete", *reply);
}

// False: there is no room.
Result<bool> Simulator::make(const Access& access, TierIndex tier, TierIndex copy_to) {
  catalog::Allocate allocate;
  allocate.ticket = the_ticket;
  allocate.id = id_of(access.id);
  allocate.size_bytes = access.size_bytes;
  allocate.tier = tier;
  allocate.copy_to = copy_to;
  const Result<catalog::Reply> allocated = submit(allocate);
  if (!allocated.ok()) return allocated.status();
  const bool has_no_room =
      allocated->reason == Reason::tier_full || allocated->reason == Reason::payload_size_invalid;
  if (has_no_room) return false;
  if (allocated->reason != Reason::none) return unexpected("Allocate", *allocated);
  catalog::Commit commit;
  commit.ticket = the_ticket;
  commit.id = allocate.id;
  const Result<catalog::Reply> committed = submit(commit);
  if (!committed.ok()) return committed.status();
  if (committed->reason != Reason::none) return unexpected("Commit", *committed);
  is_made_[access.id] = true;
  return true;
}

// ---- the catalog ----

// The answer, once nothing is left to do.
Result<catalog::Reply> Simulator::submit(const catalog::Command& command) {
  reply_.reset();
  apply(command);
  while (!effects_.empty() || !questions_.empty()) {
    for (std::size_t at = 0; at < effects_.size(); ++at) {
      const catalog::Effect effect = std::move(effects_[at]);
      complete(effect);
    }
    effects_.clear();
    const std::vector<catalog::Question> questions = std::move(questions_);
    questions_.clear();
    for (const catalog::Question& question : questions) answer(question);
  }
  if (!reply_) return Status(Code::internal, "simulation: the catalog owes an answer");
  return *std::move(reply_);
}

void Simulator::apply(const catalog::Command& command) {
  changes_.clear();
  catalog_.apply(command, now_, changes_);
  for (catalog::Reply& reply : changes_.replies) {
    if (reply.ticket == the_ticket) reply_ = std::move(reply);
  }
  for (catalog::Effect& effect : changes_.effects) effects_.push_back(std::move(effect));
  for (const catalog::Question& question : changes_.questions) questions_.push_back(question);
  for (const catalog::Event& event : changes_.events) {
    if (event.kind != catalog::EventKind::evicted) continue;
    // Whether it had to be copied is seen where that is done.
    ++result_.dropped;
  }
}

void Simulator::complete(const catalog::Effect& effect) {
  if (const auto* allocate = std::get_if<catalog::AllocateEffect>(&effect)) {
    return apply(catalog::Allocated{allocate->operation, {}, {}, false});
  }
  if (const auto* seal = std::get_if<catalog::SealEffect>(&effect)) {
    return apply(catalog::Sealed{seal->operation, {}, 0, {}, false});
  }
  if (const auto* removal = std::get_if<catalog::RemoveEffect>(&effect)) {
    return apply(catalog::Removed{removal->object.generation, {}});
  }
  const auto& move = std::get<catalog::MoveEffect>(effect);
  const std::uint64_t bytes = move.target.length;
  ++result_.tiers[move.target.tier].moved_in;
  result_.tiers[move.target.tier].moved_in_bytes += bytes;
  apply(catalog::Moved{move.operation, {}, {}, {}, false, false});
  for (const catalog::Event& event : changes_.events) {
    if (event.kind != catalog::EventKind::evicted || event.id != move.target.payload) continue;
    --result_.dropped;
    ++result_.spilled;
    result_.spilled_bytes += bytes;
  }
}

Status Simulator::unexpected(const char* command, const catalog::Reply& reply) const {
  return {Code::internal, std::string("simulation: the catalog refused ") + command +
                              " with reason " + std::to_string(static_cast<int>(reply.reason)) +
                              " at " + std::to_string(now_ms_) + " ms"};
}

// ---- the policy ----

void Simulator::answer(const catalog::Question& question) {
  const auto* wanted = std::get_if<catalog::SpillWanted>(&question);
  if (wanted == nullptr) return;
  catalog::Evict answer{wanted->tier, wanted->number, false, 0, {}};
  look_.candidates.clear();
  catalog_.look_at_victims(wanted->tier, candidates_max, now_, look_);
  spill_.tiers = tier_facts();
  spill_.tier = wanted->tier;
  spill_.bytes_wanted = look_.bytes_wanted;
  spill_.candidates.clear();
  for (catalog::Candidate& candidate : look_.candidates) {
    spill_.candidates.push_back(policy::payload_facts(candidate, now_));
  }
  if (const auto decision = decider_.spill(spill_)) {
    answer.is_answered = true;
    for (const policy::Victim& victim : decision->victims) {
      if (victim.candidate >= look_.candidates.size()) continue;
      const catalog::Candidate& chosen = look_.candidates[victim.candidate];
      answer.choices.push_back({chosen.id, chosen.generation, victim.target});
    }
  }
  apply(answer);
}

TierIndex Simulator::next_slower(TierIndex tier) const {
  const auto found = std::find(by_rank_.begin(), by_rank_.end(), tier);
  return found == by_rank_.end() || std::next(found) == by_rank_.end() ? no_tier
                                                                       : *std::next(found);
}

std::vector<policy::TierFacts> Simulator::tier_facts() const {
  std::vector<policy::TierFacts> tiers = facts_;
  policy::set_loads(catalog_.loads(), tiers);
  return tiers;
}

}  // namespace pm::simulate
