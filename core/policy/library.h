#pragma once

#include <lua.hpp>

namespace pm::policy {

// Makes a table of all that scripts may call, and leaves it on the stack. Everything in it takes
// time that is bounded by what it charges, and is the same for the same arguments.
//
//   assert error ipairs select tonumber tostring type
//   math   abs ceil exp floor fmod huge log max maxinteger min mininteger modf pi sqrt tointeger
//   type ult table  concat insert remove sort unpack; sort is stable text   starts_with ends_with
//   contains glob
//
// May raise an error of Lua's.
void push_library(lua_State* lua);

}  // namespace pm::policy
