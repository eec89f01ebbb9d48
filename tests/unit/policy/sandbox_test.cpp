#include "core/policy/sandbox.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace pm::policy {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::unique_ptr<Sandbox> sandbox() {
  auto made = Sandbox::make();
  EXPECT_TRUE(made.ok()) << made.status().to_string();
  return std::move(*made);
}

Status load(const std::string& source) { return sandbox()->load("file.lua", source); }

TEST(sandbox, has_what_computes_and_nothing_else) {
  EXPECT_TRUE(load("local x = math.floor(3.7) + math.max(1, 2); assert(x == 5)").ok());
  for (const char* name : {"pcall",        "xpcall",       "load",        "loadstring",
                           "dofile",       "require",      "io",          "os",
                           "package",      "debug",        "coroutine",   "collectgarbage",
                           "setmetatable", "getmetatable", "rawset",      "rawget",
                           "next",         "pairs",        "string",      "utf8",
                           "print",        "_G",           "math.random", "math.randomseed"}) {
    const std::string source = "assert(" + std::string(name) + " == nil)";
    EXPECT_TRUE(load(source).ok()) << name;
  }
  EXPECT_FALSE(load("local s = ('x'):rep(3)").ok()) << "strings have methods";
}

TEST(sandbox, says_file_and_line) {
  EXPECT_EQ(load("\n\nlocal x = = 1").message(), "file.lua:3: unexpected symbol near '='");
  EXPECT_EQ(load("\nerror('broken')").message(), "file.lua:2: broken");
  EXPECT_THAT(load("\nwhile true do end").message(), StartsWith("file.lua:2: it takes too many"));
  EXPECT_THAT(load("local t = {} t.x.y = 1").message(), StartsWith("file.lua:1: attempt to index"));
  EXPECT_EQ(load("error({})").message(), "file.lua: failed with a table instead of words");
}

TEST(sandbox, takes_text_only) {
  EXPECT_THAT(load("\x1bLua\x54").message(), HasSubstr("binary chunk"));
  EXPECT_THAT(load(std::string(300 << 10, ' ')).message(), HasSubstr("longer than"));
}

TEST(sandbox, tells_no_address) {
  EXPECT_TRUE(load("assert(tostring({}) == 'table' and tostring(ipairs) == 'function')").ok());
  EXPECT_TRUE(load("assert(tostring(12) == '12' and tostring(nil) == 'nil')").ok());
}

TEST(sandbox, sorts_stably_and_survives_comparisons_that_contradict_themselves) {
  EXPECT_TRUE(load(R"(
    local list = {}
    for n = 1, 300 do list[n] = {key = n % 7, number = n} end
    table.sort(list, function(a, b) return a.key < b.key end)
    for n = 2, 300 do
      local a, b = list[n - 1], list[n]
      assert(a.key < b.key or (a.key == b.key and a.number < b.number))
    end
    table.sort(list, function() return true end)
    assert(#list == 300)
    local words = {"b", "c", "a"}
    table.sort(words)
    assert(table.concat(words, ",") == "a,b,c"))")
                  .ok());
  EXPECT_THAT(load("table.sort({1, 'x', {}})").message(), HasSubstr("attempt to compare"));
}

TEST(sandbox, has_lists_and_text) {
  const Status status = load(R"(
    local list = {1, 2, 3}
    table.insert(list, 4)
    table.insert(list, 1, 0)
    assert(table.concat(list, " ") == "0 1 2 3 4")
    assert(table.remove(list, 1) == 0 and table.remove(list) == 4 and #list == 3)
    assert(table.remove({}) == nil)
    assert(select("#", table.unpack(list)) == 3)
    assert(text.starts_with("model/a", "model/") and not text.starts_with("m", "model/"))
    assert(text.ends_with("a.bin", ".bin") and text.contains("abc", "bc"))
    assert(text.glob("model/a.bin", "model/*.bin") and text.glob("", "*"))
    assert(text.glob("abc", "a?c") and not text.glob("abc", "a?") and not text.glob("", "?"))
    assert(text.glob("aXbXc", "a*b*c") and not text.glob("aXbXd", "a*b*c")))");
  EXPECT_TRUE(status.ok()) << status.message();
}

struct Called {
  std::int64_t function = 0;
  lua_Integer result = 0;
};

// Loads a file that puts a function into `f`, freezes, and calls it again and again.
class Frozen {
 public:
  explicit Frozen(const std::string& source) : sandbox_(sandbox()) {
    EXPECT_TRUE(sandbox_->prepare(&offer_keep, &called_).ok());
    const Status loaded = sandbox_->load("file.lua", source);
    EXPECT_TRUE(loaded.ok()) << loaded.message();
    const Status frozen = sandbox_->freeze();
    EXPECT_TRUE(frozen.ok()) << frozen.message();
  }
  Status call() { return sandbox_->call(&call_kept, &called_); }
  lua_Integer result() const { return called_.result; }

 private:
  static int offer_keep(lua_State* lua) {
    lua_pushlightuserdata(lua, lua_touserdata(lua, 1));
    lua_pushcclosure(
        lua,
        [](lua_State* caller) {
          auto& called = *static_cast<Called*>(lua_touserdata(caller, lua_upvalueindex(1)));
          called.function = Sandbox::of(caller).keep();
          return 0;
        },
        1);
    Sandbox::of(lua).set_library("keep");
    return 0;
  }
  static int call_kept(lua_State* lua) {
    auto& called = *static_cast<Called*>(lua_touserdata(lua, 1));
    Sandbox::of(lua).push_kept(called.function);
    lua_call(lua, 0, 1);
    called.result = lua_tointeger(lua, -1);
    return 0;
  }

  Called called_;
  std::unique_ptr<Sandbox> sandbox_;
};

TEST(sandbox, keeps_nothing_from_one_call_to_the_next) {
  Frozen counter(
      "local count, last = 0, nil\nkeep(function() count = count + 1 last = {} "
      "return last and count or 0 end)");
  for (int n = 0; n < 3; ++n) {
    EXPECT_TRUE(counter.call().ok());
    EXPECT_EQ(counter.result(), 1) << "a variable of its surroundings has changed";
  }
  Frozen nested(
      "local function next_number(box) box.n = (box.n or 0) + 1 return box.n end\n"
      "local a = 0\nlocal inner = function() a = a + 1 return a end\n"
      "keep(function() return inner() + next_number({}) end)");
  for (int n = 0; n < 3; ++n) {
    EXPECT_TRUE(nested.call().ok());
    EXPECT_EQ(nested.result(), 2);
  }
}

TEST(sandbox, lets_nobody_change_what_was_loaded) {
  for (const char* source :
       {"keep(function() leak = 1 end)", "leak = 1 keep(function() leak = 2 end)",
        "state = {} keep(function() state.n = 1 end)",
        "local state = {n = 0} keep(function() state.n = 1 end)",
        "local state = {list = {}} keep(function() table.insert(state.list, 1) end)",
        "keep(function() math.floor = nil end)", "keep(function() text.glob = math.floor end)"}) {
    Frozen frozen(source);
    const Status status = frozen.call();
    EXPECT_THAT(status.message(), HasSubstr("cannot be changed after")) << source;
    EXPECT_EQ(frozen.call().message(), status.message());
  }
}

TEST(sandbox, reads_what_was_loaded_as_before) {
  Frozen frozen(R"(
    limits = {1, 2, {deep = 40}}
    local names = {"a", "b"}
    keep(function()
      local sum = #limits + #names
      for _, value in ipairs(names) do sum = sum + #value end
      return sum + limits[3].deep + math.floor(1.5)
    end))");
  EXPECT_TRUE(frozen.call().ok());
  EXPECT_EQ(frozen.result(), 48);
}

}  // namespace
}  // namespace pm::policy
