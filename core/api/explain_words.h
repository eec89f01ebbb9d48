#pragma once

#include <string>
#include <vector>

#include "core/catalog/explain.h"
#include "tier_table.h"

// Words for people: why a payload is where it is.

namespace pm::api {

// What keeps it or lets it go, one sentence each.
std::vector<std::string> facts_of(const TierTable& tiers, const catalog::Explanation& explanation);

// "promote", "evict", ... and a sentence.
const char* decision_kind(const TierTable& tiers, const catalog::Event& event);
std::string decision_words(const TierTable& tiers, const catalog::Event& event);

// "2023-11-14T22:13:20Z" (RFC 3339).
std::string time_text(std::int64_t wall_ns);

}  // namespace pm::api
