#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/api/engine.h"
#include "core/plugin/instance.h"
#include "core/plugin/plugin_set.h"
#include "temporary_directory.h"

namespace pm::perf {

struct EngineSetup {
  std::string repository = "sqlite";  // or "memory"
  std::uint64_t slab_bytes = 1ULL << 30;
};

// An engine in this process over a repository and one shm tier, loaded as the host does it. Each
// has a store of its own, which goes with it.
class LocalEngine {
 public:
  explicit LocalEngine(const EngineSetup& setup);
  ~LocalEngine();
  LocalEngine(const LocalEngine&) = delete;
  LocalEngine& operator=(const LocalEngine&) = delete;

  Engine& engine() { return *engine_; }
  const pm_engine_t* abi() const { return engine_->abi(); }
  // Of the SQLite repository.
  std::string database() const { return directory_ / "catalog.sqlite"; }

  // Ends the engine and closes the repository; the store's files stay until the destructor.
  void stop();

 private:
  const TemporaryDirectory directory_;
  const ShmPrefix prefix_;
  std::vector<Repository> repository_;
  std::vector<Tier> tiers_;
  std::unique_ptr<Engine> engine_;
};

}  // namespace pm::perf
