#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <pm/cpp/result.hpp>
#include <string>
#include <vector>

#include "core/api/engine.h"
#include "core/config/config.h"
#include "core/config/shown_config.h"
#include "core/plugin/instance.h"
#include "core/plugin/plugin_set.h"

namespace pm {

enum ExitCode {
  kExitOk = 0,
  kExitFailure = 1,
  kExitConfig = 2,
  kExitRepository = 3,  // Refused, or another host has it.
  kExitAddress = 4,     // An address is in use.
  kExitDamaged = 5,     // What is stored is damaged: a start alone will not mend it.
  kExitHung = 6         // Stopped, but a plugin's call did not come back; all else was done.
};

// Everything that runs, in the order in which it is started. [control-thread]
class Host {
 public:
  Host() = default;
  ~Host() { shut_down(deadline_after_ms(0)); }
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  void reload_policies() { engine_->reload_policies(); }  // Says in the log how that went.
  // What GetConfig shows from now on. [thread-safe]
  void show_config(const HostConfig& config) { shown_config_.set(config); }

  // Makes the directories, opens the repository, creates the tiers, recovers and opens the
  // frontends. On failure sets `exit_code`; what was started is stopped by the destructor.
  Status start(const HostConfig& config, PluginSet& plugins,
               const std::vector<std::string>& trusted_tiers, ExitCode& exit_code);

  // Lets calls under way end until the deadline. Blocks. The one function that may run on another
  // thread, while the control thread waits for it or calls hurry().
  void drain(std::uint64_t deadline_ns);

  // Ends what drain() waits for: everyone who waits in the engine gets an answer.
  void hurry();

  // Stops the engine, the frontends, the tiers and the repository, and removes the runtime
  // directory if it was made by start() and is empty; the engine has until the deadline. Without
  // effect the second time.
  void shut_down(std::uint64_t deadline_ns);

  // What shut_down() has been waiting for, in words; empty: nothing is known to hang. [thread-safe]
  std::string under_way();

 private:
  Status make_directories(const HostConfig& config);
  Status open_store(const HostConfig& config, PluginSet& plugins);
  Status create_tiers(const HostConfig& config, PluginSet& plugins);
  Status start_engine(const HostConfig& config, PluginSet& plugins,
                      const std::vector<std::string>& trusted_tiers);
  HostFacts facts(const HostConfig& config, PluginSet& plugins);
  Status start_frontends(const HostConfig& config, PluginSet& plugins, ExitCode& exit_code);

  ShownConfig shown_config_;
  std::filesystem::path made_runtime_directory_;  // Empty: it was there.
  std::vector<Repository> repository_;            // None or one.
  RepositoryState state_;
  HostIdentity identity_;
  std::vector<Tier> tiers_;
  std::mutex engine_mutex_;  // Round the end of engine_.
  std::unique_ptr<Engine> engine_;
  std::atomic<bool> engine_stopped_{false};
  std::vector<Frontend> frontends_;  // Those that are started.
};

}  // namespace pm
