#include "core/simulate/replay.h"

#include <algorithm>
#include <map>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <variant>

#include "core/policy/answers.h"
#include "core/policy/journal_reader.h"
#include "core/policy/policy.h"

namespace pm::simulate {

namespace {

using policy::Expectation;
using policy::JournalAccess;
using policy::JournalBegin;
using policy::JournalLine;

Result<std::unique_ptr<policy::Policy>> load(const std::vector<policy::SourceFile>& files) {
  return policy::Policy::load(files);
}

// The recorded tiers, for the simulator.
std::vector<SimulatedTier> simulated(const std::vector<policy::TierFacts>& recorded) {
  std::vector<SimulatedTier> tiers;
  SimulatedTier* slowest = nullptr;
  tiers.reserve(recorded.size());
  for (const policy::TierFacts& facts : recorded) {
    SimulatedTier& tier = tiers.emplace_back();
    tier.name = facts.name;
    if (facts.keeps_bytes) tier.facts.traits |= catalog::traits_keeps_bytes;
    if (facts.survives_process) tier.facts.traits |= catalog::traits_survives_process;
    if (facts.survives_power) tier.facts.traits |= catalog::traits_survives_power;
    tier.facts.rank = facts.rank;
    tier.facts.capacity_bytes = facts.capacity_bytes;
    tier.facts.spill_to = facts.spill_to;
    if (!facts.keeps_bytes) continue;
    if (slowest == nullptr || tier.facts.rank >= slowest->facts.rank) slowest = &tier;
  }
  if (slowest == nullptr) return {};
  slowest->facts.capacity_bytes = UINT64_MAX;
  return tiers;
}

class Replay {
 public:
  Replay(policy::Policy& policy, std::size_t differences_max)
      : policy_(policy), differences_max_(differences_max) {}

  Status run(policy::JournalReader& reader) {
    for (JournalLine line;;) {
      const auto more = reader.next(line);
      if (!more.ok()) return more.status();
      if (!*more) break;
      if (result_.first_ns == 0) result_.first_ns = line.at_ns;
      result_.last_ns = std::max(result_.last_ns, line.at_ns);
      std::visit([&](const auto& what) { take(line, what); }, line.what);
    }
    result_.files = reader.files();
    result_.lines = reader.lines();
    result_.torn = reader.torn();
    for (auto& [name, reads] : reads_) result_.reads.push_back(std::move(reads));
    for (const policy::RuleState& rule : policy_.rules().states()) {
      if (rule.counts.failed != 0) result_.failing.push_back(rule);
    }
    return {};
  }

  // What the policies would have come to.
  Status simulate(const std::vector<policy::SourceFile>& files) {
    const std::vector<SimulatedTier> tiers = simulated(tiers_);
    if (tiers.empty() || trace_.empty()) {
      result_.not_simulated =
          trace_.empty() ? "there are no accesses in it" : "it does not say what the tiers are";
      return {};
    }
    auto after = load(files);
    if (!after.ok()) return after.status();
    auto ran = run_trace(tiers, **after);
    if (!ran.ok()) return ran.status();
    result_.after = *std::move(ran);
    auto before = load(policies_);
    if (!before.ok()) {
      result_.not_simulated =
          "the policy that was in use cannot be loaded: " + before.status().message();
      return {};
    }
    result_.orders_differ = (*before)->order() != (*after)->order();
    ran = run_trace(tiers, **before);
    if (!ran.ok()) return ran.status();
    result_.before = *std::move(ran);
    return {};
  }

  ReplayResult take_result() { return std::move(result_); }

 private:
  void take(const JournalLine&, const JournalBegin& begin) {
    ++result_.loads;
    tiers_ = begin.tiers;
    policies_ = begin.policies;
  }

  void take(const JournalLine& line, const JournalAccess& recorded) {
    Access access;
    const std::int64_t since_ns = std::max<std::int64_t>(line.at_ns - result_.first_ns, 0);
    constexpr std::int64_t ms_ns = 1'000'000;
    access.time_ms = static_cast<std::uint64_t>(since_ns / ms_ns);
    // Lines are a little out of order.
    if (!trace_.empty()) access.time_ms = std::max(access.time_ms, trace_.back().time_ms);
    access.id = numbers_.try_emplace(recorded.id, numbers_.size()).first->second;
    access.size_bytes = std::max<std::uint64_t>(recorded.size_bytes, 1);
    switch (recorded.kind) {
      case policy::AccessKind::read: {
        RecordedReads& reads = reads_[recorded.tier];
        reads.tier = recorded.tier;
        ++reads.reads;
        reads.read_bytes += recorded.size_bytes;
        break;
      }
      case policy::AccessKind::write:
        ++result_.writes;
        access.op = Op::write;
        break;
      case policy::AccessKind::remove:
        ++result_.removals;
        access.op = Op::remove;
        break;
    }
    trace_.push_back(access);
  }

  template <typename Facts>
  void take(const JournalLine& line, const Expectation<Facts>& recorded) {
    policy::DecisionOf<Facts> decision;
    const std::string rule = policy_.ask(recorded.facts, decision);
    const std::string before = policy::expected_words(recorded);
    const std::string after = rule.empty() ? "default" : policy::words_of(recorded.facts, decision);
    const policy::Hook hook = policy::Question<Facts>::hook;
    DecisionCounts& counts = result_.hooks[static_cast<std::size_t>(hook)];
    ++counts.decisions;
    if (before == after) {
      ++counts.same;
      return;
    }
    if (result_.differences.size() >= differences_max_) return;
    Difference& difference = result_.differences.emplace_back();
    difference.at_ns = line.at_ns;
    difference.hook = hook;
    difference.before = before;
    difference.after = after;
    if constexpr (std::is_same_v<Facts, policy::SpillFacts>) {
      const auto& [tiers, tier, bytes_wanted, candidates] = recorded.facts;
      if (tier < tiers.size()) difference.about = tiers[tier].name;
      difference.size_bytes = bytes_wanted;
    } else {
      difference.about = recorded.facts.payload.id;
      difference.size_bytes = recorded.facts.payload.size_bytes;
    }
  }

  Result<SimulationResult> run_trace(const std::vector<SimulatedTier>& tiers,
                                     policy::Policy& policy) const {
    Decider decider = decider_of(policy);
    decider.promote =
        [ask = std::move(decider.promote)](
            const policy::PromoteFacts& facts) -> std::optional<policy::PromoteDecision> {
      const auto decision = ask ? ask(facts) : std::nullopt;
      return decision.value_or(policy::PromoteDecision());
    };
    Simulator simulator(tiers, std::move(decider));
    PM_TRY(simulator.run(trace_));
    return simulator.result();
  }

  policy::Policy& policy_;
  const std::size_t differences_max_;
  ReplayResult result_;
  std::map<std::string, RecordedReads> reads_;
  std::unordered_map<std::string, std::uint64_t> numbers_;
  std::vector<Access> trace_;
  std::vector<policy::TierFacts> tiers_;
  std::vector<policy::SourceFile> policies_;
};

}  // namespace

Result<ReplayResult> replay(const std::string& journal,
                            const std::vector<policy::SourceFile>& files,
                            std::size_t differences_max) {
  auto policy = load(files);
  if (!policy.ok()) return policy.status();
  auto reader = policy::JournalReader::open(journal);
  if (!reader.ok()) return reader.status();
  Replay replay(**policy, differences_max);
  PM_TRY(replay.run(**reader));
  PM_TRY(replay.simulate(files));
  return replay.take_result();
}

}  // namespace pm::simulate
