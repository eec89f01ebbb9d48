#pragma once

#include <sys/types.h>

#include <cstdint>
#include <pm/cpp/result.hpp>
#include <set>
#include <string>
#include <vector>

// What this frontend is told: the JSON Schema of its configuration, and its typed form.

namespace pm::frontend_local {

struct Configuration {
  std::vector<std::string> listen;  // Absolute paths of Unix sockets.
  mode_t mode = 0600;
  std::uint32_t threads = 2;
  std::uint32_t connections_max = 1024;
  std::uint32_t open_ms = 10'000;
  std::set<std::uint32_t> trusted_uids;
};

extern const char configuration_schema[];

// Reads what the host has checked against the schema. INVALID_ARGUMENT names the key.
Result<Configuration> parse_configuration(const char* config_json);

}  // namespace pm::frontend_local
