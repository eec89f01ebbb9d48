#pragma once

#include <string>
#include <vector>

#include "bench.h"

namespace pm::frontend_contract {

// One rule that a gRPC frontend keeps. `check` says what is wrong, or nothing.
struct Rule {
  const char* number;
  const char* name;
  std::string (*check)(Bench& bench);
  bool unix_only;
};

const std::vector<Rule>& rules();
const Rule& rule(const std::string& number);

std::vector<Rule> call_rules();
std::vector<Rule> stream_rules();
std::vector<Rule> service_rules();
std::vector<Rule> lifecycle_rules();
std::vector<Rule> socket_rules();
std::vector<Rule> security_rules();

// Leaves the check with what is wrong unless `condition` holds.
#define PM_RULE(condition, ...)                                                        \
  do {                                                                                 \
    if (!(condition)) return std::string(#condition " does not hold: ") + __VA_ARGS__; \
  } while (false)

}  // namespace pm::frontend_contract
