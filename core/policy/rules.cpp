#include "rules.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "core/observe/log.h"
#include "words.h"

namespace pm::policy {

namespace {

constexpr std::uint32_t failures_in_row_max = 3;
constexpr std::size_t name_bytes_max = 64;
constexpr std::size_t rules_max = 256;  // Of a hook.
constexpr const char* default_rule = "default";

// The table of the rule is at 1. Leaves the stack as it was.
std::string name_field(lua_State* lua) {
  if (lua_getfield(lua, 1, "name") != LUA_TSTRING) luaL_error(lua, "a rule needs a name");
  std::size_t length = 0;
  const char* text = lua_tolstring(lua, -1, &length);
  if (length == 0 || length > name_bytes_max) {
    luaL_error(lua, "a rule's name has 1 to %d bytes", static_cast<int>(name_bytes_max));
  }
  std::string name(text, length);
  lua_pop(lua, 1);
  if (printable(name, name_bytes_max) != name) luaL_error(lua, "a rule's name can be printed");
  if (name == default_rule) luaL_error(lua, "'default' is the name of the built-in rule");
  return name;
}

// A name or a list of names.
std::vector<std::string> names_field(lua_State* lua, const char* field) {
  std::vector<std::string> names;
  const int type = lua_getfield(lua, 1, field);
  if (type == LUA_TSTRING) {
    names.emplace_back(lua_tostring(lua, -1));
  } else if (type == LUA_TTABLE) {
    const lua_Integer count = luaL_len(lua, -1);
    if (count > static_cast<lua_Integer>(rules_max)) luaL_error(lua, "'%s' is too long", field);
    for (lua_Integer at = 1; at <= count; ++at) {
      if (lua_geti(lua, -1, at) != LUA_TSTRING) {
        luaL_error(lua, "'%s' is a name or a list of names", field);
      }
      names.emplace_back(lua_tostring(lua, -1));
      lua_pop(lua, 1);
    }
  } else if (type != LUA_TNIL) {
    luaL_error(lua, "'%s' is a name or a list of names", field);
  }
  lua_pop(lua, 1);
  return names;
}

// Which candidates a rule of spill is shown first.
std::string from_field(lua_State* lua) {
  std::string from;
  if (lua_getfield(lua, 1, "from") != LUA_TNIL) {
    if (lua_type(lua, -1) == LUA_TSTRING) from = lua_tostring(lua, -1);
    if (from != "oldest" && from != "score") luaL_error(lua, "'from' is \"oldest\" or \"score\"");
  }
  lua_pop(lua, 1);
  return from;
}

void refuse_unknown_fields(lua_State* lua, Hook hook) {
  const bool is_spill = hook == Hook::spill;
  for (lua_pushnil(lua); lua_next(lua, 1) != 0; lua_pop(lua, 1)) {
    const std::string_view key = lua_type(lua, -2) == LUA_TSTRING ? lua_tostring(lua, -2) : "?";
    if (key == "name" || key == "before" || key == "after" || key == "rule") continue;
    if (key == "from" && is_spill) continue;
    luaL_error(lua, "a rule has no '%s'; it has name, before, after%s and rule",
               lua_type(lua, -2) == LUA_TSTRING ? lua_tostring(lua, -2) : "numbered part",
               is_spill ? ", from" : "");
  }
}

}  // namespace

const char* hook_name(Hook hook) {
  switch (hook) {
    case Hook::place: return "place";
    case Hook::spill: return "spill";
    case Hook::promote: return "promote";
    case Hook::admit: return "admit";
    case Hook::retain: return "retain";
  }
  return "?";
}

// ---- loading ----

std::string Rules::caller(lua_State* lua) {
  luaL_where(lua, 1);
  std::string where = lua_tostring(lua, -1);
  lua_pop(lua, 1);
  const std::size_t end = where.rfind(": ");
  return end == std::string::npos ? where : where.substr(0, end);
}

struct Rules::Making {
  Rules* rules;
  const RulesExtension& extension;
};

int Rules::push_hooks(lua_State* lua) {
  const auto& making = *static_cast<const Making*>(lua_touserdata(lua, 1));
  lua_newtable(lua);
  for (std::size_t number = 0; number < hooks_count; ++number) {
    lua_pushlightuserdata(lua, making.rules);
    lua_pushinteger(lua, static_cast<lua_Integer>(number));
    lua_pushcclosure(lua, &Rules::register_rule, 2);
    lua_setfield(lua, -2, hook_name(static_cast<Hook>(number)));
  }
  if (making.extension.extend != nullptr) making.extension.extend(lua, making.extension.data);
  Sandbox::of(lua).set_library("policy");
  return 0;
}

int Rules::register_rule(lua_State* lua) {
  auto& self = *static_cast<Rules*>(lua_touserdata(lua, lua_upvalueindex(1)));
  luaL_checktype(lua, 1, LUA_TTABLE);
  lua_settop(lua, 1);
  if (self.is_loaded_) return luaL_error(lua, "rules are made while files are loaded");
  Rule rule;
  rule.state.hook = static_cast<Hook>(lua_tointeger(lua, lua_upvalueindex(2)));
  refuse_unknown_fields(lua, rule.state.hook);
  rule.state.name = name_field(lua);
  rule.state.where = caller(lua);
  rule.before = names_field(lua, "before");
  rule.after = names_field(lua, "after");
  if (rule.state.hook == Hook::spill) rule.state.from = from_field(lua);
  if (lua_getfield(lua, 1, "rule") != LUA_TFUNCTION) luaL_error(lua, "a rule needs a function");
  rule.function = self.sandbox_->keep();
  if (!self.add(std::move(rule))) luaL_error(lua, "there are too many rules");
  return 0;
}

bool Rules::add(Rule rule) {
  std::vector<Rule>& rules = rules_[static_cast<std::size_t>(rule.state.hook)];
  const auto same = std::ranges::find_if(
      rules, [&](const Rule& other) { return other.state.name == rule.state.name; });
  if (same != rules.end()) {
    *same = std::move(rule);
    return true;
  }
  if (rules.size() >= rules_max) return false;
  rules.push_back(std::move(rule));
  return true;
}

Result<std::unique_ptr<Rules>> Rules::load(const std::vector<SourceFile>& files,
                                           const SandboxLimits& limits,
                                           const RulesExtension& extension) {
  auto sandbox = Sandbox::make(limits);
  if (!sandbox.ok()) return sandbox.status();
  std::unique_ptr<Rules> rules(new Rules(std::move(*sandbox)));
  Making making{rules.get(), extension};
  PM_TRY(rules->sandbox_->prepare(&Rules::push_hooks, &making));
  for (const SourceFile& file : files) PM_TRY(rules->sandbox_->load(file.name, file.text));
  rules->is_loaded_ = true;
  for (std::vector<Rule>& of_hook : rules->rules_) PM_TRY(sort(of_hook));
  PM_TRY(rules->sandbox_->freeze());
  return rules;
}

// Takes, again and again, the first rule before which none of those that are left must stand.
Status Rules::sort(std::vector<Rule>& rules) {
  const auto refused = [](const Rule& rule, const std::string& why) {
    return Status(Code::invalid_argument,
                  rule.state.where + ": the rule '" + rule.state.name + "' " + why);
  };
  std::vector<std::vector<std::size_t>> behind(rules.size());
  for (std::size_t number = 0; number < rules.size(); ++number) {
    const Rule& rule = rules[number];
    for (const bool is_before : {true, false}) {
      for (const std::string& name : is_before ? rule.before : rule.after) {
        if (name == default_rule && is_before) continue;  // All do.
        if (name == default_rule) return refused(rule, "would never be asked after 'default'");
        const auto other = std::ranges::find(rules, name, &Rule::name);
        if (other == rules.end()) return refused(rule, "names '" + name + "', which is no rule");
        const auto found = static_cast<std::size_t>(other - rules.begin());
        behind[is_before ? found : number].push_back(is_before ? number : found);
      }
    }
  }
  std::vector<Rule> sorted;
  std::vector<bool> is_taken(rules.size(), false);
  const auto is_next = [&](std::size_t number) {
    return !is_taken[number] &&
           std::ranges::all_of(behind[number], [&](std::size_t other) { return is_taken[other]; });
  };
  while (sorted.size() < rules.size()) {
    std::size_t next = 0;
    while (next < rules.size() && !is_next(next)) ++next;
    if (next == rules.size()) {
      const auto stuck = std::ranges::find(is_taken, false) - is_taken.begin();
      return refused(rules[static_cast<std::size_t>(stuck)],
                     "stands before and after the same rule");
    }
    is_taken[next] = true;
    sorted.push_back(rules[next]);
  }
  rules = std::move(sorted);
  return {};
}

// ---- asking ----

struct Rules::Question {
  Sandbox& sandbox;
  std::int64_t function;
  Push push;
  const void* facts;
  Take take;
  void* answer;
  bool is_answered = false;
  Status status;
};

int Rules::run_rule(lua_State* lua) {
  auto& question = *static_cast<Question*>(lua_touserdata(lua, 1));
  question.sandbox.push_kept(question.function);
  const int arguments = question.push(lua, question.facts);
  lua_call(lua, arguments, 1);
  if (lua_isnil(lua, -1)) return 0;
  question.status = question.take(lua, question.answer);
  question.is_answered = question.status.ok();
  return 0;
}

// False: it has failed, says `status`, or it has no answer.
bool Rules::answers(const Rule& rule, Question& question, Status& status) {
  question.function = rule.function;
  question.is_answered = false;
  question.status = {};
  status = sandbox_->call(&Rules::run_rule, &question);
  if (status.ok()) status = question.status;
  return status.ok() && question.is_answered;
}

const std::string& Rules::ask(Hook hook, Push push, const void* facts, Take take, void* answer) {
  static const std::string none;
  Question question{*sandbox_, 0, push, facts, take, answer, false, {}};
  Status status;
  for (Rule& rule : rules_[static_cast<std::size_t>(hook)]) {
    if (rule.state.is_suspended) continue;
    ++rule.state.counts.asked;
    const bool is_answered = answers(rule, question, status);
    if (!status.ok()) {
      note_failure(rule, status);
      continue;
    }
    rule.failed_in_row = 0;
    if (!is_answered) continue;
    ++rule.state.counts.answered;
    return rule.state.name;
  }
  return none;
}

Result<std::string> Rules::rehearse(Hook hook, const std::string& only, Push push,
                                    const void* facts, Take take, void* answer) {
  Question question{*sandbox_, 0, push, facts, take, answer, false, {}};
  Status status;
  bool is_known = only.empty();
  for (const Rule& rule : rules_[static_cast<std::size_t>(hook)]) {
    if (!only.empty() && rule.name() != only) continue;
    is_known = true;
    if (answers(rule, question, status)) return rule.name();
    if (!status.ok()) {
      return Status(status.code(), "the rule '" + rule.name() + "' fails: " + status.message());
    }
  }
  if (is_known) return std::string();
  return Status(Code::invalid_argument,
                std::string("there is no rule '") + only + "' of " + hook_name(hook));
}

void Rules::suspend(Hook hook, const std::string& name) {
  for (Rule& rule : rules_[static_cast<std::size_t>(hook)]) {
    if (rule.name() == name) rule.state.is_suspended = true;
  }
}

bool Rules::has_rules(Hook hook) const {
  return !std::ranges::all_of(rules_[static_cast<std::size_t>(hook)],
                              [](const Rule& rule) { return rule.state.is_suspended; });
}

void Rules::note_failure(Rule& rule, const Status& status) {
  ++rule.state.counts.failed;
  rule.state.last_error = status.message();
  const std::string name = std::string(hook_name(rule.state.hook)) + "." + rule.state.name;
  if (++rule.failed_in_row < failures_in_row_max) {
    if (rule.failed_in_row == 1) log::warn("policy", "the rule " + name + ": " + status.message());
    return;
  }
  rule.state.is_suspended = true;
  log::error("policy", "the rule " + name + " is not asked any more, after " +
                           std::to_string(failures_in_row_max) +
                           " failures in a row: " + status.message());
}

std::vector<RuleState> Rules::states() const {
  std::vector<RuleState> states;
  for (const std::vector<Rule>& of_hook : rules_) {
    for (const Rule& rule : of_hook) states.push_back(rule.state);
  }
  return states;
}

bool Rules::refresh(Hook hook, std::vector<RuleState>& states) const {
  const auto number = static_cast<std::size_t>(hook);
  bool has_suspended = false;
  std::size_t at = 0;
  for (std::size_t before = 0; before < number; ++before) at += rules_[before].size();
  for (const Rule& rule : rules_[number]) {
    RuleState& state = states[at++];
    // Words are copied only when there are new ones: this is done after each question.
    if (state.counts.failed != rule.state.counts.failed) state.last_error = rule.state.last_error;
    state.counts = rule.state.counts;
    has_suspended = has_suspended || state.is_suspended != rule.state.is_suspended;
    state.is_suspended = rule.state.is_suspended;
  }
  return has_suspended;
}

}  // namespace pm::policy
