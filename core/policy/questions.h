#pragma once

#include "facts.h"
#include "rules.h"

namespace pm::policy {

// Which hook is asked with some facts, and what it answers.
template <typename Facts>
struct Question;

template <>
struct Question<PlaceFacts> {
  using Decision = PlaceDecision;
  static constexpr Hook hook = Hook::place;
};
template <>
struct Question<SpillFacts> {
  using Decision = SpillDecision;
  static constexpr Hook hook = Hook::spill;
};
template <>
struct Question<PromoteFacts> {
  using Decision = PromoteDecision;
  static constexpr Hook hook = Hook::promote;
};
template <>
struct Question<AdmitFacts> {
  using Decision = AdmitDecision;
  static constexpr Hook hook = Hook::admit;
};
template <>
struct Question<RetainFacts> {
  using Decision = RetainDecision;
  static constexpr Hook hook = Hook::retain;
};

template <typename Facts>
using DecisionOf = typename Question<Facts>::Decision;

}  // namespace pm::policy
