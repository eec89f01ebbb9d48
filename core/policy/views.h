#pragma once

#include <cstdint>
#include <lua.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "questions.h"

namespace pm::policy {

// Scripts look at facts through views: userdata that point at the C++ values, so that only what a
// rule reads costs anything.

// The question that is being asked. Views of an earlier one are refused.
struct Scope {
  const std::vector<TierFacts>* tiers = nullptr;
  std::uint64_t question = 0;
  std::vector<TierIndex> by_rank;  // Made when it is first needed.

  void open(const std::vector<TierFacts>& of);
  void close();
};

class FactsWriter;
class Reader;

// A field of facts: how a script sees it, how an example gives it, and how the journal keeps it;
// nullptr: not at all, it follows from others.
template <typename Object>
struct Field {
  const char* name;
  void (*push)(lua_State* lua, Scope& scope, const Object& object);
  void (*read)(Reader& reader, Object& object);
  void (*write)(FactsWriter& writer, const char* name, const Object& object);
};

// Of PayloadFacts, TierFacts, ClientFacts and the facts of each hook.
template <typename Object>
std::span<const Field<Object>> fields_of();
// "payload"; stands in errors.
template <typename Object>
const char* kind_of();

// Makes what views need in a state; `scope` is there as long as the state is. Like all else here,
// it may raise an error of Lua's.
void set_up_views(lua_State* lua, Scope& scope);

// What is seen without fields of its own, by number or by name.
struct TierList {};   // std::vector<TierFacts>, by rank
struct Payloads {};   // std::vector<PayloadFacts>
struct TierNames {};  // std::vector<TierIndex>
struct UsedBytes {};  // std::vector<std::uint64_t>, of each tier
struct LabelMap {};   // A shared pointer of catalog::Labels

template <typename Kind>
inline constexpr char kind_key = 0;  // Its address tells kinds apart.

void push_view(lua_State* lua, const Scope& scope, const void* kind, const void* object);
template <typename Kind>
void push_view(lua_State* lua, const Scope& scope, const void* object) {
  push_view(lua, scope, &kind_key<Kind>, object);
}

void push_count(lua_State* lua, std::uint64_t count);
void push_tier_name(lua_State* lua, const Scope& scope, TierIndex tier);  // nil for no_tier.

// no_tier: there is none of this name.
TierIndex find_tier(const std::vector<TierFacts>& tiers, std::string_view name);
// "'shn' is no tier; there are shm, disk"
std::string no_such_tier(const std::vector<TierFacts>& tiers, std::string_view name);

}  // namespace pm::policy
