#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <lua.hpp>
#include <memory>
#include <pm/cpp/result.hpp>
#include <string>
#include <vector>

#include "sandbox.h"

namespace pm::policy {

// What a policy is asked: where an allocation goes; which payloads leave a tier, and where to;
// whether a read pulls a payload up; whether a client may allocate; what happens at the end of a
// payload's time to live.
enum class Hook : std::uint8_t { place, spill, promote, admit, retain };
inline constexpr std::size_t hooks_count = 5;
const char* hook_name(Hook hook);

struct SourceFile {
  std::string name;  // Stands in errors.
  std::string text;
};

struct RuleCounts {
  std::uint64_t asked = 0;
  std::uint64_t answered = 0;
  std::uint64_t failed = 0;
};

struct RuleState {
  Hook hook = Hook::place;
  std::string name;
  std::string where;  // "lru.lua:3"
  std::string from;   // Of a rule of spill: the order of candidates that it asks for; empty: any.
  RuleCounts counts;
  bool is_suspended = false;
  std::string last_error;
};

// What files see in `policy` besides the hooks: `extend` adds to the table on top of the stack, and
// may raise an error of Lua's.
struct RulesExtension {
  void (*extend)(lua_State* lua, void* data) = nullptr;
  void* data = nullptr;
};

// The rules of some files, and asking them. A file says
//
//   policy.place { name = "big-on-disk", before = "default", rule = function(facts) ... end }
//
// (and policy.spill may say from = "oldest" or "score": which candidates it is to be shown first.)
// `before` and `after` are names of rules of the same hook, or lists of them. Rules are asked in
// that order, else in that of the files; the first answer that is not nil counts. A rule of a name
// that an earlier file has used takes its place. "default" is what answers when no rule does. A
// rule that fails is passed over; one that fails so many times in a row is not asked any more. One
// thread at a time.
class Rules {
 public:
  // INVALID_ARGUMENT says file, line and why.
  static Result<std::unique_ptr<Rules>> load(const std::vector<SourceFile>& files,
                                             const SandboxLimits& limits = {},
                                             const RulesExtension& extension = {});

  // Leaves the rules' arguments on the stack, and gives their number; may raise an error of Lua's.
  using Push = int (*)(lua_State* lua, const void* facts);
  // Makes an answer of the value on top of the stack, which is not nil. An error says what is wrong
  // with it, and counts as the rule's failure; may raise an error of Lua's, too.
  using Take = Status (*)(lua_State* lua, void* answer);

  // The name of the rule that answered; empty: none did, the default is to.
  const std::string& ask(Hook hook, Push push, const void* facts, Take take, void* answer);

  // The same without leaving a trace, for examples: of all rules, or of the one that is named. The
  // failure of a rule ends it.
  Result<std::string> rehearse(Hook hook, const std::string& only, Push push, const void* facts,
                               Take take, void* answer);

  // A rule that has failed elsewhere is not asked here any more.
  void suspend(Hook hook, const std::string& name);

  // Are there any that are not suspended?
  bool has_rules(Hook hook) const;

  std::vector<RuleState> states() const;
  // Brings those of a hook up to date in what states() has once given. True: some are suspended
  // that were not.
  bool refresh(Hook hook, std::vector<RuleState>& states) const;
  std::uint64_t steps() const { return sandbox_->steps(); }

  // Where the library function that is being called was called: "lru.lua:3".
  static std::string caller(lua_State* lua);

 private:
  struct Rule {
    RuleState state;
    std::vector<std::string> before;
    std::vector<std::string> after;
    std::int64_t function = 0;  // As the sandbox keeps it.
    std::uint32_t failed_in_row = 0;

    const std::string& name() const { return state.name; }
  };
  struct Question;
  struct Making;

  explicit Rules(std::unique_ptr<Sandbox> sandbox) : sandbox_(std::move(sandbox)) {}

  static int push_hooks(lua_State* lua);
  static int register_rule(lua_State* lua);
  static int run_rule(lua_State* lua);
  // False: there are too many.
  bool add(Rule rule);
  static Status sort(std::vector<Rule>& rules);
  bool answers(const Rule& rule, Question& question, Status& status);
  void note_failure(Rule& rule, const Status& status);

  std::unique_ptr<Sandbox> sandbox_;
  std::array<std::vector<Rule>, hooks_count> rules_;
  bool is_loaded_ = false;
};

}  // namespace pm::policy
