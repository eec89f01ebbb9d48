#pragma once

#include <lua.hpp>
#include <pm/cpp/result.hpp>
#include <string>

#include "questions.h"

namespace pm::policy {

inline constexpr std::size_t why_bytes_max = 200;  // Of the words with which a client is refused.

// Makes a decision of the value on top of the stack, which is not nil. INVALID_ARGUMENT says what
// is wrong with it, in words for who has written the rule; the decision is then as it was. May
// raise an error of Lua's.
//
//   place    "shm", or {tier = "shm", copy_to = "disk"}
//   admit    true, false, or words that say why not
//   spill    {1, 3, {candidate = 2, to = "disk"}}: numbers of candidates, in this order
//   promote  "shm", or false: it stays
//   retain   "delete", or {keep_ms = 60000, tier = "disk"}
template <typename Facts>
Status take_answer(lua_State* lua, const Facts& facts, DecisionOf<Facts>& decision);

// "shm, and a copy on disk"
template <typename Facts>
std::string words_of(const Facts& facts, const DecisionOf<Facts>& decision);

}  // namespace pm::policy
