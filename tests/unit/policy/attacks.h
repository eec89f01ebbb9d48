#pragma once

#include <string>

// Scripts that mean harm, or could not do more of it if they did. Each makes at most a rule
// `attack` of place. (reference: the project's list of hostile input, 3.9.)

namespace pm::policy::test {

struct Attack {
  const char* name;
  const char* source;        // A whole file.
  bool is_harmless = false;  // Its rule does what it wants, which is nothing.
};

// A rule with this body.
#define RULE(body) \
  "policy.place {name = 'attack', before = 'good', rule = function(n) " body " end}"

inline constexpr Attack attacks[] = {
    {"loop", RULE("while true do end")},
    {"goto_loop", RULE("::again:: goto again")},
    {"for_loop", RULE("for i = 1, math.huge do end")},
    {"integer_loop", RULE("for i = math.mininteger, math.maxinteger do end")},
    {"repeat_loop", RULE("repeat local x = n until false")},
    {"loop_while_loading", "while true do end"},
    {"pcall_loop", RULE("while true do pcall(function() while true do end end) end")},
    {"recursion", "local function f() return 1 + f() end " RULE("return f()")},
    {"tail_recursion", "local function f() return f() end " RULE("return f()")},
    {"mutual_recursion",
     "local g local function f(x) return g(x) + 1 end g = function(x) return f(x) + 1 end " RULE(
         "return f(n)")},
    {"table_bomb", RULE("local t = {} for i = 1, 1e9 do t[i] = {} end")},
    {"table_bomb_while_loading", "local t = {} for i = 1, 1e9 do t[i] = {i} end"},
    {"many_globals_while_loading", "for i = 1, 1e6 do x = {i, x} end"},
    {"wide_table", RULE("local t = {} for i = 1, 1e9 do t[i] = i end")},
    {"float_keys", RULE("local t = {} for i = 1, 1e9 do t[i + 0.5] = i end")},
    {"nan_key", RULE("local t = {} t[0 / 0] = 1")},
    {"nil_key", RULE("local t = {} t[nil] = 1")},
    {"string_doubling", RULE("local s = 'x' while true do s = s .. s end")},
    {"long_strings", RULE("local s = '' for i = 1, 1e9 do s = s .. 'xxxxxxxxxxxxxxxx' end")},
    {"garbage", RULE("while true do local t = {n, n, n, n, n, n, n, n} end")},
    {"string_garbage",
     RULE("local s = 'x' for i = 1, 11 do s = s .. s end for i = 1, 1e9 do local t = s .. i end")},
    {"comparisons_of_long_strings",
     RULE("local s = 'x' for i = 1, 11 do s = s .. s end local a, b = s .. 'a', s .. 'b' "
          "local less = 0 for i = 1, 1e9 do if a < b then less = less + 1 end end")},
    {"string_methods", RULE("return ('x'):rep(1e9)")},
    {"string_patterns", RULE("return string.find(('a'):rep(25), ('a?'):rep(25))")},
    {"glob_with_many_stars",
     RULE("local s = 'a' for i = 1, 11 do s = s .. s end local p = '*' .. s .. 'b' "
          "for i = 1, 1e9 do text.glob(s, p) end")},
    {"contains_again_and_again",
     RULE("local s = 'a' for i = 1, 11 do s = s .. s end local p = s .. 'b' "
          "for i = 1, 1e9 do text.contains(s .. s, p) end")},
    {"concat_bomb", RULE("local t = {} for i = 1, 1e4 do t[i] = 'xxxxxxxx' end while true do "
                         "table.concat(t) end")},
    {"sort_without_order", RULE("local t = {} for i = 1, 2000 do t[i] = i end "
                                "while true do table.sort(t, function() return true end) end")},
    {"recursion_in_a_comparison",
     "local function f(a, b) local t = {3, 2, 1} table.sort(t, f) return a < b end " RULE(
         "table.sort({3, 2, 1}, f)")},
    {"insert_in_front", RULE("local t = {} for i = 1, 1e9 do table.insert(t, 1, i) end")},
    {"unpack_bomb", RULE("local t = {} for i = 1, 1e5 do t[i] = i end return table.unpack(t)")},
    {"select_bomb", RULE("local function f(...) return f(n, ...) end f()")},
    {"metatable_of_strings", RULE("getmetatable('').__index = function() end")},
    {"finalizer", RULE("setmetatable({}, {__gc = function() while true do end end})")},
    {"to_be_closed", RULE("local x <close> = {}")},
    {"environment", RULE("_ENV = {} x = 1"), true},
    {"environment_of_others", RULE("_ENV.policy = nil")},
    {"error_object", RULE("error({})")},
    {"error_function", RULE("error(function() while true do end end)")},
    {"error_nil", RULE("error(nil)")},
    {"error_of_control_bytes", RULE("error('\\0\\n\\27[2J\\xff')")},
    {"coroutine", RULE("coroutine.wrap(function() while true do end end)()")},
    {"bytecode", "\x1bLuaT"},
    {"nesting_of_the_source", nullptr},  // Made below.
    {"long_source", nullptr},
    {"deep_tables", "local t = {} for i = 1, 1e5 do t = {t} end deep = t"},
    {"many_upvalues", nullptr},
    {"many_rules", "for i = 1, 1e5 do policy.place {name = 'r' .. i, rule = function() end} end"},
    {"rule_in_a_rule",
     RULE("policy.place {name = 'other', rule = function() while true do end end}")},
    {"wrong_answer", RULE("return {}")},
    {"huge_answer", RULE("return math.maxinteger")},
    {"negative_answer", RULE("return -1")},
    {"function_as_answer", RULE("return function() end")},
    {"division_by_zero", RULE("return n // 0")},
    {"not_utf8", "-- \xff\xfe\n" RULE("error('\xc3\x28')")},
};

inline std::string source_of(const Attack& attack) {
  const std::string name = attack.name;
  if (attack.source != nullptr) return attack.source;
  if (name == "long_source") return std::string(1 << 20, ' ');
  std::string source;
  if (name == "nesting_of_the_source") {
    for (int n = 0; n < 100'000; ++n) source += '(';
    return "local x = " + source;
  }
  for (int n = 0; n < 50'000; ++n) {
    source += "do local v = " + std::to_string(n) + " keep" + std::to_string(n) +
              " = function() v = v + 1 end end\n";
  }
  return source.substr(0, 250 << 10);
}

}  // namespace pm::policy::test
