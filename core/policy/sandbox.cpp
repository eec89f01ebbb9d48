#include "sandbox.h"

#include <cstdlib>
#include <cstring>
#include <ctime>
#include <utility>

#include "freeze.h"
#include "library.h"
#include "words.h"

namespace pm::policy {

namespace {

// Between two looks at the budget. A single instruction takes some microseconds at most, as strings
// are short.
constexpr int steps_between_looks = 100;
// A collection after a call costs about as much as what it looks at, so there must be some garbage.
constexpr std::size_t garbage_bytes = 256 << 10;
// The allocator is charged for what it hands out, so that nobody makes garbage without end.
constexpr std::size_t bytes_each_step = 64;
constexpr std::size_t slack_bytes = 16 << 10;

// Places in the registry.
char library_key = 0;
char roots_key = 0;     // What is kept, and the files' globals.
char upvalues_key = 0;  // What functions have had since they were loaded.

std::uint64_t now_ns(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  constexpr std::uint64_t second_ns = 1'000'000'000;
  return static_cast<std::uint64_t>(time.tv_sec) * second_ns +
         static_cast<std::uint64_t>(time.tv_nsec);
}

int set_up(lua_State* lua) {
  push_library(lua);
  lua_rawsetp(lua, LUA_REGISTRYINDEX, &library_key);
  lua_newtable(lua);
  lua_rawsetp(lua, LUA_REGISTRYINDEX, &roots_key);
  return 0;
}

// What stands in for the globals of a file: its own, and behind them the library.
void push_environment(lua_State* lua) {
  lua_newtable(lua);
  lua_newtable(lua);
  lua_rawgetp(lua, LUA_REGISTRYINDEX, &library_key);
  lua_setfield(lua, -2, "__index");
  lua_setmetatable(lua, -2);
}

// Takes the value on top of the stack; gives its number.
lua_Integer keep(lua_State* lua) {
  lua_rawgetp(lua, LUA_REGISTRYINDEX, &roots_key);
  const lua_Integer number = luaL_len(lua, -1) + 1;
  lua_insert(lua, -2);
  lua_rawseti(lua, -2, number);
  lua_pop(lua, 1);
  return number;
}

struct Source {
  const std::string& name;
  std::string_view text;
};

// With a Source: compiles and runs it.
int load_source(lua_State* lua) {
  const auto& source = *static_cast<const Source*>(lua_touserdata(lua, 1));
  const std::string chunk = "@" + source.name;
  if (luaL_loadbufferx(lua, source.text.data(), source.text.size(), chunk.c_str(), "t") != LUA_OK) {
    return lua_error(lua);
  }
  push_environment(lua);
  lua_pushvalue(lua, -1);
  // The only upvalue of a chunk is its environment.
  lua_setupvalue(lua, -3, 1);
  // So that what the file leaves behind is frozen with all else.
  keep(lua);
  lua_call(lua, 0, 0);
  return 0;
}

int freeze_all(lua_State* lua) {
  lua_rawgetp(lua, LUA_REGISTRYINDEX, &roots_key);
  const int roots = lua_gettop(lua);
  lua_newtable(lua);
  lua_newtable(lua);
  const Freezing freezing{roots + 1, roots + 2};
  lua_rawgetp(lua, LUA_REGISTRYINDEX, &library_key);
  freeze_reachable(lua, freezing);
  lua_settop(lua, freezing.walked);
  for (lua_Integer number = 1; number <= luaL_len(lua, roots); ++number) {
    lua_rawgeti(lua, roots, number);
    freeze_reachable(lua, freezing);
    lua_settop(lua, freezing.walked);
  }
  lua_pushvalue(lua, freezing.upvalues);
  lua_rawsetp(lua, LUA_REGISTRYINDEX, &upvalues_key);
  return 0;
}

}  // namespace

Result<std::unique_ptr<Sandbox>> Sandbox::make(const SandboxLimits& limits) {
  std::unique_ptr<Sandbox> sandbox(new Sandbox(limits));
  sandbox->budget_ = sandbox->load_budget();
  sandbox->lua_ = lua_newstate(&Sandbox::allocate, sandbox.get());
  if (sandbox->lua_ == nullptr) return Status(Code::resource_exhausted, "no memory for Lua");
  *static_cast<Sandbox**>(lua_getextraspace(sandbox->lua_)) = sandbox.get();
  // In a call nothing is collected, so that its time does not depend on what came before.
  lua_gc(sandbox->lua_, LUA_GCSTOP);
  lua_sethook(sandbox->lua_, &Sandbox::on_count, LUA_MASKCOUNT, steps_between_looks);
  PM_TRY(sandbox->run(&set_up, nullptr, sandbox->budget_));
  return sandbox;
}

Sandbox::~Sandbox() {
  if (lua_ != nullptr) lua_close(lua_);
}

Sandbox& Sandbox::of(lua_State* lua) { return **static_cast<Sandbox**>(lua_getextraspace(lua)); }

Sandbox::Budget Sandbox::load_budget() const {
  return {limits_.load_bytes_max, limits_.load_steps_max, limits_.load_cpu_ns_max};
}

// Outside of files, before or after they are loaded.
Status Sandbox::prepare(lua_CFunction body, void* data) { return run(body, data, load_budget()); }

Status Sandbox::load(const std::string& name, std::string_view source) {
  if (source.size() > limits_.source_bytes_max) {
    return {Code::invalid_argument,
            name + ": it is longer than " + std::to_string(limits_.source_bytes_max) + " bytes"};
  }
  Source given{name, source};
  const Status status = run(&load_source, &given, load_budget());
  if (status.ok() || status.message().starts_with(name + ":")) return status;
  return {status.code(), name + ": " + status.message()};
}

Status Sandbox::freeze() {
  PM_TRY(run(&freeze_all, nullptr, load_budget()));
  is_frozen_ = true;
  lua_gc(lua_, LUA_GCCOLLECT);
  settled_bytes_ = bytes_;
  return {};
}

std::int64_t Sandbox::keep() { return policy::keep(lua_); }

void Sandbox::push_kept(std::int64_t number) {
  lua_rawgetp(lua_, LUA_REGISTRYINDEX, &roots_key);
  lua_rawgeti(lua_, -1, number);
  lua_remove(lua_, -2);
}

void Sandbox::set_library(const char* name) {
  lua_rawgetp(lua_, LUA_REGISTRYINDEX, &library_key);
  lua_insert(lua_, -2);
  lua_setfield(lua_, -2, name);
  lua_pop(lua_, 1);
}

Status Sandbox::call(lua_CFunction body, void* data) {
  const Budget budget{bytes_ + limits_.call_bytes_max, limits_.call_steps_max,
                      limits_.call_cpu_ns_max};
  const Status status = run(body, data, budget);
  restore();
  return status;
}

Status Sandbox::run(lua_CFunction body, void* data, const Budget& budget) {
  budget_ = budget;
  steps_ = 0;
  excess_ = Excess::none;
  began_ns_ = now_ns(CLOCK_MONOTONIC);
  began_cpu_ns_ = now_ns(CLOCK_THREAD_CPUTIME_ID);
  // Neither of these two needs memory.
  lua_pushcfunction(lua_, body);
  lua_pushlightuserdata(lua_, data);
  const int code = lua_pcall(lua_, 1, 0, 0);
  if (code == LUA_OK) return {};
  Status status = failure(code);
  lua_pop(lua_, 1);
  return status;
}

// Empty unless it is a string: to make one of a number may need memory.
std::string Sandbox::text_on_top() const {
  if (lua_type(lua_, -1) != LUA_TSTRING) return {};
  std::size_t length = 0;
  const char* text = lua_tolstring(lua_, -1, &length);
  return {text, length};
}

Status Sandbox::failure(int code) {
  // Whatever the script said stands in logs and answers.
  constexpr std::size_t words_bytes_max = 1'000;
  if (excess_ != Excess::none) {
    // "lru.lua:7: " of the message, if it has come that far.
    std::string message = printable(text_on_top(), words_bytes_max);
    if (message.find(words(excess_)) == std::string::npos) message = words(excess_);
    return {Code::resource_exhausted, std::move(message)};
  }
  if (code == LUA_ERRMEM) return {Code::resource_exhausted, "not enough memory"};
  if (lua_type(lua_, -1) == LUA_TSTRING) {
    return {Code::invalid_argument, printable(text_on_top(), words_bytes_max)};
  }
  return {Code::invalid_argument,
          std::string("failed with a ") + luaL_typename(lua_, -1) + " instead of words"};
}

// Outside of any call: what a function has changed is put back, and what it dropped is collected.
void Sandbox::restore() {
  if (!is_frozen_) return;
  budget_ = {SIZE_MAX / 2, UINT64_MAX, UINT64_MAX};
  excess_ = Excess::none;
  lua_rawgetp(lua_, LUA_REGISTRYINDEX, &upvalues_key);
  restore_upvalues(lua_, lua_gettop(lua_));
  lua_pop(lua_, 1);
  if (bytes_ < settled_bytes_ + garbage_bytes) return;
  lua_gc(lua_, LUA_GCCOLLECT);
  settled_bytes_ = bytes_;
}

// ---- the budget ----

const char* Sandbox::words(Excess excess) const {
  switch (excess) {
    case Excess::steps: return "it takes too many steps";
    case Excess::cpu: return "it takes too long";
    case Excess::memory: return "it takes too much memory";
    case Excess::string: return "a string is too long";
    default: return "";
  }
}

bool Sandbox::is_late() const {
  // The thread's clock is a system call, and it is never ahead of this one.
  if (now_ns(CLOCK_MONOTONIC) - began_ns_ <= budget_.cpu_ns_max) return false;
  return now_ns(CLOCK_THREAD_CPUTIME_ID) - began_cpu_ns_ > budget_.cpu_ns_max;
}

void Sandbox::take(std::uint64_t steps) {
  steps_ += steps;
  if (excess_ != Excess::none) return;
  if (steps_ > budget_.steps_max) {
    excess_ = Excess::steps;
  } else if (is_late()) {
    excess_ = Excess::cpu;
  }
}

void Sandbox::charge(std::uint64_t steps) {
  take(steps);
  if (excess_ != Excess::none) luaL_error(lua_, "%s", words(excess_));
}

void Sandbox::on_count(lua_State* lua, lua_Debug*) {
  Sandbox& self = of(lua);
  self.take(steps_between_looks);
  if (self.excess_ == Excess::none) return;
  luaL_where(lua, 0);  // The function that is at work, as a hook is none.
  lua_pushstring(lua, self.words(self.excess_));
  lua_concat(lua, 2);
  lua_error(lua);
}

// As lua_Alloc asks for: https://www.lua.org/manual/5.4/manual.html#lua_Alloc.
void* Sandbox::allocate(void* data, void* block, std::size_t before, std::size_t after) {
  Sandbox& self = *static_cast<Sandbox*>(data);
  const bool is_string = block == nullptr && before == LUA_TSTRING;
  if (block == nullptr) before = 0;  // It is the kind of what is made.
  if (after == 0) {
    std::free(block);
    self.bytes_ -= before;
    return nullptr;
  }
  if (after > before) {
    // A header and an end besides the text itself.
    constexpr std::size_t string_overhead_max = 64;
    const std::size_t more = after - before;
    self.steps_ += more / bytes_each_step;
    // For the words of an error.
    const std::size_t slack = self.excess_ == Excess::none ? 0 : slack_bytes;
    if (is_string && after > self.limits_.string_bytes_max + string_overhead_max) {
      self.excess_ = Excess::string;
      return nullptr;
    }
    if (self.bytes_ + more > self.budget_.bytes_max + slack) {
      self.excess_ = Excess::memory;
      return nullptr;
    }
  }
  void* const moved = std::realloc(block, after);
  if (moved != nullptr) self.bytes_ = self.bytes_ - before + after;
  return moved;
}

}  // namespace pm::policy
