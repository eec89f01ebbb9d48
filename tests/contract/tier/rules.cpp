#include "rules.h"

#include <algorithm>
#include <cstring>
#include <exception>

namespace pm::check {
namespace {

unsigned offered_by(const Bench& bench) {
  unsigned offers = bench.has(PM_TIER_KEEPS_BYTES) ? needs_bytes : needs_no_bytes;
  offers |= bench.asks_for_sealing() ? needs_sealing : needs_names;
  if (bench.outlives_the_host()) offers |= needs_survival;
  if (bench.enumeration() != nullptr) offers |= needs_enumeration;
  if (bench.info().capacity_bytes != UINT64_MAX) offers |= needs_capacity;
  if (bench.has(PM_TIER_HOST_ADDRESSABLE)) offers |= needs_address;
  if (bench.has(PM_TIER_SHARES_DESCRIPTORS)) offers |= needs_share;
  if (bench.has(PM_TIER_PARALLEL_RANGES)) offers |= needs_parallel_ranges;
  return offers;
}

}  // namespace

Outcome run_rule(const Rule& rule, const Subject& subject) {
  try {
    Bench bench(subject);
    if ((rule.needs & ~offered_by(bench)) != 0) return {false, {}};
    rule.check(bench);
    return {};
  } catch (const RuleBroken& broken) {
    return {true, broken.what()};
  } catch (const std::exception& error) {
    return {true, std::string("the rule could not be tried: ") + error.what()};
  }
}

const std::vector<Rule>& tier_rules() {
  static const std::vector<Rule> all = [] {
    std::vector<Rule> rules;
    for (const auto& part : {abi_rules(), byte_rules(), object_rules(), life_rules(),
                             location_rules(), room_rules(), share_rules(), sealed_rules()}) {
      rules.insert(rules.end(), part.begin(), part.end());
    }
    std::sort(rules.begin(), rules.end(),
              [](const Rule& a, const Rule& b) { return std::strcmp(a.number, b.number) < 0; });
    return rules;
  }();
  return all;
}

}  // namespace pm::check
