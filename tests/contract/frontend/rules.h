#pragma once

#include <string>
#include <vector>

#include "bench.h"

namespace pm::frontend_contract {

// The transports that a rule is about.
enum Over : unsigned {
  over_unix = 1u << 0,   // gRPC by a Unix socket.
  over_tcp = 1u << 1,    // gRPC by TCP.
  over_local = 1u << 2,  // The local frontend's frames.
  over_grpc = over_unix | over_tcp,
  over_sockets = over_unix | over_local,
  over_all = over_grpc | over_local,
};

// One rule that a frontend keeps. `check` says what is wrong, or nothing.
struct Rule {
  const char* number;
  const char* name;
  std::string (*check)(Bench& bench);
  unsigned over;  // Bits of Over.
};

const std::vector<Rule>& rules();
const Rule& rule(const std::string& number);

std::vector<Rule> call_rules();
std::vector<Rule> stream_rules();
std::vector<Rule> service_rules();
std::vector<Rule> lifecycle_rules();
std::vector<Rule> socket_rules();
std::vector<Rule> security_rules();
std::vector<Rule> session_rules();

// Leaves the check with what is wrong unless `condition` holds.
#define PM_RULE(condition, ...)                                                        \
  do {                                                                                 \
    if (!(condition)) return std::string(#condition " does not hold: ") + __VA_ARGS__; \
  } while (false)

}  // namespace pm::frontend_contract
