#include "policy_desk.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace pm::api {

using catalog::Catalog;
using catalog::Clocks;
using policy::can_take;
using policy::Hook;
using policy::next_faster;
using policy::payload_facts;
using policy::set_loads;

namespace {

constexpr std::uint32_t candidates_max = 64;

void refuse(const catalog::Allocate& command, catalog::Reason reason, const std::string& why) {
  catalog::Reply refusal;
  refusal.ticket = command.ticket;
  refusal.reason = reason;
  refusal.message = why;
  ledger::handler_of(command.ticket)->on_reply(refusal);
}

bool has_nodes(const std::vector<policy::TierFacts>& tiers) {
  return std::any_of(tiers.begin(), tiers.end(),
                     [](const policy::TierFacts& tier) { return tier.numa_node >= 0; });
}

}  // namespace

PolicyDesk::PolicyDesk(policy::Service& service, std::vector<policy::TierFacts> tiers)
    : service_(service), tiers_(std::move(tiers)), has_nodes_(has_nodes(tiers_)) {
  if (service_.journal() != nullptr) service_.journal()->set_tiers(tiers_);
}

void PolicyDesk::serve(ledger::Ledger& ledger, mover::Mover& mover) {
  ledger_ = &ledger;
  mover_ = &mover;
  measure_writes();
  ledger.on_question([this](const catalog::Question& question) { on_question(question); });
  service_.watch();
}

catalog::PolicyInUse PolicyDesk::in_use() const {
  return {service_.asks(Hook::spill), service_.asks(Hook::retain), service_.spill_order()};
}

void PolicyDesk::on_changed() {
  measure_writes();
  ledger_->submit(in_use());
}

// Who asks nobody pays nothing for what rules would be told.
void PolicyDesk::measure_writes() {
  bool asks_any = false;
  for (std::size_t hook = 0; hook < policy::hooks_count; ++hook) {
    asks_any = asks_any || service_.asks(static_cast<Hook>(hook));
  }
  mover_->measure_writes(asks_any);
}

std::uint16_t PolicyDesk::number_of(Hook hook, const std::string& rule) {
  const std::string name = std::string(policy::hook_name(hook)) + "." + rule;
  const std::lock_guard lock(names_mutex_);
  const auto known = numbers_.find(name);
  if (known != numbers_.end()) return known->second;
  // More names than numbers come only from reloading for ever; they share the last one.
  if (names_.size() > UINT16_MAX) return UINT16_MAX;
  names_.push_back(name);
  const auto number = static_cast<std::uint16_t>(names_.size() - 1);
  numbers_.emplace(name, number);
  return number;
}

std::string PolicyDesk::rule_name(std::uint16_t number) const {
  const std::lock_guard lock(names_mutex_);
  return number < names_.size() ? names_[number] : std::string();
}

// ---- what is noted ----

void PolicyDesk::note(policy::AccessKind kind, const catalog::View& view) {
  if (service_.journal() == nullptr) return;
  service_.journal()->note(policy::Access{kind, view.tier, view.id, view.size_bytes});
}

void PolicyDesk::note_removal(const catalog::Id& id) {
  if (service_.journal() == nullptr) return;
  service_.journal()->note(policy::Access{policy::AccessKind::remove, catalog::no_tier, id, 0});
}

void PolicyDesk::remember(ToldFacts told, const catalog::Id& id, std::uint16_t rule) {
  told.id = id;
  told.rule = rule;
  told.wall_ns = ledger::read_clocks().wall_ns;
  told_.add(told);
}

std::string PolicyDesk::facts_told(const catalog::Id& id, const catalog::Event& event) const {
  if (event.rule == 0) return {};
  return words_of(told_.find(id, event.rule, event.wall_ns), tiers_);
}

// ---- facts ----

std::vector<policy::TierFacts> PolicyDesk::tier_facts() {
  std::vector<policy::TierFacts> tiers = tiers_;
  set_loads(ledger_->read([](const Catalog& catalog, const Clocks&) { return catalog.loads(); }),
            tiers);
  for (std::size_t index = 0; index < tiers.size(); ++index) {
    tiers[index].bytes_per_second =
        mover_->bytes_per_second(static_cast<catalog::TierIndex>(index));
  }
  return tiers;
}

policy::ClientFacts PolicyDesk::client_facts(const Asked& asked) {
  const std::string& name = asked.command.owner;
  catalog::Usage usage =
      ledger_->read([&](const Catalog& catalog, const Clocks&) { return catalog.usage_of(name); });
  usage.charged_bytes.resize(tiers_.size());
  policy::ClientFacts client;
  client.name = name;
  client.payloads = usage.payloads;
  client.used_bytes = std::move(usage.charged_bytes);
  if (has_nodes_ && asked.client > 0) client.numa_node = nodes_.node_of(asked.client);
  return client;
}

// ---- allocations ----

void PolicyDesk::allocate(catalog::Allocate command, std::int32_t client) {
  const bool is_placed = service_.asks(Hook::place);
  if (!is_placed && !service_.asks(Hook::admit)) return submit(command);
  // What was answered before is answered the same, whatever a policy would say now.
  const bool is_repeat = ledger_->read(
      [&](const Catalog& catalog, const Clocks&) { return catalog.is_known(command.request); });
  if (is_repeat) return ledger_->submit(command);
  {
    const std::lock_guard lock(pending_mutex_);
    pending_[command.ticket] = false;
  }
  const auto asked = std::make_shared<Asked>(Asked{std::move(command), client});
  return is_placed ? place(asked) : admit(asked);
}

void PolicyDesk::place(const std::shared_ptr<Asked>& asked) {
  const auto told = std::make_shared<ToldFacts>();
  service_.ask<policy::PlaceFacts>(
      [this, asked, told] {
        policy::PlaceFacts facts{tier_facts(), payload_facts(asked->command), client_facts(*asked),
                                 asked->command.tier};
        *told = api::told(facts);
        return facts;
      },
      [this, asked, told](const policy::PlaceDecision& decision, const std::string& rule) {
        if (!rule.empty() && can_take(tier_facts()[decision.tier], asked->command.size_bytes)) {
          asked->command.tier = decision.tier;
          asked->command.copy_to = decision.copy_to;
          asked->command.rule = number_of(Hook::place, rule);
          remember(*told, asked->command.id, asked->command.rule);
        }
        admit(asked);
      });
}

void PolicyDesk::admit(const std::shared_ptr<Asked>& asked) {
  const bool is_asked = service_.asks(Hook::admit) && asked->command.tier != catalog::no_tier;
  if (!is_asked) return carry_out(asked->command);
  service_.ask<policy::AdmitFacts>(
      [this, asked] {
        return policy::AdmitFacts{tier_facts(), payload_facts(asked->command), client_facts(*asked),
                                  asked->command.tier};
      },
      [this, asked](const policy::AdmitDecision& decision, const std::string& rule) {
        if (rule.empty() || decision.admitted) return carry_out(asked->command);
        end_decision(asked->command.ticket);
        refuse(asked->command, catalog::Reason::not_admitted, decision.why);
      });
}

void PolicyDesk::cancel(catalog::Ticket ticket) {
  {
    const std::lock_guard lock(pending_mutex_);
    const auto found = pending_.find(ticket);
    if (found != pending_.end()) found->second = true;
  }
  ledger_->submit(catalog::Cancel{ticket});
}

// Once for each that was asked about. True: it was cancelled meanwhile.
bool PolicyDesk::end_decision(catalog::Ticket ticket) {
  const std::lock_guard lock(pending_mutex_);
  const auto found = pending_.find(ticket);
  if (found == pending_.end()) return false;
  const bool is = found->second;
  pending_.erase(found);
  return is;
}

// What has been decided.
void PolicyDesk::carry_out(const catalog::Allocate& command) {
  if (!end_decision(command.ticket)) return submit(command);
  refuse(command, catalog::Reason::request_cancelled, {});
}

void PolicyDesk::submit(const catalog::Allocate& command) {
  if (command.tier != catalog::no_tier) return ledger_->submit(command);
  refuse(command, catalog::Reason::tier_unspecified, {});
}

// ---- reads ----

void PolicyDesk::note_read(const catalog::View& view) {
  note(policy::AccessKind::read, view);
  if (!service_.asks(Hook::promote) || view.tier == catalog::no_tier) return;
  if (next_faster(tiers_, view.tier, view.size_bytes) == catalog::no_tier) return;
  // When there is no time for it, the payload is read again some day.
  const auto told = std::make_shared<ToldFacts>();
  service_.ask<policy::PromoteFacts>(
      [this, id = view.id, told] {
        auto facts = promote_facts(id);
        if (facts) *told = api::told(*facts);
        return facts;
      },
      [this, id = view.id, told](const policy::PromoteDecision& decision, const std::string& rule) {
        if (rule.empty() || decision.tier == catalog::no_tier) return;
        catalog::Promote command;
        command.id = id;
        command.tier = decision.tier;
        command.best_effort = true;
        command.only_up = true;
        command.rule = number_of(Hook::promote, rule);
        remember(*told, id, command.rule);
        ledger_->submit(command);
      });
}

std::optional<policy::PromoteFacts> PolicyDesk::promote_facts(const catalog::Id& id) {
  policy::PromoteFacts facts;
  facts.tiers = tier_facts();
  catalog::Candidate payload;
  catalog::Candidate victim;
  Clocks moment;
  const bool is_there = ledger_->read([&](const Catalog& catalog, const Clocks& now) {
    moment = now;
    if (!catalog.look_at(id, now, payload)) return false;
    facts.target = next_faster(facts.tiers, payload.tiers.front(), payload.size_bytes);
    if (facts.target == catalog::no_tier) return false;
    facts.has_victim = catalog.look_at_first_victim(facts.target, now, victim);
    return true;
  });
  if (!is_there) return std::nullopt;
  facts.tier = payload.tiers.front();
  facts.payload = payload_facts(payload, moment);
  if (facts.has_victim) facts.victim = payload_facts(victim, moment);
  return facts;
}

// ---- what the catalog asks ----

void PolicyDesk::on_question(const catalog::Question& question) {
  if (const auto* end = std::get_if<catalog::RetainWanted>(&question)) return retain(end->id);
  spill(std::get<catalog::SpillWanted>(question));
}

void PolicyDesk::spill(const catalog::SpillWanted& wanted) {
  const auto look = std::make_shared<catalog::SpillLook>();
  const auto told = std::make_shared<ToldFacts>();
  service_.ask<policy::SpillFacts>(
      [this, wanted, look, told] {
        Clocks moment;
        ledger_->read([&](const Catalog& catalog, const Clocks& now) {
          moment = now;
          catalog.look_at_victims(wanted.tier, candidates_max, now, *look);
        });
        policy::SpillFacts facts;
        facts.tiers = tier_facts();
        facts.tier = wanted.tier;
        facts.bytes_wanted = look->bytes_wanted;
        for (const catalog::Candidate& candidate : look->candidates) {
          facts.candidates.push_back(payload_facts(candidate, moment));
        }
        *told = api::told(facts);
        return facts;
      },
      [this, wanted, look, told](const policy::SpillDecision& decision, const std::string& rule) {
        catalog::Evict answer{wanted.tier, wanted.number, !rule.empty(), 0, {}};
        if (!rule.empty()) answer.rule = number_of(Hook::spill, rule);
        for (const policy::Victim& victim : decision.victims) {
          const catalog::Candidate& chosen = look->candidates[victim.candidate];
          answer.choices.push_back({chosen.id, chosen.generation, victim.target});
          told->candidate = victim.candidate;
          set_candidate(chosen, *told);
          remember(*told, chosen.id, answer.rule);
        }
        ledger_->submit(answer);
      });
}

void PolicyDesk::retain(const catalog::Id& id) {
  const auto told = std::make_shared<ToldFacts>();
  service_.ask<policy::RetainFacts>(
      [this, id, told]() -> std::optional<policy::RetainFacts> {
        catalog::Candidate payload;
        Clocks moment;
        const bool is_there = ledger_->read([&](const Catalog& catalog, const Clocks& now) {
          moment = now;
          return catalog.look_at(id, now, payload);
        });
        if (!is_there) return std::nullopt;
        policy::RetainFacts facts{tier_facts(), payload_facts(payload, moment)};
        *told = api::told(facts);
        return facts;
      },
      [this, id, told](const policy::RetainDecision& decision, const std::string& rule) {
        if (rule.empty() || decision.keep_ms == 0) return;
        constexpr std::uint64_t ms_ns = 1'000'000;
        const std::uint64_t keep_ns = std::min(decision.keep_ms, UINT64_MAX / ms_ns) * ms_ns;
        const std::uint16_t number = number_of(Hook::retain, rule);
        remember(*told, id, number);
        ledger_->submit(catalog::Retain{id, keep_ns, decision.tier, number});
      });
}

}  // namespace pm::api
