#include "answers.h"

#include <algorithm>
#include <initializer_list>
#include <string_view>
#include <vector>

#include "views.h"
#include "words.h"

namespace pm::policy {

namespace {

// A hundred years: what is longer is no time to live.
constexpr lua_Integer keep_ms_max = 3'155'760'000'000;

Status wrong(std::string words) { return {Code::invalid_argument, std::move(words)}; }

std::string_view text_on_top(lua_State* lua) {
  std::size_t length = 0;
  const char* text = lua_tolstring(lua, -1, &length);
  return {text, length};
}

// The name on top of the stack.
Status take_tier(lua_State* lua, const std::vector<TierFacts>& tiers, const char* what,
                 TierIndex& tier) {
  if (lua_type(lua, -1) != LUA_TSTRING) {
    return wrong(std::string(what) + " is the name of a tier, and not a " + luaL_typename(lua, -1));
  }
  const std::string_view name = text_on_top(lua);
  tier = find_tier(tiers, name);
  return tier == no_tier ? wrong(no_such_tier(tiers, name)) : Status();
}

// The member of the table on top of the stack; what is nil stays no_tier.
Status take_tier_field(lua_State* lua, const std::vector<TierFacts>& tiers, const char* field,
                       TierIndex& tier) {
  Status status;
  if (lua_getfield(lua, -1, field) != LUA_TNIL) status = take_tier(lua, tiers, field, tier);
  lua_pop(lua, 1);
  return status;
}

// Where the members of the table on top of the stack are: one that was made while its file was
// loaded is frozen, and has them behind it. Pushes that table.
void push_members(lua_State* lua) {
  if (lua_getmetatable(lua, -1) == 0) {
    lua_pushvalue(lua, -1);
    return;
  }
  lua_getfield(lua, -1, "__index");
  lua_remove(lua, -2);
}

// Of the table on top of the stack.
Status refuse_other_fields(lua_State* lua, const char* what,
                           std::initializer_list<std::string_view> fields) {
  Status status;
  push_members(lua);
  for (lua_pushnil(lua); lua_next(lua, -2) != 0; lua_pop(lua, 1)) {
    if (!status.ok()) continue;
    const bool is_named = lua_type(lua, -2) == LUA_TSTRING;
    const std::string key = is_named ? lua_tostring(lua, -2) : "numbered part";
    bool is_known = false;
    for (const std::string_view field : fields) is_known = is_known || (is_named && key == field);
    if (!is_known) status = wrong(std::string(what) + " has no '" + key + "'");
  }
  lua_pop(lua, 1);
  return status;
}

// ---- spill ----

// A candidate's number on top of the stack; gives its place from 0.
Status take_number(lua_State* lua, std::size_t count, std::uint32_t& candidate) {
  int is_whole = 0;
  const lua_Integer number =
      lua_type(lua, -1) == LUA_TNUMBER ? lua_tointegerx(lua, -1, &is_whole) : 0;
  if (is_whole == 0) return wrong("a candidate is a whole number");
  if (number < 1 || static_cast<std::uint64_t>(number) > count) {
    return wrong("there is no candidate " + std::to_string(number) + "; there are " +
                 std::to_string(count));
  }
  candidate = static_cast<std::uint32_t>(number - 1);
  return {};
}

// The entry on top of the stack.
Status take_victim(lua_State* lua, const SpillFacts& facts, Victim& victim) {
  if (!lua_istable(lua, -1)) return take_number(lua, facts.candidates.size(), victim.candidate);
  PM_TRY(refuse_other_fields(lua, "a victim", {"candidate", "to"}));
  lua_getfield(lua, -1, "candidate");
  const Status status = take_number(lua, facts.candidates.size(), victim.candidate);
  lua_pop(lua, 1);
  PM_TRY(status);
  PM_TRY(take_tier_field(lua, facts.tiers, "to", victim.target));
  if (victim.target != no_tier && victim.target == facts.tier) {
    return wrong("candidate " + std::to_string(victim.candidate + 1) +
                 " leaves for the tier that it is to leave");
  }
  return {};
}

// Everything in the table on top of the stack must be one of `length` entries.
Status check_list(lua_State* lua, lua_Integer length) {
  lua_Integer entries = 0;
  Status status;
  push_members(lua);
  for (lua_pushnil(lua); lua_next(lua, -2) != 0; lua_pop(lua, 1)) {
    const lua_Integer key = lua_isinteger(lua, -2) != 0 ? lua_tointeger(lua, -2) : 0;
    if (key < 1 || key > length) status = wrong("the answer is a list of candidates");
    ++entries;
  }
  lua_pop(lua, 1);
  if (status.ok() && entries != length) return wrong("the list of candidates has gaps");
  return status;
}

std::string name_of(const std::vector<TierFacts>& tiers, TierIndex tier) {
  return tier < tiers.size() ? tiers[tier].name : "no tier";
}

}  // namespace

template <>
Status take_answer(lua_State* lua, const PlaceFacts& facts, PlaceDecision& decision) {
  PlaceDecision taken;
  if (lua_istable(lua, -1)) {
    PM_TRY(refuse_other_fields(lua, "an answer of place", {"tier", "copy_to"}));
    PM_TRY(take_tier_field(lua, facts.tiers, "tier", taken.tier));
    PM_TRY(take_tier_field(lua, facts.tiers, "copy_to", taken.copy_to));
    if (taken.tier == no_tier) return wrong("the answer names no tier");
    if (taken.copy_to == taken.tier) return wrong("copy_to is the tier of the first copy");
  } else {
    PM_TRY(take_tier(lua, facts.tiers, "the answer", taken.tier));
  }
  decision = taken;
  return {};
}

template <>
Status take_answer(lua_State* lua, const AdmitFacts&, AdmitDecision& decision) {
  if (lua_type(lua, -1) == LUA_TSTRING) {
    decision = {false, printable(text_on_top(lua), why_bytes_max)};
    return {};
  }
  if (!lua_isboolean(lua, -1)) {
    return wrong(std::string("the answer is true, false or words, and not a ") +
                 luaL_typename(lua, -1));
  }
  decision = {lua_toboolean(lua, -1) != 0, {}};
  return {};
}

template <>
Status take_answer(lua_State* lua, const SpillFacts& facts, SpillDecision& decision) {
  if (!lua_istable(lua, -1)) {
    return wrong(std::string("the answer is a list of candidates, and not a ") +
                 luaL_typename(lua, -1));
  }
  const lua_Integer length = luaL_len(lua, -1);
  if (static_cast<std::uint64_t>(length) > facts.candidates.size()) {
    return wrong("the answer has more entries than there are candidates");
  }
  PM_TRY(check_list(lua, length));
  SpillDecision taken;
  taken.victims.resize(static_cast<std::size_t>(length));
  std::vector<bool> is_taken(facts.candidates.size(), false);
  lua_Integer number = 0;
  for (Victim& victim : taken.victims) {
    lua_geti(lua, -1, ++number);
    const Status status = take_victim(lua, facts, victim);
    lua_pop(lua, 1);
    PM_TRY(status);
    if (is_taken[victim.candidate]) {
      return wrong("candidate " + std::to_string(victim.candidate + 1) + " is named twice");
    }
    is_taken[victim.candidate] = true;
  }
  decision = std::move(taken);
  return {};
}

template <>
Status take_answer(lua_State* lua, const PromoteFacts& facts, PromoteDecision& decision) {
  PromoteDecision taken;
  if (lua_isboolean(lua, -1)) {
    if (lua_toboolean(lua, -1) != 0) return wrong("the answer is the name of a tier or false");
  } else {
    PM_TRY(take_tier(lua, facts.tiers, "the answer", taken.tier));
  }
  decision = taken;
  return {};
}

template <>
Status take_answer(lua_State* lua, const RetainFacts& facts, RetainDecision& decision) {
  if (lua_type(lua, -1) == LUA_TSTRING && text_on_top(lua) == "delete") {
    decision = {};
    return {};
  }
  if (!lua_istable(lua, -1))
    return wrong("the answer is \"delete\" or {keep_ms = ..., tier = ...}");
  PM_TRY(refuse_other_fields(lua, "an answer of retain", {"keep_ms", "tier"}));
  RetainDecision taken;
  int is_whole = 0;
  const bool is_number = lua_getfield(lua, -1, "keep_ms") == LUA_TNUMBER;
  const lua_Integer keep_ms = is_number ? lua_tointegerx(lua, -1, &is_whole) : 0;
  lua_pop(lua, 1);
  if (is_whole == 0 || keep_ms < 1 || keep_ms > keep_ms_max) {
    return wrong("keep_ms is a whole number from 1 to " + std::to_string(keep_ms_max));
  }
  taken.keep_ms = static_cast<std::uint64_t>(keep_ms);
  PM_TRY(take_tier_field(lua, facts.tiers, "tier", taken.tier));
  decision = taken;
  return {};
}

// ---- in words ----

template <>
std::string words_of(const PlaceFacts& facts, const PlaceDecision& decision) {
  std::string words = name_of(facts.tiers, decision.tier);
  if (decision.copy_to == no_tier) return words;
  return words + ", and a copy on " + name_of(facts.tiers, decision.copy_to);
}

template <>
std::string words_of(const AdmitFacts&, const AdmitDecision& decision) {
  if (decision.admitted) return "admitted";
  return decision.why.empty() ? "refused" : "refused: " + decision.why;
}

template <>
std::string words_of(const SpillFacts& facts, const SpillDecision& decision) {
  std::string words;
  for (const Victim& victim : decision.victims) {
    words += (words.empty() ? "" : ", ") + std::to_string(victim.candidate + 1);
    if (victim.target != no_tier) words += " to " + name_of(facts.tiers, victim.target);
  }
  return words.empty() ? "no victim" : words;
}

template <>
std::string words_of(const PromoteFacts& facts, const PromoteDecision& decision) {
  return decision.tier == no_tier ? "it stays" : name_of(facts.tiers, decision.tier);
}

template <>
std::string words_of(const RetainFacts& facts, const RetainDecision& decision) {
  if (decision.keep_ms == 0) return "delete";
  std::string words = "keep it for " + std::to_string(decision.keep_ms) + " ms";
  if (decision.tier != no_tier) words += " on " + name_of(facts.tiers, decision.tier);
  return words;
}

}  // namespace pm::policy
