#include "facts_writer.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <type_traits>

#include "core/observe/log.h"
#include "views.h"

namespace pm::policy {

namespace {

template <typename Number>
void append(std::string& out, Number number) {
  std::array<char, 24> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  out.append(digits.data(), end);
}

bool is_plain(char c) {
  return static_cast<unsigned char>(c) >= 0x20 && static_cast<unsigned char>(c) < 0x7f &&
         c != '"' && c != '\\';
}

}  // namespace

void FactsWriter::comma() {
  if (out_.back() != '{' && out_.back() != '[') out_ += ',';
}

void FactsWriter::quoted(std::string_view text) {
  out_ += '"';
  if (std::ranges::all_of(text, &is_plain)) {
    out_ += text;
  } else {
    out_ += log::escape_json(text);
  }
  out_ += '"';
}

void FactsWriter::begin(std::string_view name) {
  comma();
  quoted(name);
  out_ += ':';
}

// What is counted in 64 bits is a number of Lua up to there.
void FactsWriter::count(std::string_view name, std::uint64_t count) {
  begin(name);
  append(out_, std::min<std::uint64_t>(count, INT64_MAX));
}

void FactsWriter::number(std::string_view name, std::int64_t number) {
  begin(name);
  append(out_, number);
}

void FactsWriter::flag(std::string_view name, bool flag) {
  begin(name);
  out_ += flag ? "true" : "false";
}

void FactsWriter::text(std::string_view name, std::string_view text) {
  begin(name);
  quoted(text);
}

std::string_view FactsWriter::tier_name(TierIndex tier) const {
  if (tiers_ == nullptr || tier >= tiers_->size()) return {};
  return (*tiers_)[tier].name;
}

void FactsWriter::tier(std::string_view name, TierIndex tier) {
  const std::string_view found = tier_name(tier);
  if (!found.empty()) text(name, found);
}

void FactsWriter::tiers(std::string_view name, const std::vector<TierFacts>& tiers) {
  begin(name);
  this->tiers(tiers);
}

void FactsWriter::tiers(const std::vector<TierFacts>& tiers) {
  tiers_ = &tiers;
  out_ += '[';
  for (const TierFacts& tier : tiers) {
    comma();
    members(tier);
  }
  out_ += ']';
}

void FactsWriter::tier_names(std::string_view name, const std::vector<TierIndex>& tiers) {
  begin(name);
  out_ += '[';
  for (const TierIndex tier : tiers) {
    comma();
    quoted(tier_name(tier));
  }
  out_ += ']';
}

void FactsWriter::labels(std::string_view name, const catalog::Labels& labels) {
  begin(name);
  out_ += '{';
  for (const catalog::Label& label : labels) text(label.key, label.value);
  out_ += '}';
}

void FactsWriter::used_bytes(std::string_view name, const std::vector<std::uint64_t>& used_bytes) {
  begin(name);
  out_ += '{';
  for (std::size_t tier = 0; tier < used_bytes.size(); ++tier) {
    const std::string_view found = tier_name(static_cast<TierIndex>(tier));
    if (!found.empty()) count(found, used_bytes[tier]);
  }
  out_ += '}';
}

void FactsWriter::payloads(std::string_view name, const std::vector<PayloadFacts>& payloads) {
  begin(name);
  out_ += '[';
  for (const PayloadFacts& payload : payloads) {
    comma();
    members(payload);
  }
  out_ += ']';
}

template <typename Object>
void FactsWriter::members(const Object& object) {
  out_ += '{';
  for (const Field<Object>& field : fields_of<Object>()) {
    if (field.write != nullptr) field.write(*this, field.name, object);
  }
  out_ += '}';
}

template <typename Object>
void FactsWriter::object(std::string_view name, const Object& object) {
  begin(name);
  members(object);
}
template void FactsWriter::object(std::string_view, const PayloadFacts&);
template void FactsWriter::object(std::string_view, const ClientFacts&);

template <typename Facts>
void FactsWriter::facts(const Facts& facts) {
  tiers_ = &facts.tiers;
  members(facts);
}
template void FactsWriter::facts(const PlaceFacts&);
template void FactsWriter::facts(const SpillFacts&);
template void FactsWriter::facts(const PromoteFacts&);
template void FactsWriter::facts(const AdmitFacts&);
template void FactsWriter::facts(const RetainFacts&);

// ---- answers ----

void FactsWriter::put(const SpillFacts&, const SpillDecision& decision) {
  out_ += '[';
  for (const Victim& victim : decision.victims) {
    comma();
    if (victim.target == no_tier) {
      append(out_, victim.candidate + 1);
      continue;
    }
    out_ += '{';
    count("candidate", victim.candidate + 1);
    tier("to", victim.target);
    out_ += '}';
  }
  out_ += ']';
}

template <typename Facts>
void FactsWriter::answer(const Facts& facts, const DecisionOf<Facts>& decision) {
  tiers_ = &facts.tiers;
  if constexpr (std::is_same_v<Facts, SpillFacts>) {
    put(facts, decision);
  } else if constexpr (std::is_same_v<Facts, AdmitFacts>) {
    if (decision.why.empty()) {
      out_ += decision.admitted ? "true" : "false";
    } else {
      quoted(decision.why);
    }
  } else if constexpr (std::is_same_v<Facts, PromoteFacts>) {
    if (decision.tier == no_tier) {
      out_ += "false";
    } else {
      quoted(tier_name(decision.tier));
    }
  } else if constexpr (std::is_same_v<Facts, RetainFacts>) {
    if (decision.keep_ms == 0) return quoted("delete");
    out_ += '{';
    count("keep_ms", decision.keep_ms);
    tier("tier", decision.tier);
    out_ += '}';
  } else {
    out_ += '{';
    tier("tier", decision.tier);
    tier("copy_to", decision.copy_to);
    out_ += '}';
  }
}
template void FactsWriter::answer(const PlaceFacts&, const PlaceDecision&);
template void FactsWriter::answer(const SpillFacts&, const SpillDecision&);
template void FactsWriter::answer(const PromoteFacts&, const PromoteDecision&);
template void FactsWriter::answer(const AdmitFacts&, const AdmitDecision&);
template void FactsWriter::answer(const RetainFacts&, const RetainDecision&);

}  // namespace pm::policy
