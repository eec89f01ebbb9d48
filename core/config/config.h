#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/config/value.h"

// The host's configuration: TOML, overridden by the environment and by options, typed and checked.
// Every error is reported, each with its place, its key, what was found and what is allowed.

namespace pm {

enum class LogLevel { debug, info, warn, error };
enum class LogFormat { text, json };

struct LogConfig {
  LogLevel level = LogLevel::info;
  LogFormat format = LogFormat::text;
};

struct LeaseConfig {
  std::uint64_t default_ms = 20'000;
  std::uint64_t max_ms = 120'000;  // At least default_ms.
};

struct LimitConfig {
  std::uint64_t waiters_max = 10'000;
  std::uint64_t journal_records_max = 20'000;
  std::uint64_t journal_bytes_max = 64ull << 20;
  std::uint64_t journal_age_ms_max = 5'000;
  std::uint64_t allocate_wait_ms_max = 10'000;
  std::uint64_t uncommitted_ms_max = 3'600'000;
  std::uint64_t request_ids_max = 100'000;
  std::uint64_t streams_max = 100'000;
  std::uint64_t consumer_groups_max = 1'000;  // Of a stream.
  std::uint64_t payload_bytes_max = 137'438'953'472;
};

struct RecoveryConfig {
  std::uint64_t orphan_grace_ms = 120'000;
  std::uint64_t quarantine_ms = 120'000;  // When not set: leases.max_ms.
};

struct ScrubConfig {
  bool enabled = true;
  std::uint64_t bytes_per_second = 16 << 20;
  std::uint64_t interval_ms = 604'800'000;
  std::uint64_t first_after_ms = 600'000;
};

// Who decides where payloads go, beside the built-in rules.
struct PolicyConfig {
  std::vector<std::string> use;             // Names of policies that ship, in this order,
  std::filesystem::path shipped_directory;  // and where they are. Absolute.
  // A deployment's own, after those: every *.lua in it, by name. Absolute; empty: none.
  std::filesystem::path directory;
  std::uint64_t workers = 1;
  std::uint64_t look_ms = 2'000;  // Files that changed are loaded after so long; 0: on demand only.
  // Where every decision is noted, for `payloadctl policy replay`. Absolute; empty: nowhere. When
  // it is so large it becomes PATH.1.
  std::filesystem::path journal;
  std::uint64_t journal_bytes_max = 256ull << 20;
};

struct RepositoryConfig {
  std::string plugin;
  std::string config_json;  // For create(); set by check_plugin_configs().
};

struct TierConfig {
  std::string name;  // [a-z][a-z0-9-]{0,31}, unique.
  std::string plugin;
  std::uint32_t number = 0;  // 1 to 5 as in the contract, or 100 and up; unique.
  std::int32_t rank = 0;     // Lower is faster. When not set: number * 10.
  std::uint32_t workers = 2;

  // Where its victims go: the name of a slower tier; empty: nowhere. When not set, the host picks
  // the next slower tier that keeps bytes and survives power, once it knows their traits.
  std::optional<std::string> spill_to;
  std::string config_json;

  // When more of its capacity is taken, payloads leave ahead of need until it is the low one. 100:
  // they leave when somebody waits for room.
  std::uint32_t high_watermark_percent = 95;
  std::uint32_t low_watermark_percent = 90;  // At most the high one.

  bool scrub = true;
  std::uint64_t call_ms_max = 30'000;   // A call that takes longer is given up.
  std::uint32_t failures_max = 5;       // More failures than successes put it out of service.
  std::uint64_t probe_ms_min = 1'000;   // Then it is tried out after this time, and ever later
  std::uint64_t probe_ms_max = 30'000;  // up to this one; at least probe_ms_min.
};

struct FrontendConfig {
  std::string name;
  std::string plugin;
  std::string config_json;
};

struct HostConfig {
  std::string name = "payload-manager";
  std::filesystem::path state_directory;    // Absolute.
  std::filesystem::path runtime_directory;  // Absolute.
  std::uint64_t drain_ms_max = 5'000;
  std::vector<std::filesystem::path> plugin_directories;  // Absolute.
  LogConfig log;
  LeaseConfig leases;
  LimitConfig limits;
  RecoveryConfig recovery;
  ScrubConfig scrub;
  PolicyConfig policy;
  RepositoryConfig repository;
  std::vector<TierConfig> tiers;  // At least one.
  std::vector<FrontendConfig> frontends;

  std::filesystem::path file;  // It was read from; empty: the built-in configuration.

  // The same as a tree, with origins and defaults; [[tier]] and [[frontend]] in the same order.
  config::Value document;
};

// What the configuration is made from.
struct ConfigSources {
  std::optional<std::filesystem::path> file;  // Nothing: the built-in configuration.
  std::vector<std::pair<std::string, std::string>> environment;  // Name, value.
  std::optional<std::string> state_directory;                    // --state-directory; absolute.
  std::optional<std::string> runtime_directory;                  // --runtime-directory; absolute.
  std::filesystem::path executable;  // Of the host: plugins are looked for beside it.
  bool is_root = false;              // Picks the default directories.
};

// Sources with the environment, executable and user of this process.
ConfigSources process_config_sources();

// Reads and checks all but the plugins' own tables. When `errors` is not empty afterwards, the
// result must not be used. Touches nothing but the file. Throws std::bad_alloc only.
HostConfig load_config(const ConfigSources& sources, config::Errors& errors);

// The built-in configuration: packaging/config/payload-manager.toml.
const char* default_config_text();

// The effective configuration as TOML, each key with its origin in a comment; secrets hidden.
std::string print_config(const HostConfig& config);

// Where the victims of tier `from` go: its spill_to when that is set, else the next slower tier
// whose entry in `is_durable` (in the order of config.tiers: it keeps bytes and survives power) is
// true. Empty: nowhere.
std::string spill_target(const HostConfig& config, std::size_t from,
                         const std::vector<bool>& is_durable);

// Keys whose values differ between two configurations ("leases.max_ms"), without the values.
std::vector<std::string> changed_keys(const HostConfig& before, const HostConfig& after);

}  // namespace pm
