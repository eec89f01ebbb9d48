#include "policy.h"

#include <utility>

#include "answers.h"
#include "examples.h"
#include "views.h"

namespace pm::policy {

namespace {

// What is on the way while a question is asked.
template <typename Facts>
struct Asking {
  Scope& scope;
  const Facts& facts;
  DecisionOf<Facts>& decision;

  static int push(lua_State* lua, const void* data) {
    const auto& asking = *static_cast<const Asking*>(data);
    push_view<Facts>(lua, asking.scope, &asking.facts);
    return 1;
  }
  static Status take(lua_State* lua, void* data) {
    auto& asking = *static_cast<Asking*>(data);
    return take_answer(lua, asking.facts, asking.decision);
  }
};

// Facts can be looked at as long as one of these is there.
class Opening {
 public:
  Opening(Scope& scope, const std::vector<TierFacts>& tiers) : scope_(scope) { scope_.open(tiers); }
  ~Opening() { scope_.close(); }
  Opening(const Opening&) = delete;
  Opening& operator=(const Opening&) = delete;

 private:
  Scope& scope_;
};

template <typename Facts>
Status rehearse(Rules& rules, Scope& scope, const Example& example,
                const Expectation<Facts>& expectation) {
  DecisionOf<Facts> decision;
  Asking<Facts> asking{scope, expectation.facts, decision};
  const Opening opening(scope, expectation.facts.tiers);
  const auto rule = rules.rehearse(Question<Facts>::hook, example.rule, &Asking<Facts>::push,
                                   &asking, &Asking<Facts>::take, &asking);
  const std::string expected = expected_words(expectation);
  if (!rule.ok()) {
    return {Code::invalid_argument,
            example.where + ": expected " + expected + ", and " + rule.status().message()};
  }
  const std::string got = rule->empty() ? "default" : words_of(expectation.facts, decision);
  if (got == expected) return {};
  // Any refusal will do when no words are asked for.
  if (expected == "refused" && got.starts_with("refused: ")) return {};
  const std::string whose = rule->empty() ? "" : " from the rule '" + *rule + "'";
  return {Code::invalid_argument,
          example.where + ": expected " + expected + ", and got " + got + whose};
}

}  // namespace

struct Policy::Scene {
  Scope scope;
  Examples examples;
};

Policy::Policy() : scene_(std::make_unique<Scene>()) {}
Policy::~Policy() = default;

Result<std::unique_ptr<Policy>> Policy::load(const std::vector<SourceFile>& files,
                                             const SandboxLimits& limits) {
  std::unique_ptr<Policy> policy(new Policy());
  const RulesExtension extension{[](lua_State* lua, void* data) {
                                   auto& scene = *static_cast<Scene*>(data);
                                   set_up_views(lua, scene.scope);
                                   push_examples(lua, scene.examples);
                                 },
                                 policy->scene_.get()};
  auto rules = Rules::load(files, limits, extension);
  if (!rules.ok()) return rules.status();
  policy->scene_->examples.is_closed = true;
  policy->rules_ = std::move(*rules);
  PM_TRY(policy->check_orders());
  return policy;
}

// One order for a question: candidates are chosen before any rule is asked.
Status Policy::check_orders() const {
  const std::vector<RuleState> states = rules_->states();
  const RuleState* first = nullptr;
  for (const RuleState& state : states) {
    if (state.from.empty()) continue;
    if (first == nullptr) first = &state;
    if (state.from == first->from) continue;
    return {Code::invalid_argument, state.where + ": the rule '" + state.name +
                                        "' of spill wants candidates from = \"" + state.from +
                                        "\", and '" + first->name + "' (" + first->where +
                                        ") from = \"" + first->from + "\"; have one of the two"};
  }
  return {};
}

CandidateOrder order_of(const std::vector<RuleState>& states) {
  for (const RuleState& state : states) {
    if (state.hook != Hook::spill || state.is_suspended || state.from.empty()) continue;
    return state.from == "score" ? CandidateOrder::score : CandidateOrder::oldest;
  }
  return CandidateOrder::oldest;
}

CandidateOrder Policy::order() const { return order_of(rules_->states()); }

template <typename Facts, typename Decision>
std::string Policy::put(const Facts& facts, Decision& decision) {
  Asking<Facts> asking{scene_->scope, facts, decision};
  const Opening opening(scene_->scope, facts.tiers);
  return rules_->ask(Question<Facts>::hook, &Asking<Facts>::push, &asking, &Asking<Facts>::take,
                     &asking);
}

std::string Policy::ask(const PlaceFacts& facts, PlaceDecision& decision) {
  return put(facts, decision);
}
std::string Policy::ask(const AdmitFacts& facts, AdmitDecision& decision) {
  return put(facts, decision);
}
std::string Policy::ask(const SpillFacts& facts, SpillDecision& decision) {
  return put(facts, decision);
}
std::string Policy::ask(const PromoteFacts& facts, PromoteDecision& decision) {
  return put(facts, decision);
}
std::string Policy::ask(const RetainFacts& facts, RetainDecision& decision) {
  return put(facts, decision);
}

Status Policy::run_example(std::size_t number) {
  const Example& example = scene_->examples.list[number];
  return std::visit(
      [&](const auto& expectation) {
        return rehearse(*rules_, scene_->scope, example, expectation);
      },
      example.expectation);
}

std::vector<Status> Policy::run_examples() {
  std::vector<Status> results;
  for (std::size_t n = 0; n < examples_count(); ++n) results.push_back(run_example(n));
  return results;
}

Status Policy::check_examples(const std::function<Status()>& patience) {
  for (std::size_t n = 0; n < examples_count(); ++n) {
    if (patience) PM_TRY(patience());
    PM_TRY(run_example(n));
  }
  return {};
}

std::size_t Policy::examples_count() const { return scene_->examples.list.size(); }

}  // namespace pm::policy
