#include "core/simulate/decider.h"

namespace pm::simulate {

namespace {

template <typename Decision, typename Facts>
std::function<std::optional<Decision>(const Facts&)> hook_of(policy::Policy& policy,
                                                             policy::Hook hook) {
  if (!policy.has_rules(hook)) return nullptr;
  return [&policy](const Facts& facts) -> std::optional<Decision> {
    Decision decision;
    if (policy.ask(facts, decision).empty()) return std::nullopt;
    return decision;
  };
}

}  // namespace

Decider decider_of(policy::Policy& policy) {
  using policy::Hook;
  Decider decider;
  decider.place = hook_of<policy::PlaceDecision, policy::PlaceFacts>(policy, Hook::place);
  decider.admit = hook_of<policy::AdmitDecision, policy::AdmitFacts>(policy, Hook::admit);
  decider.spill = hook_of<policy::SpillDecision, policy::SpillFacts>(policy, Hook::spill);
  decider.promote = hook_of<policy::PromoteDecision, policy::PromoteFacts>(policy, Hook::promote);
  decider.order = policy.order();
  return decider;
}

}  // namespace pm::simulate
