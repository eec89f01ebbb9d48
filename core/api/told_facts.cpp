#include "told_facts.h"

namespace pm::api {

namespace {

ToldFacts about(policy::Hook hook, policy::TierIndex tier,
                const std::vector<policy::TierFacts>& tiers) {
  ToldFacts told;
  told.hook = hook;
  told.tier = tier;
  if (tier >= tiers.size()) return told;
  told.used_bytes = tiers[tier].used_bytes;
  told.capacity_bytes = tiers[tier].capacity_bytes;
  told.waiting_bytes = tiers[tier].waiting_bytes;
  return told;
}

void set_payload(const policy::PayloadFacts& payload, ToldFacts& told) {
  told.size_bytes = payload.size_bytes;
  told.age_ms = payload.age_ms;
  told.reads = payload.reads;
  told.unread_ms = payload.unread_ms;
  told.frequency = payload.frequency;
}

class Words {
 public:
  Words& add(const std::string& name, std::uint64_t count) {
    text_ += (text_.empty() ? "" : ", ") + name + " " + std::to_string(count);
    return *this;
  }
  Words& of(std::uint64_t whole) {
    text_ += " of " + std::to_string(whole);
    return *this;
  }
  std::string text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace

ToldFacts told(const policy::PlaceFacts& facts) {
  ToldFacts told = about(policy::Hook::place, facts.hint, facts.tiers);
  set_payload(facts.payload, told);
  told.client_payloads = facts.client.payloads;
  if (facts.hint < facts.client.used_bytes.size()) {
    told.client_used_bytes = facts.client.used_bytes[facts.hint];
  }
  return told;
}

ToldFacts told(const policy::SpillFacts& facts) {
  ToldFacts told = about(policy::Hook::spill, facts.tier, facts.tiers);
  told.bytes_wanted = facts.bytes_wanted;
  told.candidates = static_cast<std::uint32_t>(facts.candidates.size());
  return told;
}

ToldFacts told(const policy::PromoteFacts& facts) {
  ToldFacts told = about(policy::Hook::promote, facts.target, facts.tiers);
  set_payload(facts.payload, told);
  told.has_victim = facts.has_victim;
  told.victim_size_bytes = facts.victim.size_bytes;
  told.victim_frequency = facts.victim.frequency;
  told.victim_unread_ms = facts.victim.unread_ms;
  return told;
}

ToldFacts told(const policy::RetainFacts& facts) {
  const policy::TierIndex shown =
      facts.payload.tiers.empty() ? policy::no_tier : facts.payload.tiers.front();
  ToldFacts told = about(policy::Hook::retain, shown, facts.tiers);
  set_payload(facts.payload, told);
  return told;
}

void set_candidate(const catalog::Candidate& candidate, ToldFacts& told) {
  constexpr std::uint64_t ms_ns = 1'000'000;
  told.size_bytes = candidate.size_bytes;
  told.reads = candidate.reads;
  told.unread_ms = candidate.unread_ns / ms_ns;
  told.frequency = candidate.frequency;
}

std::string words_of(const ToldFacts& facts, const std::vector<policy::TierFacts>& tiers) {
  Words words;
  if (facts.rule == 0) return {};
  const bool is_place = facts.hook == policy::Hook::place;
  if (facts.hook == policy::Hook::spill) {
    words.add("candidate", facts.candidate + 1).of(facts.candidates);
    words.add("bytes_wanted", facts.bytes_wanted);
  }
  words.add("size_bytes", facts.size_bytes);
  if (!is_place) {
    words.add("frequency", facts.frequency).add("reads", facts.reads);
    words.add("unread_ms", facts.unread_ms);
  }
  if (facts.hook == policy::Hook::retain) words.add("age_ms", facts.age_ms);
  if (facts.tier < tiers.size()) {
    const std::string& name = tiers[facts.tier].name;
    words.add(name + " used_bytes", facts.used_bytes);
    if (facts.capacity_bytes != UINT64_MAX) words.of(facts.capacity_bytes);
    words.add(name + " waiting_bytes", facts.waiting_bytes);
  }
  if (is_place) {
    words.add("client payloads", facts.client_payloads);
    if (facts.tier < tiers.size()) words.add("client used_bytes", facts.client_used_bytes);
  }
  if (facts.has_victim) {
    words.add("victim size_bytes", facts.victim_size_bytes);
    words.add("victim frequency", facts.victim_frequency);
    words.add("victim unread_ms", facts.victim_unread_ms);
  }
  return words.text();
}

void ToldFactsRing::add(const ToldFacts& facts) {
  const std::lock_guard lock(mutex_);
  if (ring_.size() < kept) {
    ring_.push_back(facts);
    return;
  }
  ring_[next_] = facts;
  next_ = (next_ + 1) % kept;
}

ToldFacts ToldFactsRing::find(const catalog::Id& id, std::uint16_t rule,
                              std::int64_t before_ns) const {
  ToldFacts found;
  const std::lock_guard lock(mutex_);
  for (const ToldFacts& facts : ring_) {
    if (facts.id != id || facts.rule != rule || facts.wall_ns > before_ns) continue;
    if (found.rule == 0 || facts.wall_ns >= found.wall_ns) found = facts;
  }
  return found;
}

}  // namespace pm::api
