#pragma once

#include <cstddef>
#include <cstdint>
#include <lua.hpp>
#include <memory>
#include <pm/cpp/result.hpp>
#include <string>
#include <string_view>

namespace pm::policy {

// What scripts may take. A step is an instruction of Lua's machine, or as much work of a library
// function or of the allocator. The clock only catches what the steps do not: it is the thread's
// own time, so that a busy machine changes no decision.
struct SandboxLimits {
  std::size_t source_bytes_max = 256 << 10;
  std::size_t string_bytes_max = 4 << 10;
  std::size_t load_bytes_max = 4 << 20;  // Of the whole state while files are loaded,
  std::size_t call_bytes_max = 1 << 20;  // and more of it in one call afterwards.
  std::uint64_t load_steps_max = 250'000;
  std::uint64_t call_steps_max = 100'000;
  std::uint64_t load_cpu_ns_max = 20'000'000;
  std::uint64_t call_cpu_ns_max = 4'000'000;
};

// One state of Lua 5.4 in which scripts can compute, and nothing else: no input or output, clock,
// randomness, coroutines, pcall, metatables or patterns, no order of hash tables, and no way to
// keep anything from one call to the next. What takes too long or too much is ended with an error.
// One thread at a time.
class Sandbox {
 public:
  static Result<std::unique_ptr<Sandbox>> make(const SandboxLimits& limits = {});
  ~Sandbox();
  Sandbox(const Sandbox&) = delete;
  Sandbox& operator=(const Sandbox&) = delete;

  lua_State* lua() { return lua_; }

  // Runs a file's text, with globals of its own. `name` stands in errors: "lru.lua:7: ...".
  // INVALID_ARGUMENT: it is no Lua, or failed; RESOURCE_EXHAUSTED: it took too much.
  Status load(const std::string& name, std::string_view source);

  // While files are loaded, for library functions; they may raise an error of Lua's. The value on
  // top of the stack is taken, and is there until the end: it can be pushed by its number, or is a
  // member of the library's.
  std::int64_t keep();
  void push_kept(std::int64_t number);
  void set_library(const char* name);

  // From now on nothing that was loaded changes any more, whoever calls it. RESOURCE_EXHAUSTED:
  // there is too much of it.
  Status freeze();

  // Runs `body` with a light userdata, `data`, at 1; it may call what was loaded. Codes as load().
  Status call(lua_CFunction body, void* data);
  // The same with the limits of a load, before the end of loading, to make what scripts will see.
  Status prepare(lua_CFunction body, void* data);

  // What the last call or load took.
  std::uint64_t steps() const { return steps_; }

  // Of the state that a library function runs in.
  static Sandbox& of(lua_State* lua);
  // A library function does so much more. Does not come back when that is too much.
  void charge(std::uint64_t steps);

 private:
  explicit Sandbox(const SandboxLimits& limits) : limits_(limits) {}

  enum class Excess { none, steps, cpu, memory, string };
  struct Budget {
    std::size_t bytes_max = 0;  // Of the state.
    std::uint64_t steps_max = 0;
    std::uint64_t cpu_ns_max = 0;
  };

  Budget load_budget() const;
  Status run(lua_CFunction body, void* data, const Budget& budget);
  Status failure(int code);
  std::string text_on_top() const;
  void take(std::uint64_t steps);
  bool is_late() const;
  const char* words(Excess excess) const;
  void restore();
  static void* allocate(void* self, void* block, std::size_t before, std::size_t after);
  static void on_count(lua_State* lua, lua_Debug* where);

  const SandboxLimits limits_;
  lua_State* lua_ = nullptr;
  Budget budget_;
  std::size_t bytes_ = 0;
  std::size_t settled_bytes_ = 0;  // After the last collection.
  std::uint64_t steps_ = 0;
  std::uint64_t began_ns_ = 0;      // Of the monotonic clock,
  std::uint64_t began_cpu_ns_ = 0;  // and of the thread's.
  Excess excess_ = Excess::none;
  bool is_frozen_ = false;
};

}  // namespace pm::policy
