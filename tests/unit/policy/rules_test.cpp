#include "core/policy/rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace pm::policy {
namespace {

using testing::HasSubstr;

int push_number(lua_State* lua, const void* facts) {
  lua_pushinteger(lua, *static_cast<const lua_Integer*>(facts));
  return 1;
}

Status take_text(lua_State* lua, void* answer) {
  if (lua_type(lua, -1) != LUA_TSTRING) return {Code::invalid_argument, "the answer is no text"};
  *static_cast<std::string*>(answer) = lua_tostring(lua, -1);
  return {};
}

struct Asked {
  std::string rule;
  std::string answer;
};

Asked ask(Rules& rules, lua_Integer number, Hook hook = Hook::place) {
  Asked asked;
  asked.rule = rules.ask(hook, &push_number, &number, &take_text, &asked.answer);
  return asked;
}

std::unique_ptr<Rules> load(const std::vector<std::string>& texts) {
  std::vector<SourceFile> files;
  for (const std::string& text : texts) {
    files.push_back({std::string(1, static_cast<char>('a' + files.size())) + ".lua", text});
  }
  auto rules = Rules::load(files);
  EXPECT_TRUE(rules.ok()) << rules.status().message();
  return rules.ok() ? std::move(*rules) : nullptr;
}

std::string why_not(const std::string& text) {
  return Rules::load({{"a.lua", text}}).status().message();
}

std::vector<std::string> order(const Rules& rules) {
  std::vector<std::string> names;
  for (const RuleState& state : rules.states()) names.push_back(state.name);
  return names;
}

TEST(rules, the_first_answer_counts_and_nil_is_the_next_rules_turn) {
  const auto rules = load({R"(
    policy.place {name = "small", rule = function(n) if n < 10 then return "ram" end end}
    policy.place {name = "big", rule = function(n) if n > 99 then return "disk" end end}
    policy.spill {name = "other", rule = function() return "elsewhere" end})"});
  EXPECT_EQ(ask(*rules, 5).rule, "small");
  EXPECT_EQ(ask(*rules, 5).answer, "ram");
  EXPECT_EQ(ask(*rules, 100).rule, "big");
  EXPECT_EQ(ask(*rules, 50).rule, "") << "the default";
  EXPECT_EQ(ask(*rules, 50, Hook::spill).rule, "other");
  EXPECT_EQ(ask(*rules, 50, Hook::admit).rule, "");
}

TEST(rules, stand_before_and_behind_each_other_and_else_as_they_were_read) {
  const auto rules = load({R"(
    policy.place {name = "a", after = "c", rule = function() end}
    policy.place {name = "b", rule = function() end})",
                           R"(
    policy.place {name = "c", rule = function() end}
    policy.place {name = "d", before = {"a", "b"}, rule = function() end})"});
  EXPECT_THAT(order(*rules), testing::ElementsAre("c", "d", "a", "b"));
}

TEST(rules, of_a_name_that_was_there_take_its_place) {
  const auto rules = load({R"(
    policy.place {name = "a", rule = function() return "old" end}
    policy.place {name = "b", rule = function() return "b" end})",
                           R"(policy.place {name = "a", rule = function() return "new" end})"});
  EXPECT_EQ(ask(*rules, 1).answer, "new");
  EXPECT_EQ(rules->states().front().where, "b.lua:1");
}

TEST(rules, that_cannot_be_are_refused_with_file_and_line) {
  const std::string rule = ", rule = function() end}";
  EXPECT_EQ(why_not("\npolicy.place {rule = function() end}"), "a.lua:2: a rule needs a name");
  EXPECT_EQ(why_not("policy.place {name = 'a'}"), "a.lua:1: a rule needs a function");
  EXPECT_THAT(why_not("policy.place {name = 'default'" + rule), HasSubstr("built-in"));
  EXPECT_THAT(why_not("policy.place {name = 'a', befor = 'b'" + rule), HasSubstr("no 'befor'"));
  EXPECT_THAT(why_not("policy.place {name = 'a', before = 7" + rule), HasSubstr("'before' is a"));
  EXPECT_THAT(why_not("policy.place {name = 'a', before = 'b'" + rule),
              HasSubstr("a.lua:1: the rule 'a' names 'b', which is no rule"));
  EXPECT_THAT(why_not("policy.place {name = 'a', before = 'b'" + rule +
                      " policy.place {name = 'b', before = 'a'" + rule),
              HasSubstr("stands before and after"));
  EXPECT_THAT(why_not("policy.place {name = 'a', after = 'default'" + rule), HasSubstr("never"));
  EXPECT_THAT(why_not("policy.plaice {name = 'a'" + rule), HasSubstr("'plaice'"));
}

TEST(rules, that_fail_are_passed_over_counted_and_suspended_after_three_in_a_row) {
  const auto rules = load({R"(
    policy.place {name = "bad", rule = function(n) if n > 0 then error("broken") end end}
    policy.place {name = "wrong", rule = function(n) if n > 1 then return 7 end end}
    policy.place {name = "good", rule = function() return "ram" end})"});
  EXPECT_EQ(ask(*rules, 1).rule, "good");
  EXPECT_EQ(ask(*rules, 1).rule, "good");
  EXPECT_EQ(ask(*rules, 0).rule, "good");
  EXPECT_FALSE(rules->states()[0].is_suspended) << "not in a row";
  for (int n = 0; n < 5; ++n) EXPECT_EQ(ask(*rules, 2).rule, "good");
  const std::vector<RuleState> states = rules->states();
  EXPECT_TRUE(states[0].is_suspended);
  EXPECT_EQ(states[0].counts.asked, 6u);
  EXPECT_EQ(states[0].counts.failed, 5u);
  EXPECT_EQ(states[0].last_error, "a.lua:2: broken");
  EXPECT_TRUE(states[1].is_suspended);
  EXPECT_EQ(states[1].last_error, "the answer is no text");
  EXPECT_FALSE(states[2].is_suspended);
  EXPECT_EQ(states[2].counts.answered, 8u);
}

TEST(rules, are_made_while_files_are_loaded_only) {
  const auto rules = load({R"(
    policy.place {name = "a", rule = function()
      policy.place {name = "late", rule = function() return "x" end}
    end})"});
  EXPECT_EQ(ask(*rules, 1).rule, "");
  EXPECT_THAT(rules->states()[0].last_error, HasSubstr("while files are loaded"));
}

TEST(rules, of_one_file_do_not_see_what_is_anothers) {
  const auto rules = load({"secret = 1", R"(
    policy.place {name = "a", rule = function() return secret == nil and "nothing" or "seen" end})"});
  EXPECT_EQ(ask(*rules, 1).answer, "nothing");
}

}  // namespace
}  // namespace pm::policy
