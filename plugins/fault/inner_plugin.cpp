#include "inner_plugin.h"

#include <dlfcn.h>

#include <cstring>
#include <filesystem>
#include <pm/cpp/plugin.hpp>
#include <pm/cpp/result.hpp>

namespace pm::fault {

namespace fs = std::filesystem;
namespace json = boost::json;

namespace {

Status invalid(const std::string& what) { return {Code::invalid_argument, what}; }

// Where this code itself was loaded from.
fs::path own_folder() {
  Dl_info info{};
  if (::dladdr(reinterpret_cast<const void*>(&create_inner), &info) == 0) return {};
  return fs::absolute(info.dli_fname).parent_path();
}

Result<fs::path> find_file(const std::string& plugin) {
  if (plugin.find('/') != std::string::npos) return fs::path(plugin);
  const fs::path own = own_folder();
  const fs::path places[] = {own / (plugin + ".so"),
                             own.parent_path() / "payload-manager" / (plugin + ".so")};
  for (const fs::path& place : places) {
    if (fs::exists(place)) return place;
  }
  return invalid("plugin: there is neither " + places[0].string() + " nor " + places[1].string());
}

Result<const pm_plugin_entry_t*> load(const fs::path& file, const char* kind) {
  void* library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (library == nullptr) return invalid(std::string("plugin: ") + ::dlerror());
  const auto* entry =
      static_cast<const pm_plugin_entry_t*>(::dlsym(library, PM_PLUGIN_ENTRY_SYMBOL));
  if (entry == nullptr || entry->descriptor == nullptr || entry->create == nullptr) {
    return invalid("plugin: " + file.string() + " is no plugin");
  }
  if (entry->abi_major != PM_ABI_MAJOR || entry->abi_minor != PM_ABI_MINOR) {
    return invalid("plugin: " + file.string() + " is for another version of the ABI");
  }
  if (std::strcmp(entry->descriptor->kind, kind) != 0) {
    return invalid("plugin: " + file.string() + " is a " + entry->descriptor->kind + ", and a " +
                   kind + " is needed");
  }
  return entry;
}

Status complete(const char* config_schema, json::object& config) {
  const json::value schema =
      config_schema == nullptr ? json::value(json::object{}) : json::parse(config_schema);
  const json::value* properties = schema.as_object().if_contains("properties");
  const json::object none;
  const json::object& known = properties == nullptr ? none : properties->as_object();
  for (const auto& entry : config) {
    if (!known.contains(entry.key())) {
      return invalid("config." + std::string(entry.key()) + ": the inner plugin has no such key");
    }
  }
  for (const auto& [key, property] : known) {
    const json::value* value = property.as_object().if_contains("default");
    if (value != nullptr && !config.contains(key)) config[key] = *value;
  }
  const json::value* required = schema.as_object().if_contains("required");
  if (required == nullptr) return {};
  for (const json::value& key : required->as_array()) {
    if (config.contains(key.as_string())) continue;
    return invalid("config." + std::string(key.as_string()) + ": the inner plugin needs it");
  }
  return {};
}

}  // namespace

const void* create_inner(const pm_host_t* abi_host, const char* kind, const std::string& plugin,
                         json::object config) {
  const sdk::Host host(abi_host);
  const pm_plugin_entry_t* entry = nullptr;
  std::string text;
  const pm_status_t found = sdk::guarded(host, [&]() -> Status {
    const auto file = find_file(plugin);
    if (!file.ok()) return file.status();
    const auto loaded = load(*file, kind);
    if (!loaded.ok()) return loaded.status();
    entry = *loaded;
    PM_TRY(complete(entry->descriptor->config_schema, config));
    text = json::serialize(config);
    return {};
  });
  // The inner plugin leaves words of its own when it cannot be created.
  return found == PM_OK ? entry->create(abi_host, text.c_str()) : nullptr;
}

}  // namespace pm::fault
