#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <pm/cpp/result.hpp>
#include <string>
#include <vector>

#include "facts.h"
#include "rules.h"

namespace pm::policy {

// The rules of some files and the questions that they answer. One thread at a time.
//
// A rule sees `facts` with the names of facts.h (fields.cpp lists them); a field that there is not
// is an error, a value that there is not is nil. Tiers are named; `facts.tiers` has them by rank
// and by name. What it answers stands in answers.h. A file may also say what it expects:
//
//   policy.example { hook = "place", facts = {tiers = {{name = "shm"}}}, expect = "shm" }
//
// What the facts leave out is as in facts.h. expect = "default": no rule answers. With `rule`, only
// the rule of that name is asked.
class Policy {
 public:
  // INVALID_ARGUMENT says file, line and why.
  static Result<std::unique_ptr<Policy>> load(const std::vector<SourceFile>& files,
                                              const SandboxLimits& limits = {});
  ~Policy();
  Policy(const Policy&) = delete;
  Policy& operator=(const Policy&) = delete;

  // The name of the rule that answered; empty: none did, the default is to, and the decision is as
  // it was.
  std::string ask(const PlaceFacts& facts, PlaceDecision& decision);
  std::string ask(const AdmitFacts& facts, AdmitDecision& decision);
  std::string ask(const SpillFacts& facts, SpillDecision& decision);
  std::string ask(const PromoteFacts& facts, PromoteDecision& decision);
  std::string ask(const RetainFacts& facts, RetainDecision& decision);

  // Is there any rule that is not suspended?
  bool has_rules(Hook hook) const { return rules_->has_rules(hook); }
  // In which the candidates of a spill are to be shown.
  CandidateOrder order() const;

  // INVALID_ARGUMENT says file and line of the first example that does not hold, what it expects
  // and what it got. Leaves no trace in what rules() counts.
  // Gives up with `patience`'s error, which is asked before each.
  Status check_examples(const std::function<Status()>& patience = {});
  // One for each example, in their order.
  std::vector<Status> run_examples();
  std::size_t examples_count() const;

  Rules& rules() { return *rules_; }
  const Rules& rules() const { return *rules_; }

 private:
  struct Scene;

  Policy();
  template <typename Facts, typename Decision>
  std::string put(const Facts& facts, Decision& decision);
  Status check_orders() const;
  Status run_example(std::size_t number);

  std::unique_ptr<Scene> scene_;
  std::unique_ptr<Rules> rules_;
};

// The order that the first of these rules that is not suspended asks for.
CandidateOrder order_of(const std::vector<RuleState>& states);

}  // namespace pm::policy
