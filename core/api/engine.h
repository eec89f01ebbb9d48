#pragma once

#include <pm/frontend.h>
#include <pm/repository.h>
#include <pm/tier.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <pm/cpp/result.hpp>
#include <string>
#include <vector>

#include "core/scrub/options.h"

namespace pm {

// One tier of a configuration.
struct TierSetup {
  std::string name;
  std::uint32_t number = 0;  // The contract's: 1-5, or from 100 up.
  std::int32_t rank = 0;     // Lower is faster.
  std::uint32_t workers = 2;
  std::string spill_to;  // The tier that its victims go to; empty: none.
  const pm_tier_t* tier = nullptr;
  std::string plugin;  // Its id.
  bool scrub = true;   // Passes that begin by themselves read its copies.

  std::uint64_t call_ms_max = 30'000;   // A call that takes longer is given up.
  std::uint32_t failures_max = 5;       // Then it is out of service,
  std::uint64_t probe_ms_min = 1'000;   // and is tried out after this time,
  std::uint64_t probe_ms_max = 30'000;  // and ever later up to this one.

  // When more of its capacity is taken, payloads leave until it is the low one; 100: never so.
  std::uint32_t high_watermark_percent = 100;
  std::uint32_t low_watermark_percent = 100;
};

// Where policies come from. Without any, the built-in rules decide.
struct PolicyOptions {
  std::vector<std::string> use;   // Names of policies that ship,
  std::string shipped_directory;  // and where they are.
  std::string directory;          // A deployment's own; empty: none.
  std::uint64_t workers = 1;
  std::uint64_t look_ms = 0;  // How often files are looked at for changes; 0: never.
  std::string journal;        // Where decisions are noted; empty: nowhere.
  std::uint64_t journal_bytes_max = 256ULL << 20;
};

// What the host knows of itself and tells operators.
struct PluginFacts {
  std::string id;
  std::string name;  // Empty, as is the version, when the plugin is not used.
  std::string version;
  std::string kind;  // "tier", "repository", "frontend"
  std::string path;
  std::vector<std::string> instances;
};
struct HostFacts {
  std::vector<PluginFacts> plugins;
  // The configuration in effect, without its secrets. [thread-safe] Null: none is known.
  std::function<std::string()> config_toml;
  std::string config_path;  // Empty: no file was read.
};

// Clients upload to it from outside, and import what they uploaded: the contract's OBJECT.
inline bool takes_uploads(const TierSetup& tier) { return tier.number == 4; }

struct EngineOptions {
  std::uint64_t lease_default_ms = 20'000;
  std::uint64_t lease_max_ms = 120'000;
  std::uint32_t waiters_max = 10'000;
  std::uint64_t journal_records_max = 20'000;
  std::uint64_t journal_bytes_max = 64ULL << 20;
  std::uint64_t journal_age_ms_max = 5'000;
  std::uint64_t allocate_wait_ms_max = 10'000;
  std::uint64_t uncommitted_ms_max = 3'600'000;
  std::uint32_t request_ids_max = 100'000;
  std::uint32_t streams_max = 100'000;
  std::uint32_t consumer_groups_max = 1'000;  // Of a stream.
  std::uint64_t payload_bytes_max = 128ULL << 30;
  std::uint64_t orphan_grace_ms = 120'000;
  std::uint64_t quarantine_ms = 120'000;
  scrub::Options scrub;
  PolicyOptions policy;
};

// What opening the repository says.
struct RepositoryState {
  std::uint64_t epoch = 0;
  std::uint64_t last_sequence = 0;
  std::string instance_id;  // 16 hex digits.
};

// Opens the repository with the engine's schema: before the tiers are created, as they need the
// instance id. [control-thread]
Result<RepositoryState> open_repository(const pm_repository_t* repository);

// CLOCK_MONOTONIC in nanoseconds, `milliseconds` from now.
std::uint64_t deadline_after_ms(std::uint64_t milliseconds);

// The engine: catalog, ledger, mover and the methods of the contract over them.
class Engine {
 public:
  // Recovers, and is ready to serve when it returns. The repository and the tiers must outlive the
  // engine. `on_fatal` is called once, on any thread, when the host must end at once without
  // draining (the epoch was lost, a sync of the repository failed): no reply leaves after it.
  // `trusted_tiers` names tiers whose earlier failure an operator has looked into.
  // [control-thread]
  static Result<std::unique_ptr<Engine>> start(
      const EngineOptions& options, const pm_repository_t* repository, const RepositoryState& state,
      std::vector<TierSetup> tiers, std::vector<std::string> trusted_tiers,
      std::function<void(const Status&)> on_fatal, HostFacts host = {});
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // What frontends call. Valid as long as the engine.
  const pm_engine_t* abi() const;

  // Tells everyone who waits that the host stops, and lets nobody wait any more: before frontends
  // are drained, as a drain waits for the calls under way. [control-thread]
  void begin_stop();

  // Answers everyone who waits, finishes or undoes moves, flushes the journal. Frontends have been
  // drained before, and are stopped after. [control-thread]
  // Does not return while a call of a plugin hangs; then what was to be flushed has been.
  void stop(std::uint64_t deadline_ns);

  // Loads the policies anew, on another thread; what stands in the way of that is logged, and the
  // old ones stay then. [thread-safe]
  void reload_policies();

  // Which calls of plugins have been under way for a second, in words; empty: none. [thread-safe]
  std::string under_way() const;

  // As abi()->call, and writes what it leaves in the journal on the calling thread, without a
  // hand-over to the journal's. For callers in this process that would otherwise only wait. The
  // reply may still come later, when it waits for more than the journal. [worker]
  std::uint64_t call_and_drive(const char* method, const std::uint8_t* request,
                               std::uint64_t length, const pm_call_info_t* info,
                               pm_on_reply_t on_reply, void* data);

 private:
  class Parts;
  explicit Engine(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace pm
