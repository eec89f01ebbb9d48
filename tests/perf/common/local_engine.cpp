#include "local_engine.h"

#include <cstdlib>

#include "core/observe/log.h"
#include "report.h"

namespace pm::perf {

LocalEngine::LocalEngine(const EngineSetup& setup) {
  log::configure(log::Level::warn, log::Format::text);
  static PluginSet plugins = must(PluginSet::find({PM_PERF_PLUGINS}), "finding plugins");
  // A plugin gets every key of its schema; these are the defaults.
  const std::string sqlite_json = "{\"path\": \"" + database() +
                                  "\", \"busy_timeout_ms\": 5000, \"cache_bytes\": 16777216, "
                                  "\"wal_autocheckpoint_pages\": 4000}";
  const std::string json = setup.repository == "sqlite" ? sqlite_json : "{}";
  const auto repository =
      must(plugins.load("org.payload-manager.repository-" + setup.repository, PM_KIND_REPOSITORY),
           "loading the repository");
  repository_.push_back(
      must(Repository::create(repository, "repository", std::nullopt, json.c_str()), "repository"));
  const RepositoryState state =
      must(open_repository(repository_.front().get()), "opening the repository");

  const std::string bytes = std::to_string(setup.slab_bytes);
  const std::string tier_json = "{\"capacity_bytes\": " + bytes + ", \"slab_bytes\": " + bytes +
                                ", \"prefix\": \"" + prefix_.text() + "\", \"mode\": \"0600\"}";
  const auto tier = must(plugins.load("org.payload-manager.tier-shm", PM_KIND_TIER), "loading shm");
  const HostIdentity identity{state.instance_id, read_boot_id(), directory_.path()};
  tiers_.push_back(must(Tier::create(tier, "shm", identity, tier_json.c_str()), "shm"));

  TierSetup shm;
  shm.name = "shm";
  shm.number = 2;
  shm.rank = 20;
  shm.tier = tiers_.front().get();
  engine_ = must(Engine::start({}, repository_.front().get(), state, {shm}, {},
                               [](const Status& why) {
                                 std::fprintf(stderr, "%s\n", why.to_string().c_str());
                                 std::_Exit(1);
                               }),
                 "starting the engine");
}

LocalEngine::~LocalEngine() { stop(); }

void LocalEngine::stop() {
  if (engine_ != nullptr) engine_->stop(UINT64_MAX);
  engine_.reset();
  tiers_.clear();
  repository_.clear();
}

}  // namespace pm::perf
