#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "questions.h"

namespace pm::policy {

// Adds facts to a text, as JSON with the names that scripts use. What is as facts.h has it when
// nothing is said is left out, so that Reader makes the same facts of it again.
class FactsWriter {
 public:
  explicit FactsWriter(std::string& out) : out_(out) {}

  // An object of JSON.
  template <typename Facts>
  void facts(const Facts& facts);
  // What a rule would have to return; see answers.h.
  template <typename Facts>
  void answer(const Facts& facts, const DecisionOf<Facts>& decision);
  // A list of tiers as facts have them.
  void tiers(const std::vector<TierFacts>& tiers);

  // Members; what follows `name` is the value.
  void count(std::string_view name, std::uint64_t count);
  void number(std::string_view name, std::int64_t number);
  void flag(std::string_view name, bool flag);
  void text(std::string_view name, std::string_view text);
  void tier(std::string_view name, TierIndex tier);  // Nothing when there is no such tier.
  void tiers(std::string_view name, const std::vector<TierFacts>& tiers);
  void tier_names(std::string_view name, const std::vector<TierIndex>& tiers);
  void labels(std::string_view name, const catalog::Labels& labels);
  void used_bytes(std::string_view name, const std::vector<std::uint64_t>& used_bytes);
  void payloads(std::string_view name, const std::vector<PayloadFacts>& payloads);
  template <typename Object>
  void object(std::string_view name, const Object& object);

 private:
  void begin(std::string_view name);
  void comma();
  void quoted(std::string_view text);
  template <typename Object>
  void members(const Object& object);
  std::string_view tier_name(TierIndex tier) const;  // Empty when there is no such tier.
  void put(const SpillFacts& facts, const SpillDecision& decision);

  std::string& out_;
  const std::vector<TierFacts>* tiers_ = nullptr;
};

}  // namespace pm::policy
