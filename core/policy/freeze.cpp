#include "freeze.h"

namespace pm::policy {

namespace {

constexpr int nesting_max = 100;
constexpr lua_Integer upvalues_max = 1'000;

char nil_mark = 0;  // Stands for nil, which would end a list.

int refuse_write(lua_State* lua) {
  const char* name = lua_type(lua, 2) == LUA_TSTRING ? lua_tostring(lua, 2) : "it";
  return luaL_error(lua, "'%s' cannot be changed after the files have been loaded", name);
}

int length_behind(lua_State* lua) {
  lua_len(lua, lua_upvalueindex(1));
  return 1;
}

// True: the value on top of the stack has been walked through; else it is from now on.
bool is_walked(lua_State* lua, int walked) {
  lua_pushvalue(lua, -1);
  const bool is = lua_rawget(lua, walked) != LUA_TNIL;
  lua_pop(lua, 1);
  if (is) return true;
  lua_pushvalue(lua, -1);
  lua_pushboolean(lua, 1);
  lua_rawset(lua, walked);
  return false;
}

void walk(lua_State* lua, const Freezing& freezing, int nesting);

// Of the function on top of the stack: upvalue `number`, whose value is above it.
void keep(lua_State* lua, int keeper, int number) {
  const lua_Integer count = luaL_len(lua, keeper);
  if (count / 3 >= upvalues_max) {
    luaL_error(lua, "functions use more than %d variables of their surroundings",
               static_cast<int>(upvalues_max));
  }
  lua_pushvalue(lua, -2);
  lua_rawseti(lua, keeper, count + 1);
  lua_pushinteger(lua, number);
  lua_rawseti(lua, keeper, count + 2);
  if (lua_isnil(lua, -1)) {
    lua_pushlightuserdata(lua, &nil_mark);
  } else {
    lua_pushvalue(lua, -1);
  }
  lua_rawseti(lua, keeper, count + 3);
}

void walk_function(lua_State* lua, const Freezing& freezing, int nesting) {
  if (lua_iscfunction(lua, -1) != 0) return;
  for (int number = 1; lua_getupvalue(lua, -1, number) != nullptr; ++number) {
    keep(lua, freezing.upvalues, number);
    walk(lua, freezing, nesting + 1);
    lua_pop(lua, 1);
  }
}

void walk_table(lua_State* lua, const Freezing& freezing, int nesting) {
  const int table = lua_gettop(lua);
  // What it inherits, as the globals of a file do.
  if (lua_getmetatable(lua, table) != 0) {
    lua_getfield(lua, -1, "__index");
    walk(lua, freezing, nesting + 1);
    lua_pop(lua, 2);
  }
  lua_newtable(lua);
  const int behind = lua_gettop(lua);
  for (lua_pushnil(lua); lua_next(lua, table) != 0;) {
    walk(lua, freezing, nesting + 1);
    lua_pushvalue(lua, -2);
    lua_insert(lua, -2);
    lua_rawset(lua, behind);
  }
  for (lua_pushnil(lua); lua_next(lua, behind) != 0; lua_pop(lua, 1)) {
    lua_pushvalue(lua, -2);
    lua_pushnil(lua);
    lua_rawset(lua, table);
  }
  if (lua_getmetatable(lua, table) != 0) lua_setmetatable(lua, behind);
  lua_createtable(lua, 0, 3);
  lua_pushvalue(lua, behind);
  lua_setfield(lua, -2, "__index");
  lua_pushcfunction(lua, &refuse_write);
  lua_setfield(lua, -2, "__newindex");
  lua_pushvalue(lua, behind);
  lua_pushcclosure(lua, &length_behind, 1);
  lua_setfield(lua, -2, "__len");
  lua_setmetatable(lua, table);
  lua_settop(lua, table);
}

// The value on top of the stack, and what can be reached from it.
void walk(lua_State* lua, const Freezing& freezing, int nesting) {
  const int type = lua_type(lua, -1);
  if (type != LUA_TTABLE && type != LUA_TFUNCTION) return;
  if (nesting > nesting_max) luaL_error(lua, "tables and functions are nested too deeply");
  luaL_checkstack(lua, 16, "nesting");
  if (is_walked(lua, freezing.walked)) return;
  if (type == LUA_TTABLE) {
    walk_table(lua, freezing, nesting);
  } else {
    walk_function(lua, freezing, nesting);
  }
}

}  // namespace

void freeze_reachable(lua_State* lua, const Freezing& freezing) { walk(lua, freezing, 0); }

void restore_upvalues(lua_State* lua, int upvalues) {
  const auto count = static_cast<lua_Integer>(lua_rawlen(lua, upvalues));
  for (lua_Integer at = 1; at + 2 <= count; at += 3) {
    lua_rawgeti(lua, upvalues, at);
    lua_rawgeti(lua, upvalues, at + 1);
    const int number = static_cast<int>(lua_tointeger(lua, -1));
    lua_pop(lua, 1);
    lua_rawgeti(lua, upvalues, at + 2);
    if (lua_islightuserdata(lua, -1) != 0) {
      lua_pop(lua, 1);
      lua_pushnil(lua);
    }
    lua_setupvalue(lua, -2, number);
    lua_pop(lua, 1);
  }
}

}  // namespace pm::policy
