#pragma once

#include <lua.hpp>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "questions.h"

namespace pm::policy {

// What a file expects of its rules: some facts, and the decision on them.
template <typename Facts>
struct Expectation {
  Facts facts;
  std::optional<DecisionOf<Facts>> decision;  // None: no rule answers.
};

struct Example {
  std::string where;  // "lru.lua:30"
  std::string rule;   // Only this one is asked; empty: all.
  std::variant<Expectation<PlaceFacts>, Expectation<SpillFacts>, Expectation<PromoteFacts>,
               Expectation<AdmitFacts>, Expectation<RetainFacts>>
      expectation;
};

// The examples of the files that are being loaded.
struct Examples {
  std::vector<Example> list;
  bool is_closed = false;
};

// Adds the function `example` to the table on top of the stack; each call adds to `examples`.
void push_examples(lua_State* lua, Examples& examples);

// What was expected, as words; "default" for nothing.
template <typename Facts>
std::string expected_words(const Expectation<Facts>& expectation);

}  // namespace pm::policy
