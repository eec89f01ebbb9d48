#include "core/simulate/simulator.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <variant>

namespace pm::simulate {

namespace {

using catalog::no_tier;
using catalog::Reason;
using catalog::TierIndex;

constexpr catalog::Ticket the_ticket = 1;
constexpr std::uint64_t ms_ns = 1'000'000;
// Clocks at the first access: 0 means in many places that there is no time.
constexpr std::uint64_t begin_ns = 1'000'000'000;

// Spread over tables as an id drawn at random is.
catalog::Id id_of(std::uint64_t number) {
  catalog::Id id;
  const std::uint64_t spread = catalog::hash_of(number);
  std::memcpy(id.bytes.data(), &number, sizeof number);
  std::memcpy(id.bytes.data() + sizeof number, &spread, sizeof spread);
  return id;
}

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
      decider_(std::move(decider)),
      catalog_(catalog::Limits{}, facts_of(tiers_), 1) {
  for (std::size_t tier = 0; tier < tiers_.size(); ++tier) {
    result_.tiers.push_back({.name = tiers_[tier].name});
    if (keeps_bytes(static_cast<TierIndex>(tier))) by_rank_.push_back(static_cast<TierIndex>(tier));
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
  if (access.id >= objects_.size()) objects_.resize(access.id + 1 + access.id / 2);
  switch (access.op) {
    case Op::write: return write(access);
    case Op::remove: return remove(access.id);
    case Op::read: break;
  }
  return read(access);
}

// ---- what clients do ----

Status Simulator::read(const Access& access) {
  const bool is_new = objects_[access.id].size_bytes == 0;
  if (is_new) {
    const Result<bool> made = make(access, by_rank_.back());
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
  if (!is_fastest) PM_TRY(promote(access.id, view));
  ++objects_[access.id].reads;
  objects_[access.id].last_read_ms = now_ms_;
  return {};
}

Status Simulator::promote(std::uint64_t id, const catalog::View& view) {
  TierIndex target = next_faster(view.tier);
  if (decider_.promote) {
    policy::PromoteFacts facts;
    facts.tiers = tier_facts();
    facts.payload = payload_facts(id, view.tier);
    facts.tier = view.tier;
    facts.target = target;
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
  if (decider_.place || decider_.admit) {
    policy::AdmitFacts facts;
    facts.tiers = tier_facts();
    facts.payload.id = catalog::to_text(id_of(access.id));
    facts.payload.size_bytes = access.size_bytes;
    if (decider_.place) {
      const auto decision = decider_.place({facts.tiers, facts.payload, {}, no_tier});
      if (decision && decision->tier != no_tier) tier = decision->tier;
    }
    facts.tier = tier;
    const auto decision = decider_.admit ? decider_.admit(facts) : std::nullopt;
    if (decision && !decision->admitted) {
      ++result_.writes_declined;
      return {};
    }
  }
  for (; tier != no_tier; tier = next_slower(tier)) {
    const Result<bool> made = make(access, tier);
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
  if (objects_[id].size_bytes == 0) return {};
  objects_[id] = {};
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
Result<bool> Simulator::make(const Access& access, TierIndex tier) {
  catalog::Allocate allocate;
  allocate.ticket = the_ticket;
  allocate.id = id_of(access.id);
  allocate.size_bytes = access.size_bytes;
  allocate.tier = tier;
  const Result<catalog::Reply> allocated = submit(allocate);
  if (!allocated.ok()) return allocated.status();
  if (allocated->reason == Reason::tier_full) return false;
  if (allocated->reason != Reason::none) return unexpected("Allocate", *allocated);
  catalog::Commit commit;
  commit.ticket = the_ticket;
  commit.id = allocate.id;
  const Result<catalog::Reply> committed = submit(commit);
  if (!committed.ok()) return committed.status();
  if (committed->reason != Reason::none) return unexpected("Commit", *committed);
  objects_[access.id] = {access.size_bytes, now_ms_, now_ms_, 0};
  return true;
}

// ---- the catalog ----

// The answer, once nothing is left to do.
Result<catalog::Reply> Simulator::submit(const catalog::Command& command) {
  reply_.reset();
  apply(command);
  for (std::size_t at = 0; at < effects_.size(); ++at) {
    const catalog::Effect effect = std::move(effects_[at]);
    complete(effect);
  }
  effects_.clear();
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
  for (const catalog::Event& event : changes_.events) {
    if (event.kind != catalog::EventKind::evicted) continue;
    // Counted here as dropped; who was copied is found among the moves.
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
  if (tiers_[move.target.tier].facts.rank > tiers_[move.source.tier].facts.rank) {
    ++result_.spilled;
    result_.spilled_bytes += bytes;
    --result_.dropped;
  }
  apply(catalog::Moved{move.operation, {}, {}, {}, false, false});
}

Status Simulator::unexpected(const char* command, const catalog::Reply& reply) const {
  return {Code::internal, std::string("simulation: the catalog refused ") + command +
                              " with reason " + std::to_string(static_cast<int>(reply.reason)) +
                              " at " + std::to_string(now_ms_) + " ms"};
}

// ---- facts ----

bool Simulator::keeps_bytes(TierIndex tier) const {
  return (tiers_[tier].facts.traits & catalog::traits_keeps_bytes) != 0;
}

TierIndex Simulator::next_faster(TierIndex tier) const {
  const auto found = std::find(by_rank_.begin(), by_rank_.end(), tier);
  return found == by_rank_.begin() || found == by_rank_.end() ? no_tier : *std::prev(found);
}

TierIndex Simulator::next_slower(TierIndex tier) const {
  const auto found = std::find(by_rank_.begin(), by_rank_.end(), tier);
  return found == by_rank_.end() || std::next(found) == by_rank_.end() ? no_tier
                                                                       : *std::next(found);
}

std::vector<policy::TierFacts> Simulator::tier_facts() const {
  const catalog::Counts counts = catalog_.counts();
  std::vector<policy::TierFacts> facts(tiers_.size());
  for (std::size_t tier = 0; tier < tiers_.size(); ++tier) {
    const catalog::TierFacts& from = tiers_[tier].facts;
    facts[tier].name = tiers_[tier].name;
    facts[tier].number = static_cast<std::uint32_t>(tier + 1);
    facts[tier].rank = from.rank;
    facts[tier].keeps_bytes = keeps_bytes(static_cast<TierIndex>(tier));
    facts[tier].survives_process = (from.traits & catalog::traits_survives_process) != 0;
    facts[tier].survives_power = (from.traits & catalog::traits_survives_power) != 0;
    facts[tier].spill_to = from.spill_to;
    facts[tier].capacity_bytes = from.capacity_bytes;
    facts[tier].used_bytes = counts.tiers[tier].charged_bytes;
  }
  return facts;
}

policy::PayloadFacts Simulator::payload_facts(std::uint64_t id, TierIndex tier) const {
  const Object& object = objects_[id];
  policy::PayloadFacts facts;
  facts.id = catalog::to_text(id_of(id));
  facts.size_bytes = object.size_bytes;
  facts.age_ms = now_ms_ - object.made_ms;
  facts.tiers = {tier};
  facts.reads = object.reads;
  facts.unread_ms = now_ms_ - object.last_read_ms;
  return facts;
}

}  // namespace pm::simulate
