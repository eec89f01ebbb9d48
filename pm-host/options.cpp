#include "options.h"

#include <boost/program_options.hpp>
#include <exception>
#include <filesystem>
#include <sstream>

namespace pm {
namespace {

namespace po = boost::program_options;

po::options_description describe() {
  po::options_description all(
      "pm-host [OPTION]...\n\nRuns Payload Manager. Without --config it uses the configuration "
      "that it has built in.\n\nOptions");
  auto add = all.add_options();
  add("config", po::value<std::string>()->value_name("FILE"), "use this configuration (TOML)");
  add("state-directory", po::value<std::string>()->value_name("DIRECTORY"),
      "keep the catalog and payloads here; overrides host.state_directory");
  add("runtime-directory", po::value<std::string>()->value_name("DIRECTORY"),
      "put sockets here; overrides host.runtime_directory");
  add("trust-tier", po::value<std::vector<std::string>>()->value_name("NAME"),
      "use a tier again that has failed, after looking into it; may be repeated");
  add("check-config", "check the configuration, print every error, and exit (0, or 2)");
  add("print-config", "print every key with its value and origin, and exit");
  add("list-plugins", "print the plugins found and those refused, and exit");
  add("version", "print the version and exit");
  add("help", "print this and exit");
  return all;
}

std::optional<std::string> absolute(const po::variables_map& map, const char* name) {
  if (map.count(name) == 0) return std::nullopt;
  return std::filesystem::absolute(map[name].as<std::string>()).lexically_normal().string();
}

Status pick_action(const po::variables_map& map, Action& action) {
  const struct {
    const char* name;
    Action action;
  } choices[] = {{"check-config", Action::check_config},
                 {"print-config", Action::print_config},
                 {"list-plugins", Action::list_plugins},
                 {"version", Action::print_version},
                 {"help", Action::print_help}};
  const char* picked = nullptr;
  for (const auto& choice : choices) {
    if (map.count(choice.name) == 0) continue;
    if (picked != nullptr) {
      return {Code::invalid_argument, std::string("--") + picked + " and --" + choice.name +
                                          " exclude each other; give one of them"};
    }
    picked = choice.name;
    action = choice.action;
  }
  return {};
}

}  // namespace

Result<Options> parse_options(int argc, const char* const* argv) {
  try {
    const po::options_description all = describe();
    po::variables_map map;
    // No positional argument is allowed, and options are not guessed from their beginnings.
    const auto style = po::command_line_style::unix_style ^ po::command_line_style::allow_guessing;
    po::store(po::command_line_parser(argc, argv).options(all).positional({}).style(style).run(),
              map);
    po::notify(map);
    Options options;
    PM_TRY(pick_action(map, options.action));
    options.sources = process_config_sources();
    if (map.count("config") > 0) options.sources.file = map["config"].as<std::string>();
    options.sources.state_directory = absolute(map, "state-directory");
    options.sources.runtime_directory = absolute(map, "runtime-directory");
    if (map.count("trust-tier") > 0) {
      options.trusted_tiers = map["trust-tier"].as<std::vector<std::string>>();
    }
    std::ostringstream help;
    help << all;
    options.help = help.str();
    return options;
  } catch (const std::exception& error) {
    return Status{Code::invalid_argument, std::string(error.what()) + "; see pm-host --help"};
  }
}

}  // namespace pm
