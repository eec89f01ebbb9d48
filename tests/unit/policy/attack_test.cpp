#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>
#include <algorithm>
#include <ctime>
#include <fstream>
#include <string>

#include "attacks.h"
#include "core/observe/log.h"
#include "core/policy/rules.h"

// Each hostile script stands beside a rule that is well: that one answers, soon, whatever the other
// does.

namespace pm::policy {
namespace {

using test::Attack;
using test::attacks;
using test::source_of;

const char* const good = "policy.place {name = 'good', rule = function() return 'ram' end}";

int push_number(lua_State* lua, const void*) {
  lua_pushinteger(lua, 1);
  return 1;
}
Status take_text(lua_State* lua, void* answer) {
  if (lua_type(lua, -1) != LUA_TSTRING) return {Code::invalid_argument, "the answer is no text"};
  *static_cast<std::string*>(answer) = lua_tostring(lua, -1);
  return {};
}

double cpu_ms() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) / 1e6;
}

struct Outcome {
  Status loaded;
  double load_ms = 0;
  double worst_call_ms = 0;
  bool good_answered = true;
  RuleState state;
};

Outcome run(const Attack& attack) {
  Outcome outcome;
  double begin = cpu_ms();
  auto rules = Rules::load({{"good.lua", good}, {"attack.lua", source_of(attack)}});
  outcome.load_ms = cpu_ms() - begin;
  outcome.loaded = rules.status();
  if (!rules.ok()) return outcome;
  for (int n = 0; n < 5; ++n) {
    std::string answer;
    begin = cpu_ms();
    const std::string& rule =
        (*rules)->ask(Hook::place, &push_number, nullptr, &take_text, &answer);
    outcome.worst_call_ms = std::max(outcome.worst_call_ms, cpu_ms() - begin);
    outcome.good_answered = outcome.good_answered && rule == "good" && answer == "ram";
  }
  outcome.state = (*rules)->states().front();
  return outcome;
}

class Attacks : public testing::TestWithParam<Attack> {};

TEST_P(Attacks, are_stopped_soon_and_the_next_rule_answers) {
  // The bounds of the aim are looked at by the measurements; here they are ten times as wide.
  constexpr double call_ms_max = 50;
  constexpr double load_ms_max = 200;
  const Outcome outcome = run(GetParam());
  EXPECT_LT(outcome.load_ms, load_ms_max);
  EXPECT_LT(outcome.worst_call_ms, call_ms_max);
  std::printf("attack %-28s load %6.2f ms, call %6.2f ms  %s\n", GetParam().name, outcome.load_ms,
              outcome.worst_call_ms,
              outcome.loaded.ok() ? outcome.state.last_error.c_str()
                                  : outcome.loaded.message().substr(0, 100).c_str());
  if (!outcome.loaded.ok()) {
    EXPECT_THAT(outcome.loaded.message(), testing::StartsWith("attack.lua:"));
    return;
  }
  EXPECT_TRUE(outcome.good_answered);
  if (outcome.state.name != "attack") return;  // The file has made no rule.
  EXPECT_EQ(outcome.state.is_suspended, !GetParam().is_harmless);
  EXPECT_EQ(outcome.state.counts.asked, GetParam().is_harmless ? 5u : 3u);
}

INSTANTIATE_TEST_SUITE_P(scripts, Attacks, testing::ValuesIn(attacks),
                         [](const auto& info) { return info.param.name; });

std::size_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t pages = 0;
  file >> pages >> pages;
  return pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

// What a sanitizer keeps of freed memory is no leak, and what is one it finds itself.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool has_sanitizer = true;
#else
constexpr bool has_sanitizer = false;
#endif
#else
constexpr bool has_sanitizer = false;
#endif

// Three calls each, until they are suspended.
TEST(HostileScripts, leave_no_memory_behind) {
  log::set_level(log::Level::error);
  const auto rounds = [](int count) {
    for (int round = 0; round < count; ++round) {
      for (const Attack& attack : attacks) {
        const std::string name = attack.name;
        if (name == "string_doubling" || name == "error_object" || name == "deep_tables")
          run(attack);
      }
    }
  };
  rounds(100);
  if (has_sanitizer) return;
  const std::size_t before = resident_bytes();
  rounds(1'000);
  EXPECT_LT(resident_bytes(), before + (1 << 20));
}

}  // namespace
}  // namespace pm::policy
