#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "core/catalog/asking.h"
#include "core/policy/questions.h"

namespace pm::api {

// What a rule was told when it decided about a payload: what matters of it, for Explain.
struct ToldFacts {
  catalog::Id id;
  std::int64_t wall_ns = 0;
  std::uint16_t rule = 0;  // As events have it.
  policy::Hook hook = policy::Hook::place;
  policy::TierIndex tier = policy::no_tier;  // The one that it was about; the next three are its.
  bool has_victim = false;
  std::uint64_t used_bytes = 0;
  std::uint64_t capacity_bytes = 0;
  std::uint64_t waiting_bytes = 0;
  std::uint64_t bytes_wanted = 0;  // Of a spill, as the two after it.
  std::uint32_t candidate = 0;
  std::uint32_t candidates = 0;
  std::uint32_t frequency = 0;
  std::uint32_t victim_frequency = 0;
  std::uint64_t size_bytes = 0;
  std::uint64_t reads = 0;
  std::uint64_t unread_ms = 0;
  std::uint64_t age_ms = 0;  // Not of a candidate.
  std::uint64_t victim_size_bytes = 0;
  std::uint64_t victim_unread_ms = 0;
  std::uint64_t client_payloads = 0;
  std::uint64_t client_used_bytes = 0;  // On that tier.
};

// All but who decided when; of a spill, without the candidate.
ToldFacts told(const policy::PlaceFacts& facts);
ToldFacts told(const policy::SpillFacts& facts);
ToldFacts told(const policy::PromoteFacts& facts);
ToldFacts told(const policy::RetainFacts& facts);
void set_candidate(const catalog::Candidate& candidate, ToldFacts& told);

std::string words_of(const ToldFacts& facts, const std::vector<policy::TierFacts>& tiers);

// The last ones. [thread-safe]
class ToldFactsRing {
 public:
  static constexpr std::size_t kept = 4'096;

  void add(const ToldFacts& facts);
  // What `rule` was told about the payload when it decided last before this time; of no rule (0)
  // when it is not known any more.
  ToldFacts find(const catalog::Id& id, std::uint16_t rule, std::int64_t before_ns) const;

 private:
  mutable std::mutex mutex_;
  std::vector<ToldFacts> ring_;
  std::size_t next_ = 0;
};

}  // namespace pm::api
