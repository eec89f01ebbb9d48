#include "core/config/directories.h"

#include <system_error>
#include <utility>

#include "core/config/variables.h"

namespace pm::config {
namespace fs = std::filesystem;
namespace {

std::string look_up(const ConfigSources& sources, std::string_view name) {
  for (const auto& [known, text] : sources.environment) {
    if (known == name) return text;
  }
  return {};
}

std::string default_state_directory(const ConfigSources& sources) {
  if (sources.is_root) return "/var/lib/payload-manager";
  // The specification has relative paths in these variables ignored.
  const std::string state = look_up(sources, "XDG_STATE_HOME");
  if (fs::path(state).is_absolute()) return state + "/payload-manager";
  const std::string home = look_up(sources, "HOME");
  if (fs::path(home).is_absolute()) return home + "/.local/state/payload-manager";
  return {};
}

std::string default_runtime_directory(const ConfigSources& sources, const std::string& state) {
  if (sources.is_root) return "/run/payload-manager";
  const std::string runtime = look_up(sources, "XDG_RUNTIME_DIR");
  if (fs::path(runtime).is_absolute()) return runtime + "/payload-manager";
  return state.empty() ? std::string() : state + "/run";
}

// Settles one of the two directories; empty when it could not.
std::string settle(Table& host, const std::string& key, const std::optional<std::string>& option,
                   const std::string& fallback, const Variables& variables,
                   const ConfigSources& sources, Errors& errors) {
  if (option.has_value()) {
    std::string name = "option --" + key;
    for (char& c : name) c = c == '_' ? '-' : c;
    // An option is written for a shell, which has variables of its own.
    Value value{*option, {std::make_shared<const std::string>(name), 0}, nullptr, false};
    host.set(key, std::move(value));
  } else if (Value* present = host.find(key)) {
    loosen_to_text(*present);
    expand_variables(variables, sources.environment, "host." + key, *present, errors);
  } else if (!fallback.empty()) {
    host.set(key, Value{fallback, {}, nullptr, false});
  }
  const Value* value = host.find(key);
  if (value == nullptr) {
    errors.add("host." + key +
               ": is not set, and the environment has neither XDG_STATE_HOME nor "
               "HOME; set it, or use --state-directory");
    return {};
  }
  const std::string* text = value->text();
  if (text == nullptr) return {};
  if (!fs::path(*text).is_absolute()) {
    errors.add(value->origin, "host." + key,
               "is " + quote(*text) + "; it must be an absolute path");
  }
  return *text;
}

}  // namespace

void resolve_directories(const ConfigSources& sources, Value& root, Errors& errors) {
  Table& table = *root.table();
  Value* section = table.find("host");
  if (section == nullptr) section = &table.set("host", Value{Table{}, {}, nullptr, false});
  Table* host = section->table();
  if (host == nullptr) return;  // Refused where sections are read.
  Variables variables;
  const std::string state = settle(*host, "state_directory", sources.state_directory,
                                   default_state_directory(sources), {}, sources, errors);
  variables.emplace_back("state_directory", state);
  const std::string runtime =
      settle(*host, "runtime_directory", sources.runtime_directory,
             default_runtime_directory(sources, state), variables, sources, errors);
  variables.emplace_back("runtime_directory", runtime);
  // These two are done: what was put into them is not looked at again.
  Table settled;
  for (const char* key : {"state_directory", "runtime_directory"}) {
    if (Value* value = host->find(key)) settled.set(key, std::exchange(*value, Value{}));
  }
  expand_variables(variables, sources.environment, "", root, errors);
  for (auto& [key, value] : settled.entries) host->set(key, std::move(value));
}

std::vector<std::string> default_plugin_directories(const ConfigSources& sources) {
  std::error_code error;
  const fs::path beside =
      sources.executable.parent_path().parent_path() / "lib" / "payload-manager";
  if (!sources.executable.empty() && fs::is_directory(beside, error)) return {beside.string()};
  return {PM_PLUGIN_DIRECTORY};
}

fs::path default_policy_directory(const ConfigSources& sources) {
  std::error_code error;
  const fs::path beside =
      sources.executable.parent_path().parent_path() / "share" / "payload-manager" / "policies";
  if (!sources.executable.empty() && fs::is_directory(beside, error)) return beside;
  return PM_POLICY_DIRECTORY;
}

}  // namespace pm::config
