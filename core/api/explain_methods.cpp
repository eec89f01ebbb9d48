#include <algorithm>
#include <vector>

#include "explain_words.h"
#include "ids.h"
#include "methods.h"
#include "payload/manager/admin/v1/inspect.pb.h"
#include "policy_desk.h"
#include "times.h"

// Explain: why a payload is where it is.

namespace pm::api {

namespace wire = payload::manager::admin::v1;
using catalog::Explanation;

namespace {

constexpr std::size_t decisions_max = 64;

void fill_copies(const TierTable& tiers, const Explanation& explanation,
                 wire::ExplainResponse& response) {
  for (const Explanation::CopyFacts& copy : explanation.copies) {
    wire::CopyInfo& row = *response.add_copies();
    row.set_tier(tiers.name(copy.tier));
    row.set_generation(copy.generation);
    row.set_leases(copy.leases);
    row.set_durable(copy.durable);
    row.set_shown(copy.shown);
    row.set_bad(copy.bad);
  }
}

std::string rule_of(const PolicyDesk& policies, const catalog::Event& event) {
  if (event.rule != 0) return policies.rule_name(event.rule);
  return event.cause == catalog::Cause::request ? "request" : "default";
}

void fill_decision(const TierTable& tiers, const catalog::Event& event, wire::Decision& decision) {
  const bool refused = event.kind == catalog::EventKind::refused;
  set_time(event.wall_ns, *decision.mutable_time());
  decision.set_kind(decision_kind(tiers, event));
  decision.set_from(tiers.name(event.from));
  decision.set_to(tiers.name(refused ? event.target : event.tier));
  decision.set_words(decision_words(tiers, event));
}

struct Explained {
  Explanation explanation;
  std::vector<ledger::Change> history;
};

void respond(const Invocation& invocation, const TierTable& tiers, const PolicyDesk& policies,
             const Explained& explained) {
  wire::ExplainResponse response;
  const catalog::View& view = explained.explanation.view;
  const Status located = tiers.describe(view, *response.mutable_payload_descriptor());
  fill_copies(tiers, explained.explanation, response);
  for (std::string& fact : facts_of(tiers, explained.explanation)) {
    response.add_facts(std::move(fact));
  }
  if (!located.ok()) {
    response.add_facts("Its tier cannot say where it is: " + located.message() + ".");
  }
  for (const ledger::Change& change : explained.history) {
    wire::Decision& decision = *response.add_decisions();
    fill_decision(tiers, change.event, decision);
    decision.set_rule(rule_of(policies, change.event));
    decision.set_facts(policies.facts_told(view.id, change.event));
  }
  reply_message(invocation, response);
}

}  // namespace

void explain(const Services& services, const Invocation& invocation) {
  wire::ExplainRequest request;
  catalog::Id id;
  if (!parse(invocation, request)) return;
  if (!read_payload_id(invocation, request.id().value(), id)) return;
  Explained explained;
  std::uint64_t lsn = 0;
  const catalog::Reason reason =
      services.ledger.read([&](const catalog::Catalog& catalog, const catalog::Clocks& now) {
        return catalog.explain(id, now, explained.explanation, lsn);
      });
  if (reason == catalog::Reason::none) {
    explained.history = services.ledger.changes().history(id, decisions_max);
  }
  if (!explained.history.empty()) lsn = std::max(lsn, explained.history.front().lsn);
  services.ledger.when_durable(
      lsn, [invocation = kept(invocation), id, reason, explained = std::move(explained),
            &tiers = services.tiers, &policies = services.policies](bool durable) {
        const ErrorFacts facts{{"payload", to_text(id)}};
        if (!durable) return reply_error(invocation, catalog::Reason::shutting_down, facts);
        if (reason != catalog::Reason::none) return reply_error(invocation, reason, facts);
        respond(invocation, tiers, policies, explained);
      });
}

}  // namespace pm::api
