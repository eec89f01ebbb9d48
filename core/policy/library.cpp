#include "library.h"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <string_view>
#include <vector>

#include "sandbox.h"

namespace pm::policy {

namespace {

// Bytes, or elements, that cost a step.
constexpr std::size_t bytes_each_step = 64;

void charge_bytes(lua_State* lua, std::size_t bytes) {
  Sandbox::of(lua).charge(1 + bytes / bytes_each_step);
}

std::string_view text_at(lua_State* lua, int index) {
  std::size_t length = 0;
  const char* text = luaL_checklstring(lua, index, &length);
  charge_bytes(lua, length);
  return {text, length};
}

// ---- base ----

// Not Lua's: that one tells addresses, which differ from one run to the next.
int to_string(lua_State* lua) {
  luaL_checkany(lua, 1);
  switch (lua_type(lua, 1)) {
    case LUA_TNIL: lua_pushliteral(lua, "nil"); break;
    case LUA_TBOOLEAN: lua_pushstring(lua, lua_toboolean(lua, 1) != 0 ? "true" : "false"); break;
    case LUA_TNUMBER:
    case LUA_TSTRING:
      lua_settop(lua, 1);
      lua_tolstring(lua, 1, nullptr);
      break;
    default: lua_pushstring(lua, luaL_typename(lua, 1));
  }
  return 1;
}

// ---- table ----

lua_Integer length_of(lua_State* lua, int index) {
  luaL_checktype(lua, index, LUA_TTABLE);
  return luaL_len(lua, index);
}

// concat(list [, separator]): of strings and numbers.
int concat(lua_State* lua) {
  const lua_Integer length = length_of(lua, 1);
  const std::string_view separator = lua_isnoneornil(lua, 2) ? "" : text_at(lua, 2);
  luaL_Buffer buffer;
  luaL_buffinit(lua, &buffer);
  for (lua_Integer at = 1; at <= length; ++at) {
    lua_geti(lua, 1, at);
    if (lua_isstring(lua, -1) == 0) {
      return luaL_error(lua, "concat: element %d is a %s", static_cast<int>(at),
                        luaL_typename(lua, -1));
    }
    std::size_t bytes = 0;
    lua_tolstring(lua, -1, &bytes);
    charge_bytes(lua, separator.size() + bytes);
    luaL_addvalue(&buffer);
    if (at < length) luaL_addlstring(&buffer, separator.data(), separator.size());
  }
  luaL_pushresult(&buffer);
  return 1;
}

// insert(list, [position,] value)
int insert(lua_State* lua) {
  const lua_Integer end = length_of(lua, 1) + 1;
  lua_Integer position = end;
  if (lua_gettop(lua) == 3) {
    position = luaL_checkinteger(lua, 2);
    luaL_argcheck(lua, position >= 1 && position <= end, 2, "position out of bounds");
  } else if (lua_gettop(lua) != 2) {
    return luaL_error(lua, "insert takes a list, perhaps a position, and a value");
  }
  Sandbox::of(lua).charge(static_cast<std::uint64_t>(1 + end - position));
  for (lua_Integer at = end; at > position; --at) {
    lua_geti(lua, 1, at - 1);
    lua_seti(lua, 1, at);
  }
  lua_seti(lua, 1, position);
  return 0;
}

// remove(list [, position]): gives what was there.
int remove(lua_State* lua) {
  const lua_Integer length = length_of(lua, 1);
  const lua_Integer position = luaL_optinteger(lua, 2, length);
  if (length == 0) return 0;
  luaL_argcheck(lua, position >= 1 && position <= length, 2, "position out of bounds");
  Sandbox::of(lua).charge(static_cast<std::uint64_t>(1 + length - position));
  lua_geti(lua, 1, position);
  for (lua_Integer at = position; at < length; ++at) {
    lua_geti(lua, 1, at + 1);
    lua_seti(lua, 1, at);
  }
  lua_pushnil(lua);
  lua_seti(lua, 1, length);
  return 1;
}

int unpack(lua_State* lua) {
  const lua_Integer length = length_of(lua, 1);
  constexpr lua_Integer values_max = 1'000;
  luaL_argcheck(lua, length <= values_max, 1, "unpack gives at most 1000 values");
  Sandbox::of(lua).charge(static_cast<std::uint64_t>(1 + length));
  luaL_checkstack(lua, static_cast<int>(length), "unpack");
  for (lua_Integer at = 1; at <= length; ++at) lua_geti(lua, 1, at);
  return static_cast<int>(length);
}

// Sorts numbers of elements by merging, so it is stable, takes a known number of steps, and a
// comparison that contradicts itself does no harm. (Lua's own draws its pivots by the clock.)
class Merging {
 public:
  // The list is at 1 and the comparison, or nil, at 2.
  Merging(lua_State* lua, std::size_t length) : lua_(lua), order_(length), merged_(length) {
    std::iota(order_.begin(), order_.end(), lua_Integer{1});
  }

  const std::vector<lua_Integer>& sort() {
    for (std::size_t width = 1; width < order_.size(); width *= 2) {
      for (std::size_t begin = 0; begin < order_.size(); begin += 2 * width) {
        merge(begin, std::min(begin + width, order_.size()),
              std::min(begin + 2 * width, order_.size()));
      }
      order_.swap(merged_);
    }
    return order_;
  }

 private:
  void merge(std::size_t left, std::size_t middle, std::size_t end) {
    std::size_t right = middle;
    for (std::size_t at = left, target = left; target < end; ++target) {
      const bool takes_right = right < end && (at == middle || is_less(order_[right], order_[at]));
      merged_[target] = order_[takes_right ? right++ : at++];
    }
  }

  bool is_less(lua_Integer one, lua_Integer other) {
    Sandbox::of(lua_).charge(4);
    const bool is_given = !lua_isnil(lua_, 2);
    if (is_given) lua_pushvalue(lua_, 2);
    lua_geti(lua_, 1, one);
    lua_geti(lua_, 1, other);
    bool less = false;
    if (is_given) {
      lua_call(lua_, 2, 1);
      less = lua_toboolean(lua_, -1) != 0;
      lua_pop(lua_, 1);
    } else {
      less = lua_compare(lua_, -2, -1, LUA_OPLT) != 0;
      lua_pop(lua_, 2);
    }
    return less;
  }

  lua_State* const lua_;
  std::vector<lua_Integer> order_;
  std::vector<lua_Integer> merged_;
};

// sort(list [, less])
int sort(lua_State* lua) {
  const lua_Integer length = length_of(lua, 1);
  lua_settop(lua, 2);
  if (!lua_isnil(lua, 2)) luaL_checktype(lua, 2, LUA_TFUNCTION);
  constexpr lua_Integer length_max = 100'000;
  luaL_argcheck(lua, length <= length_max, 1, "the list is too long");
  Sandbox::of(lua).charge(static_cast<std::uint64_t>(1 + length));
  Merging merging(lua, static_cast<std::size_t>(length));
  const std::vector<lua_Integer>& order = merging.sort();
  lua_createtable(lua, static_cast<int>(length), 0);
  for (std::size_t at = 0; at < order.size(); ++at) {
    lua_geti(lua, 1, order[at]);
    lua_rawseti(lua, 3, static_cast<lua_Integer>(at + 1));
  }
  for (lua_Integer at = 1; at <= length; ++at) {
    lua_rawgeti(lua, 3, at);
    lua_seti(lua, 1, at);
  }
  return 0;
}

// ---- text ----

int starts_with(lua_State* lua) {
  lua_pushboolean(lua, text_at(lua, 1).starts_with(text_at(lua, 2)) ? 1 : 0);
  return 1;
}

int ends_with(lua_State* lua) {
  lua_pushboolean(lua, text_at(lua, 1).ends_with(text_at(lua, 2)) ? 1 : 0);
  return 1;
}

int contains(lua_State* lua) {
  const std::string_view text = text_at(lua, 1);
  const std::string_view part = text_at(lua, 2);
  // Looking for it may compare each of its bytes at each place.
  charge_bytes(lua, text.size() * std::max<std::size_t>(part.size() / bytes_each_step, 1));
  lua_pushboolean(lua, text.find(part) != std::string_view::npos ? 1 : 0);
  return 1;
}

// glob(text, pattern): * any bytes, ? one byte. Goes back to the last star only.
int glob(lua_State* lua) {
  const std::string_view text = text_at(lua, 1);
  const std::string_view pattern = text_at(lua, 2);
  constexpr std::size_t comparisons_each_step = 16;
  constexpr std::size_t none = std::string_view::npos;
  std::size_t at = 0;
  std::size_t in_pattern = 0;
  std::size_t star = none;
  std::size_t star_at = 0;
  for (std::size_t comparisons = 1; at < text.size(); ++comparisons) {
    if (comparisons % comparisons_each_step == 0) Sandbox::of(lua).charge(1);
    if (in_pattern < pattern.size() && pattern[in_pattern] == '*') {
      star = in_pattern++;
      star_at = at;
    } else if (in_pattern < pattern.size() &&
               (pattern[in_pattern] == '?' || pattern[in_pattern] == text[at])) {
      ++in_pattern;
      ++at;
    } else if (star != none) {
      in_pattern = star + 1;
      at = ++star_at;
    } else {
      lua_pushboolean(lua, 0);
      return 1;
    }
  }
  while (in_pattern < pattern.size() && pattern[in_pattern] == '*') ++in_pattern;
  lua_pushboolean(lua, in_pattern == pattern.size() ? 1 : 0);
  return 1;
}

// ---- all of it ----

// Takes functions out of one of Lua's libraries into the table on top of the stack.
void take(lua_State* lua, lua_CFunction library, std::initializer_list<const char*> names) {
  lua_pushcfunction(lua, library);
  lua_call(lua, 0, 1);
  for (const char* name : names) {
    lua_getfield(lua, -1, name);
    lua_setfield(lua, -3, name);
  }
  lua_pop(lua, 1);
}

}  // namespace

void push_library(lua_State* lua) {
  // The base library puts its functions among the globals, which scripts do not see.
  lua_newtable(lua);
  take(lua, luaopen_base, {"assert", "error", "ipairs", "select", "tonumber", "type"});
  lua_pushcfunction(lua, &to_string);
  lua_setfield(lua, -2, "tostring");

  lua_newtable(lua);
  take(lua, luaopen_math,
       {"abs", "ceil", "exp", "floor", "fmod", "huge", "log", "max", "maxinteger", "min",
        "mininteger", "modf", "pi", "sqrt", "tointeger", "type", "ult"});
  lua_setfield(lua, -2, "math");

  static const luaL_Reg table[] = {{"concat", &concat}, {"insert", &insert}, {"remove", &remove},
                                   {"sort", &sort},     {"unpack", &unpack}, {nullptr, nullptr}};
  luaL_newlib(lua, table);
  lua_setfield(lua, -2, "table");

  static const luaL_Reg text[] = {{"starts_with", &starts_with},
                                  {"ends_with", &ends_with},
                                  {"contains", &contains},
                                  {"glob", &glob},
                                  {nullptr, nullptr}};
  luaL_newlib(lua, text);
  lua_setfield(lua, -2, "text");
}

}  // namespace pm::policy
