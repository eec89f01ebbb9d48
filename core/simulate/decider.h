#pragma once

#include <functional>
#include <optional>

#include "core/policy/facts.h"
#include "core/policy/policy.h"

namespace pm::simulate {

// What a policy answers; who has no answer says nothing. A hook that is not there is not asked.
struct Decider {
  std::function<std::optional<policy::PlaceDecision>(const policy::PlaceFacts&)> place;
  std::function<std::optional<policy::AdmitDecision>(const policy::AdmitFacts&)> admit;
  std::function<std::optional<policy::SpillDecision>(const policy::SpillFacts&)> spill;
  std::function<std::optional<policy::PromoteDecision>(const policy::PromoteFacts&)> promote;
  policy::CandidateOrder order = policy::CandidateOrder::oldest;
};

// Its rules; those of them that are not suspended now. The policy must outlive it.
Decider decider_of(policy::Policy& policy);

}  // namespace pm::simulate
