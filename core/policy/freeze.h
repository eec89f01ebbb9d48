#pragma once

#include <lua.hpp>

namespace pm::policy {

// Makes the value on top of the stack, if it is a table, and all tables that can be reached from
// it, unchangeable: what they hold goes to a table behind them, and writing to them is an error.
// Functions are walked through, too; what their upvalues are is kept, so that restore_upvalues()
// can put it back. Raises an error of Lua's when there is too much. Of two tables, given by their
// absolute indexes, the first keeps the upvalues, and the second what has been walked through.
struct Freezing {
  int upvalues = 0;
  int walked = 0;
};
void freeze_reachable(lua_State* lua, const Freezing& freezing);

// Puts back the upvalues that functions have changed; `upvalues` is the index of their table.
void restore_upvalues(lua_State* lua, int upvalues);

}  // namespace pm::policy
