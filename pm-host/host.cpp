#include "host.h"

#include <algorithm>
#include <cstdlib>
#include <system_error>

#include "core/api/plugin_facts.h"
#include "core/config/plugin_config.h"
#include "core/observe/log.h"

namespace pm {
namespace fs = std::filesystem;
namespace {

// Makes `path` with what is missing above it, for the host's user alone. True: it was not there.
Result<bool> make_directory(const fs::path& path) {
  std::error_code error;
  const bool made = fs::create_directories(path, error);
  if (!error && made) fs::permissions(path, fs::perms::owner_all, error);
  if (error) {
    return Status{Code::failed_precondition,
                  path.string() + ": cannot be made: " + error.message()};
  }
  return made;
}

// Exits without draining: replies must not leave, and what is durable is recovered at the next
// start. Sockets that stay behind are taken over then.
[[noreturn]] void end_at_once(const Status& why) {
  log::error("host", "fatal, the host ends at once: " + why.to_string());
  std::_Exit(kExitFailure);
}

EngineOptions engine_options(const HostConfig& config) {
  EngineOptions options;
  const auto count = [](std::uint64_t number) { return static_cast<std::uint32_t>(number); };
  options.lease_default_ms = config.leases.default_ms;
  options.lease_max_ms = config.leases.max_ms;
  options.waiters_max = count(config.limits.waiters_max);
  options.journal_records_max = config.limits.journal_records_max;
  options.journal_bytes_max = config.limits.journal_bytes_max;
  options.journal_age_ms_max = config.limits.journal_age_ms_max;
  options.allocate_wait_ms_max = config.limits.allocate_wait_ms_max;
  options.uncommitted_ms_max = config.limits.uncommitted_ms_max;
  options.request_ids_max = count(config.limits.request_ids_max);
  options.streams_max = count(config.limits.streams_max);
  options.consumer_groups_max = count(config.limits.consumer_groups_max);
  options.payload_bytes_max = config.limits.payload_bytes_max;
  options.orphan_grace_ms = config.recovery.orphan_grace_ms;
  options.quarantine_ms = config.recovery.quarantine_ms;
  const auto& [enabled, rate, interval_ms, first_after_ms] = config.scrub;
  options.scrub = {enabled, rate, interval_ms, first_after_ms};
  const auto& [use, shipped, own, workers, look, journal, bytes] = config.policy;
  options.policy = {use, shipped.string(), own.string(), workers, look, journal.string(), bytes};
  return options;
}

}  // namespace

Status Host::make_directories(const HostConfig& config) {
  const auto state = make_directory(config.state_directory);
  if (!state.ok()) return state.status();
  const auto runtime = make_directory(config.runtime_directory);
  if (!runtime.ok()) return runtime.status();
  if (*runtime) made_runtime_directory_ = config.runtime_directory;
  return {};
}

Status Host::open_store(const HostConfig& config, PluginSet& plugins) {
  auto library = plugins.load(config.repository.plugin, PM_KIND_REPOSITORY);
  if (!library.ok()) return library.status();
  auto repository = Repository::create(*library, "repository", std::nullopt,
                                       config.repository.config_json.c_str());
  if (!repository.ok()) return repository.status();
  repository_.push_back(*std::move(repository));
  auto state = open_repository(repository_.front().get());
  if (!state.ok()) return state.status();
  state_ = *std::move(state);
  identity_ = {state_.instance_id, read_boot_id(), config.state_directory.string()};
  return {};
}

Status Host::create_tiers(const HostConfig& config, PluginSet& plugins) {
  for (const TierConfig& tier : config.tiers) {
    auto library = plugins.load(tier.plugin, PM_KIND_TIER);
    if (!library.ok()) return library.status();
    auto instance = Tier::create(*library, tier.name, identity_, tier.config_json.c_str());
    if (!instance.ok()) return instance.status();
    tiers_.push_back(*std::move(instance));
  }
  return {};
}

HostFacts Host::facts(const HostConfig& config, PluginSet& plugins) {
  shown_config_.set(config);
  return {plugin_facts(plugins, instances_of(config)), [this] { return shown_config_.get(); },
          config.file.string()};
}

Status Host::start_engine(const HostConfig& config, PluginSet& plugins,
                          const std::vector<std::string>& trusted_tiers) {
  std::vector<bool> is_durable;
  for (const Tier& tier : tiers_) is_durable.push_back(keeps_durably(tier));
  std::vector<TierSetup> setups;
  for (std::size_t i = 0; i < tiers_.size(); ++i) {
    const TierConfig& tier = config.tiers[i];
    setups.push_back({tier.name, tier.number, tier.rank, tier.workers,
                      spill_target(config, i, is_durable), tiers_[i].get(), tier.plugin, tier.scrub,
                      tier.call_ms_max, tier.failures_max, tier.probe_ms_min, tier.probe_ms_max,
                      tier.high_watermark_percent, tier.low_watermark_percent});
  }
  auto engine =
      Engine::start(engine_options(config), repository_.front().get(), state_, std::move(setups),
                    trusted_tiers, end_at_once, facts(config, plugins));
  if (!engine.ok()) return engine.status();
  engine_ = *std::move(engine);
  return {};
}

Status Host::start_frontends(const HostConfig& config, PluginSet& plugins, ExitCode& exit_code) {
  for (const FrontendConfig& frontend : config.frontends) {
    auto library = plugins.load(frontend.plugin, PM_KIND_FRONTEND);
    if (!library.ok()) return library.status();
    auto instance =
        Frontend::create(*library, frontend.name, identity_, frontend.config_json.c_str());
    if (!instance.ok()) return instance.status();
    const Status started = take_error((*instance)->start(instance->get(), engine_->abi()));
    if (!started.ok()) {
      if (started.code() == Code::unavailable) exit_code = kExitAddress;
      return {started.code(), "frontend " + frontend.name + " cannot start: " + started.message()};
    }
    const auto* addresses = static_cast<const pm_frontend_addresses_t*>(
        (*instance)->get_extension(instance->get(), PM_FRONTEND_ADDRESSES));
    for (std::uint32_t n = 0; addresses != nullptr; ++n) {
      const char* address = addresses->get(instance->get(), n);
      if (address == nullptr) break;
      log::info(frontend.name, std::string("listens on ") + address);
    }
    frontends_.push_back(*std::move(instance));
  }
  return {};
}

Status Host::start(const HostConfig& config, PluginSet& plugins,
                   const std::vector<std::string>& trusted_tiers, ExitCode& exit_code) {
  exit_code = kExitConfig;
  for (const std::string& name : trusted_tiers) {
    const bool known = std::any_of(config.tiers.begin(), config.tiers.end(),
                                   [&](const TierConfig& tier) { return tier.name == name; });
    if (!known) return {Code::invalid_argument, "--trust-tier: no tier is called `" + name + "`"};
  }
  exit_code = kExitFailure;
  PM_TRY(make_directories(config));
  exit_code = kExitRepository;
  PM_TRY(open_store(config, plugins));
  exit_code = kExitFailure;
  PM_TRY(create_tiers(config, plugins));
  PM_TRY(start_engine(config, plugins, trusted_tiers));
  return start_frontends(config, plugins, exit_code);
}

void Host::drain(std::uint64_t deadline_ns) {
  if (engine_ != nullptr) engine_->begin_stop();
  for (const Frontend& frontend : frontends_) frontend->drain(frontend.get(), deadline_ns);
}

void Host::hurry() {
  if (engine_ != nullptr && !engine_stopped_.exchange(true)) engine_->stop(deadline_after_ms(0));
}

std::string Host::under_way() {
  const std::lock_guard lock(engine_mutex_);
  return engine_ == nullptr ? std::string() : engine_->under_way();
}

void Host::shut_down(std::uint64_t deadline_ns) {
  if (engine_ != nullptr && !engine_stopped_.exchange(true)) engine_->stop(deadline_ns);
  for (const Frontend& frontend : frontends_) frontend->stop(frontend.get());
  frontends_.clear();
  {
    const std::lock_guard lock(engine_mutex_);
    engine_.reset();
  }
  tiers_.clear();
  repository_.clear();
  if (made_runtime_directory_.empty()) return;
  std::error_code ignored;  // Something of somebody else's lies in it: then it stays.
  fs::remove(made_runtime_directory_, ignored);
  made_runtime_directory_.clear();
}

}  // namespace pm
