#pragma once

#include <optional>
#include <pm/cpp/result.hpp>
#include <string>
#include <vector>

#include "core/config/config.h"

namespace pm {

enum class Action { run, check_config, print_config, list_plugins, print_version, print_help };

struct Options {
  Action action = Action::run;
  ConfigSources sources;
  std::vector<std::string> trusted_tiers;
  std::string help;
};

// Errors: invalid_argument, in words for the user.
Result<Options> parse_options(int argc, const char* const* argv);

}  // namespace pm
