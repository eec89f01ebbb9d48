#include "examples.h"

#include <string_view>

#include "answers.h"
#include "reader.h"
#include "sandbox.h"

namespace pm::policy {

namespace {

constexpr std::size_t examples_max = 1'000;
constexpr const char* default_word = "default";

// The table of the example is at 1.
Hook hook_field(lua_State* lua) {
  if (lua_getfield(lua, 1, "hook") == LUA_TSTRING) {
    const std::string_view name = lua_tostring(lua, -1);
    for (std::size_t number = 0; number < hooks_count; ++number) {
      const auto hook = static_cast<Hook>(number);
      if (name != hook_name(hook)) continue;
      lua_pop(lua, 1);
      return hook;
    }
  }
  luaL_error(lua, "'hook' is \"place\", \"spill\", \"promote\", \"admit\" or \"retain\"");
  return Hook::place;
}

std::string rule_field(lua_State* lua) {
  std::string rule;
  const int type = lua_getfield(lua, 1, "rule");
  if (type == LUA_TSTRING) {
    rule = lua_tostring(lua, -1);
  } else if (type != LUA_TNIL) {
    luaL_error(lua, "'rule' is the name of a rule");
  }
  lua_pop(lua, 1);
  return rule;
}

void refuse_unknown_fields(lua_State* lua) {
  for (lua_pushnil(lua); lua_next(lua, 1) != 0; lua_pop(lua, 1)) {
    const std::string_view key = lua_type(lua, -2) == LUA_TSTRING ? lua_tostring(lua, -2) : "?";
    if (key == "hook" || key == "facts" || key == "expect" || key == "rule") continue;
    luaL_error(lua, "an example has hook, facts, expect and rule, and no '%s'",
               lua_type(lua, -2) == LUA_TSTRING ? lua_tostring(lua, -2) : "numbered part");
  }
}

template <typename Facts>
Expectation<Facts> expectation_at_1(lua_State* lua) {
  Expectation<Facts> expectation;
  if (lua_getfield(lua, 1, "facts") == LUA_TNIL) luaL_error(lua, "an example needs facts");
  Reader(lua).facts(expectation.facts);
  lua_pop(lua, 1);
  const int type = lua_getfield(lua, 1, "expect");
  if (type == LUA_TNIL) luaL_error(lua, "an example needs 'expect'; \"default\": no rule answers");
  if (type != LUA_TSTRING || std::string_view(lua_tostring(lua, -1)) != default_word) {
    DecisionOf<Facts> decision;
    const Status status = take_answer(lua, expectation.facts, decision);
    if (!status.ok()) luaL_error(lua, "'expect': %s", status.message().c_str());
    expectation.decision = std::move(decision);
  }
  lua_pop(lua, 1);
  return expectation;
}

int add_example(lua_State* lua) {
  auto& examples = *static_cast<Examples*>(lua_touserdata(lua, lua_upvalueindex(1)));
  luaL_checktype(lua, 1, LUA_TTABLE);
  lua_settop(lua, 1);
  if (examples.is_closed) return luaL_error(lua, "examples are made while files are loaded");
  if (examples.list.size() >= examples_max) return luaL_error(lua, "there are too many examples");
  refuse_unknown_fields(lua);
  Example example{Rules::caller(lua), rule_field(lua), {}};
  switch (hook_field(lua)) {
    case Hook::place: example.expectation = expectation_at_1<PlaceFacts>(lua); break;
    case Hook::spill: example.expectation = expectation_at_1<SpillFacts>(lua); break;
    case Hook::promote: example.expectation = expectation_at_1<PromoteFacts>(lua); break;
    case Hook::admit: example.expectation = expectation_at_1<AdmitFacts>(lua); break;
    case Hook::retain: example.expectation = expectation_at_1<RetainFacts>(lua); break;
  }
  examples.list.push_back(std::move(example));
  return 0;
}

}  // namespace

void push_examples(lua_State* lua, Examples& examples) {
  lua_pushlightuserdata(lua, &examples);
  lua_pushcclosure(lua, &add_example, 1);
  lua_setfield(lua, -2, "example");
}

template <typename Facts>
std::string expected_words(const Expectation<Facts>& expectation) {
  if (!expectation.decision.has_value()) return default_word;
  return words_of(expectation.facts, *expectation.decision);
}

template std::string expected_words(const Expectation<PlaceFacts>&);
template std::string expected_words(const Expectation<SpillFacts>&);
template std::string expected_words(const Expectation<PromoteFacts>&);
template std::string expected_words(const Expectation<AdmitFacts>&);
template std::string expected_words(const Expectation<RetainFacts>&);

}  // namespace pm::policy
