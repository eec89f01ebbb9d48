#include <signal.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <exception>
#include <string>
#include <thread>

#include "core/config/plugin_config.h"
#include "core/observe/last_resort.h"
#include "core/observe/log.h"
#include "core/observe/out_of_memory.h"
#include "core/observe/service_manager.h"
#include "host.h"
#include "options.h"

namespace pm {
namespace {

// Blocked before the first thread starts, so that only the main thread's sigwait gets them.
sigset_t handled_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
  return signals;
}

void configure_log(const LogConfig& config) {
  log::configure(static_cast<log::Level>(config.level), static_cast<log::Format>(config.format));
}

ExitCode refuse(const config::Errors& errors) {
  for (const std::string& text : errors.texts()) std::fprintf(stderr, "%s\n", text.c_str());
  std::fprintf(stderr, "pm-host: the configuration has %zu error(s)\n", errors.texts().size());
  return kExitConfig;
}

// The result refers to `plugins`.
SchemaLookup schemas_of(PluginSet& plugins) {
  return [&plugins](const std::string& id, const char* kind) -> PluginSchema {
    const auto library = plugins.load(id, kind);
    if (!library.ok()) return {library.status().message(), nullptr};
    return {{}, library->descriptor().config_schema};
  };
}

ExitCode list_plugins(const PluginSet& plugins) {
  for (const PluginFile& file : plugins.files().found) {
    std::printf("%-40s %-18s abi %u.%u  %s\n", file.identity.id.c_str(), file.identity.kind.c_str(),
                file.identity.abi_major, file.identity.abi_minor, file.path.c_str());
  }
  for (const RefusedFile& file : plugins.files().refused) {
    std::fprintf(stderr, "refused: %s\n", file.why.message().c_str());
  }
  return kExitOk;
}

// Takes over what can change while the host runs; an invalid configuration changes nothing.
void reload(const Options& options, PluginSet& plugins, HostConfig& config, Host& host) {
  notify_service_manager(
      "RELOADING=1\nMONOTONIC_USEC=" + std::to_string(deadline_after_ms(0) / 1'000) + "\n");
  config::Errors errors;
  HostConfig loaded = load_config(options.sources, errors);
  if (errors.empty()) check_plugin_configs(loaded, schemas_of(plugins), errors);
  for (const std::string& text : errors.texts()) log::error("host", "reload: " + text);
  if (!errors.empty()) {
    log::error("host", "reload: the configuration has errors; the old one stays");
  } else {
    for (const std::string& key : changed_keys(config, loaded)) {
      const bool live = key == "log.level" || key == "log.format";
      log::info("host", "reload: " + key + (live ? " takes effect" : " needs a restart"));
    }
    configure_log(loaded.log);
    config.document.table()->set("log", *loaded.document.table()->find("log"));
    host.show_config(config);
  }
  host.reload_policies();
  notify_service_manager("READY=1\n");
}

// Drains on a thread of its own, so that a second signal can hurry it.
void stop(Host& host, std::uint64_t drain_ms_max) {
  notify_service_manager("STOPPING=1\nSTATUS=Draining\n");
  constexpr std::chrono::milliseconds margin{1'500};
  const LastResort last_resort(
      std::chrono::milliseconds(drain_ms_max) + margin, [&host] { return host.under_way(); },
      kExitHung);
  const std::uint64_t deadline_ns = deadline_after_ms(drain_ms_max);
  std::atomic<bool> drained{false};
  std::thread drain([&] {
    host.drain(deadline_ns);
    drained = true;
  });
  const sigset_t signals = handled_signals();
  const timespec tick{0, 20'000'000};
  while (!drained) {
    const int signal = sigtimedwait(&signals, nullptr, &tick);
    if (signal != SIGTERM && signal != SIGINT) continue;
    log::warn("host", "a second signal: ends what is under way");
    host.hurry();
  }
  drain.join();
  host.shut_down(deadline_ns);
}

ExitCode serve(const Options& options, PluginSet& plugins, HostConfig& config) {
  configure_log(config.log);
  for (const RefusedFile& file : plugins.files().refused) {
    log::warn("host", "a plugin is refused: " + file.why.message());
  }
  Host host;
  ExitCode exit_code = kExitFailure;
  const Status started = host.start(config, plugins, options.trusted_tiers, exit_code);
  if (!started.ok()) {
    log::error("host", "cannot start: " + started.to_string());
    return started.code() == Code::data_loss ? kExitDamaged : exit_code;
  }
  log::info("host", "ready: version " PM_VERSION ", state in " + config.state_directory.string());
  notify_service_manager("READY=1\nSTATUS=Serving\n");
  const sigset_t signals = handled_signals();
  while (true) {
    const int signal = sigwaitinfo(&signals, nullptr);
    if (signal == SIGHUP) reload(options, plugins, config, host);
    if (signal == SIGTERM || signal == SIGINT) break;
  }
  log::info("host", "stopping");
  stop(host, config.drain_ms_max);
  log::info("host", "stopped");
  return kExitOk;
}

ExitCode run(const Options& options) {
  if (options.action == Action::print_help) {
    std::printf("%s", options.help.c_str());
    return kExitOk;
  }
  if (options.action == Action::print_version) {
    std::printf("pm-host %s, plugin ABI %d.%d\n", PM_VERSION, PM_ABI_MAJOR, PM_ABI_MINOR);
    return kExitOk;
  }
  config::Errors errors;
  HostConfig config = load_config(options.sources, errors);
  if (!config.document.is_table()) return refuse(errors);
  auto plugins = PluginSet::find(config.plugin_directories);
  if (!plugins.ok()) {
    errors.add(plugins.status().message());
    return refuse(errors);
  }
  if (options.action == Action::list_plugins) return list_plugins(*plugins);
  check_plugin_configs(config, schemas_of(*plugins), errors);
  if (!errors.empty()) return refuse(errors);
  if (options.action == Action::print_config) std::printf("%s", print_config(config).c_str());
  return options.action == Action::run ? serve(options, *plugins, config) : kExitOk;
}

}  // namespace
}  // namespace pm

int main(int argc, char** argv) {
  const sigset_t signals = pm::handled_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  pm::end_when_out_of_memory(pm::kExitFailure);
  try {
    const auto options = pm::parse_options(argc, argv);
    if (options.ok()) return pm::run(*options);
    std::fprintf(stderr, "pm-host: %s\n", options.status().message().c_str());
    return pm::kExitConfig;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "pm-host: %s\n", error.what());
    return pm::kExitFailure;
  }
}
