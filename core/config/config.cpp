#include "core/config/config.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <system_error>

#include "core/config/directories.h"
#include "core/config/environment.h"
#include "core/config/section.h"
#include "core/config/toml_reader.h"

namespace pm {
namespace fs = std::filesystem;
using config::Errors;
using config::Origin;
using config::Section;
using config::Table;
using config::Value;

namespace {

constexpr std::int64_t kDayMs = 86'400'000;
constexpr std::int64_t kCountMax = 1'000'000'000;

std::optional<std::string> read_file(const fs::path& path, Errors& errors) {
  std::error_code error;
  // A directory opens and reads as an empty file; a pipe would block for ever.
  if (fs::exists(path, error) && !fs::is_regular_file(path, error)) {
    errors.add(path.string() + ": is not a regular file");
    return std::nullopt;
  }
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    errors.add(path.string() + ": cannot be read: " + std::strerror(errno));
    return std::nullopt;
  }
  std::string text(config::kTomlBytesMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  return text;
}

bool is_name(std::string_view name) {
  if (name.empty() || name.size() > 32 || name[0] < 'a' || name[0] > 'z') return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

// Reads the tree, section by section.
class Reader {
 public:
  Reader(const ConfigSources& sources, HostConfig& config, Errors& errors)
      : sources_(sources), config_(config), errors_(errors) {}

  void read() {
    Section root(*config_.document.table(), "", config_.document.origin, errors_);
    for (const char* name : {"host", "plugins", "log", "leases", "limits", "recovery", "scrub",
                             "policy", "repository", "tier", "frontend"}) {
      root.optional(name);
    }
    root.finish();
    read_host();
    read_plugins();
    read_log();
    read_leases();
    read_limits();
    read_recovery();
    read_scrub();
    read_policy();
    read_repository();
    each("tier", [this](Section& section) { read_tier(section); });
    each("frontend", [this](Section& section) { read_frontend(section); });
    if (config_.tiers.empty()) {
      errors_.add(config_.document.origin.text() + ": tier: at least one [[tier]] is needed");
    }
    check_tiers();
  }

 private:
  Section section(const std::string& name) {
    Table& root = *config_.document.table();
    Value* value = root.find(name);
    if (value == nullptr) value = &root.set(name, Value{Table{}, {}, nullptr, false});
    if (!value->is_table()) {
      errors_.add(value->origin, name,
                  std::string("is ") + type_name(*value) + "; it must be a table, [" + name + "]");
      value->data = Table{};
    }
    const Origin& origin = value->origin.source ? value->origin : config_.document.origin;
    return Section(*value->table(), name, origin, errors_);
  }

  void read_host() {
    Section host = section("host");
    config_.name = host.text("name", config_.name);
    config_.state_directory = host.text("state_directory", "");
    config_.runtime_directory = host.text("runtime_directory", "");
    config_.drain_ms_max = number(host, "drain_ms_max", config_.drain_ms_max, 0, 3'600'000);
    if (config_.name.empty()) host.refuse("name", "must not be empty");
    host.finish();
  }

  void read_plugins() {
    Section plugins = section("plugins");
    for (const std::string& directory :
         plugins.texts("directories", config::default_plugin_directories(sources_))) {
      if (!fs::path(directory).is_absolute()) {
        plugins.refuse("directories",
                       "names " + config::quote(directory) + "; it must be an absolute path");
      }
      config_.plugin_directories.emplace_back(directory);
    }
    plugins.finish();
  }

  void read_log() {
    Section log = section("log");
    config_.log.level =
        static_cast<LogLevel>(log.choice("level", {"debug", "info", "warn", "error"}, 1));
    config_.log.format = static_cast<LogFormat>(log.choice("format", {"text", "json"}, 0));
    log.finish();
  }

  void read_leases() {
    Section leases = section("leases");
    LeaseConfig& out = config_.leases;
    out.max_ms = number(leases, "max_ms", out.max_ms, 1, 30 * kDayMs);
    out.default_ms =
        number(leases, "default_ms", std::min(out.default_ms, out.max_ms), 1, 30 * kDayMs);
    if (out.default_ms > out.max_ms) {
      leases.refuse("default_ms", "is " + std::to_string(out.default_ms) +
                                      "; it must be at most leases.max_ms, which is " +
                                      std::to_string(out.max_ms));
    }
    leases.finish();
  }

  void read_limits() {
    Section limits = section("limits");
    LimitConfig& out = config_.limits;
    out.waiters_max = number(limits, "waiters_max", out.waiters_max, 0, kCountMax);
    out.journal_records_max =
        number(limits, "journal_records_max", out.journal_records_max, 1, kCountMax);
    out.journal_bytes_max =
        number(limits, "journal_bytes_max", out.journal_bytes_max, 1 << 16, INT64_MAX);
    out.journal_age_ms_max =
        number(limits, "journal_age_ms_max", out.journal_age_ms_max, 1, kDayMs);
    out.allocate_wait_ms_max =
        number(limits, "allocate_wait_ms_max", out.allocate_wait_ms_max, 0, kDayMs);
    out.uncommitted_ms_max =
        number(limits, "uncommitted_ms_max", out.uncommitted_ms_max, 1, 30 * kDayMs);
    out.request_ids_max = number(limits, "request_ids_max", out.request_ids_max, 0, kCountMax);
    out.streams_max = number(limits, "streams_max", out.streams_max, 0, kCountMax);
    out.consumer_groups_max =
        number(limits, "consumer_groups_max", out.consumer_groups_max, 0, kCountMax);
    out.payload_bytes_max =
        number(limits, "payload_bytes_max", out.payload_bytes_max, 1, INT64_MAX);
    limits.finish();
  }

  void read_recovery() {
    Section recovery = section("recovery");
    RecoveryConfig& out = config_.recovery;
    out.orphan_grace_ms = number(recovery, "orphan_grace_ms", out.orphan_grace_ms, 0, 30 * kDayMs);
    out.quarantine_ms = number(recovery, "quarantine_ms", config_.leases.max_ms, 0, 30 * kDayMs);
    recovery.finish();
  }

  void read_scrub() {
    Section scrub = section("scrub");
    ScrubConfig& out = config_.scrub;
    out.enabled = scrub.boolean("enabled", out.enabled);
    // A slower one would take weeks for a disk; without a limit it would be all that a disk does.
    out.bytes_per_second =
        number(scrub, "bytes_per_second", out.bytes_per_second, 1 << 16, INT64_MAX >> 20);
    out.interval_ms = number(scrub, "interval_ms", out.interval_ms, 1'000, 3660 * kDayMs);
    out.first_after_ms = number(scrub, "first_after_ms", out.first_after_ms, 0, 30 * kDayMs);
    scrub.finish();
  }

  void read_policy() {
    Section policy = section("policy");
    PolicyConfig& out = config_.policy;
    out.use = policy.texts("use", {});
    out.shipped_directory =
        policy.text("shipped_directory", config::default_policy_directory(sources_).string());
    out.directory = policy.text("directory", "");
    if (!out.shipped_directory.is_absolute()) refuse_relative(policy, "shipped_directory");
    if (!out.directory.empty() && !out.directory.is_absolute()) {
      refuse_relative(policy, "directory");
    }
    out.workers = number(policy, "workers", out.workers, 1, 16);
    out.look_ms = number(policy, "look_ms", out.look_ms, 0, kDayMs);
    out.journal = policy.text("journal", "");
    if (!out.journal.empty() && !out.journal.is_absolute()) refuse_relative(policy, "journal");
    out.journal_bytes_max =
        number(policy, "journal_bytes_max", out.journal_bytes_max, 1 << 20, INT64_MAX);
    policy.finish();
  }

  static void refuse_relative(Section& section, const char* key) {
    section.refuse(key,
                   "is " + config::quote(section.text(key, "")) + "; it must be an absolute path");
  }

  void read_repository() {
    Section repository = section("repository");
    config_.repository.plugin = repository.required_text("plugin");
    repository.free_table("config");
    repository.finish();
  }

  // Reads the tables of [[name]], each under a prefix with its own name.
  template <typename Body>
  void each(const std::string& name, Body body) {
    Table& root = *config_.document.table();
    Value* list = root.find(name);
    if (list == nullptr) list = &root.set(name, Value{config::Array{}, {}, nullptr, false});
    if (list->array() == nullptr) {
      errors_.add(list->origin, name,
                  std::string("is ") + type_name(*list) + "; write it as [[" + name + "]]");
      return;
    }
    for (Value& item : *list->array()) {
      if (!item.is_table()) {
        errors_.add(item.origin, name,
                    std::string("is ") + type_name(item) + "; write it as [[" + name + "]]");
        continue;
      }
      const Value* named = item.table()->find("name");
      const std::string* text = named == nullptr ? nullptr : named->text();
      const std::string prefix = text == nullptr ? name : name + "." + *text;
      Section section(*item.table(), prefix, item.origin, errors_);
      body(section);
      section.finish();
    }
  }

  std::string read_name(Section& section) {
    const std::string name = section.required_text("name");
    if (!name.empty() && !is_name(name)) {
      section.refuse("name", "is " + config::quote(name) +
                                 "; it must be a-z, then up to 31 of a-z, 0-9 and -");
    }
    return name;
  }

  void read_tier(Section& section) {
    TierConfig tier;
    tier.name = read_name(section);
    tier.plugin = section.required_text("plugin");
    if (section.has("number")) {
      tier.number = static_cast<std::uint32_t>(section.integer("number", 0, 1, 1'000'000));
      if (tier.number > 5 && tier.number < 100) {
        section.refuse("number", "is " + std::to_string(tier.number) + "; " + number_rule());
      }
    } else {
      section.optional("number");
      section.refuse("number", "is missing; " + number_rule());
    }
    tier.rank = static_cast<std::int32_t>(
        section.integer("rank", std::int64_t{tier.number} * 10, INT32_MIN, INT32_MAX));
    tier.workers = static_cast<std::uint32_t>(section.integer("workers", 2, 1, 64));
    tier.scrub = section.boolean("scrub", true);
    read_health(section, tier);
    read_watermarks(section, tier);
    if (section.has("spill_to")) {
      tier.spill_to = section.text("spill_to", "");
    } else {
      section.optional("spill_to");
    }
    section.free_table("config");
    for (const TierConfig& other : config_.tiers) {
      if (other.name == tier.name && !tier.name.empty()) {
        section.refuse("name", "another [[tier]] is called " + config::quote(tier.name));
      }
      if (other.number == tier.number && tier.number != 0) {
        section.refuse("number", "is " + std::to_string(tier.number) + ", which the tier " +
                                     config::quote(other.name) + " has; " + number_rule());
      }
    }
    config_.tiers.push_back(std::move(tier));
  }

  static void read_health(Section& section, TierConfig& tier) {
    tier.call_ms_max = number(section, "call_ms_max", tier.call_ms_max, 10, kDayMs);
    tier.failures_max = static_cast<std::uint32_t>(
        section.integer("failures_max", tier.failures_max, 1, 1'000'000));
    tier.probe_ms_min = number(section, "probe_ms_min", tier.probe_ms_min, 1, kDayMs);
    tier.probe_ms_max =
        number(section, "probe_ms_max", std::max(tier.probe_ms_max, tier.probe_ms_min), 1, kDayMs);
    if (tier.probe_ms_max < tier.probe_ms_min) {
      section.refuse("probe_ms_max", "is " + std::to_string(tier.probe_ms_max) +
                                         "; it must be at least probe_ms_min, which is " +
                                         std::to_string(tier.probe_ms_min));
    }
  }

  static void read_watermarks(Section& section, TierConfig& tier) {
    const auto percent = [&](const char* key, std::uint32_t fallback) {
      return static_cast<std::uint32_t>(section.integer(key, fallback, 1, 100));
    };
    tier.high_watermark_percent = percent("high_watermark_percent", tier.high_watermark_percent);
    tier.low_watermark_percent = percent(
        "low_watermark_percent", std::min(tier.low_watermark_percent, tier.high_watermark_percent));
    if (tier.low_watermark_percent > tier.high_watermark_percent) {
      section.refuse("low_watermark_percent",
                     "is " + std::to_string(tier.low_watermark_percent) +
                         "; it must be at most high_watermark_percent, which is " +
                         std::to_string(tier.high_watermark_percent));
    }
  }

  static std::string number_rule() {
    return "it must be one of 1 to 5 (GPU, RAM, DISK, OBJECT, VOID) or 100 and up, and each at "
           "most once";
  }

  void read_frontend(Section& section) {
    FrontendConfig frontend;
    frontend.name = read_name(section);
    frontend.plugin = section.required_text("plugin");
    section.free_table("config");
    for (const FrontendConfig& other : config_.frontends) {
      if (other.name == frontend.name && !frontend.name.empty()) {
        section.refuse("name", "another [[frontend]] is called " + config::quote(frontend.name));
      }
    }
    config_.frontends.push_back(std::move(frontend));
  }

  // Victims go down only, so that no chain of tiers can be a ring.
  void check_tiers() {
    std::vector<std::string> names;
    for (const TierConfig& tier : config_.tiers) names.push_back(tier.name);
    for (std::size_t i = 0; i < config_.tiers.size(); ++i) {
      const TierConfig& tier = config_.tiers[i];
      // One without a name is refused already, and cannot be found in the file by it.
      if (!tier.spill_to.has_value() || tier.spill_to->empty() || tier.name.empty()) continue;
      const Origin& origin = spill_origin(tier.name);
      const auto target = std::find(names.begin(), names.end(), *tier.spill_to);
      if (target == names.end()) {
        errors_.add(origin, "tier." + tier.name + ".spill_to",
                    "no tier is called " + config::quote(*tier.spill_to) +
                        config::suggest(*tier.spill_to, names));
        continue;
      }
      const TierConfig& lower = config_.tiers[static_cast<std::size_t>(target - names.begin())];
      if (lower.rank <= tier.rank) {
        errors_.add(origin, "tier." + tier.name + ".spill_to",
                    "names " + config::quote(lower.name) + ", whose rank " +
                        std::to_string(lower.rank) + " is not slower than this tier's " +
                        std::to_string(tier.rank) + "; name a tier of a higher rank");
      }
    }
  }

  const Origin& spill_origin(const std::string& name) const {
    for (const Value& item : *config_.document.table()->find("tier")->array()) {
      const Value* named = item.is_table() ? item.table()->find("name") : nullptr;
      const bool same = named != nullptr && named->text() != nullptr && *named->text() == name;
      if (same && item.table()->find("spill_to") != nullptr) {
        return item.table()->find("spill_to")->origin;
      }
    }
    return config_.document.origin;
  }

  static std::uint64_t number(Section& section, std::string_view key, std::uint64_t fallback,
                              std::int64_t min, std::int64_t max) {
    const std::int64_t value = section.integer(key, static_cast<std::int64_t>(fallback), min, max);
    return static_cast<std::uint64_t>(value);
  }

  const ConfigSources& sources_;
  HostConfig& config_;
  Errors& errors_;
};

}  // namespace

ConfigSources process_config_sources() {
  ConfigSources sources;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view line(*entry);
    const std::size_t at = line.find('=');
    if (at == std::string_view::npos) continue;
    sources.environment.emplace_back(line.substr(0, at), line.substr(at + 1));
  }
  std::error_code error;
  sources.executable = fs::read_symlink("/proc/self/exe", error);
  sources.is_root = geteuid() == 0;
  return sources;
}

HostConfig load_config(const ConfigSources& sources, Errors& errors) {
  HostConfig config;
  std::error_code error;
  if (sources.file) config.file = fs::absolute(*sources.file, error);
  const std::string name = sources.file ? sources.file->string() : "built-in configuration";
  const auto text = sources.file ? read_file(*sources.file, errors) : default_config_text();
  if (!text.has_value()) return config;
  auto root = config::read_toml(*text, name, errors);
  if (!root.has_value()) return config;
  root->origin = {std::make_shared<const std::string>(name), 0};
  config::apply_environment(sources.environment, *root, errors);
  config::resolve_directories(sources, *root, errors);
  config.document = *std::move(root);
  Reader(sources, config, errors).read();
  return config;
}

std::string spill_target(const HostConfig& config, std::size_t from,
                         const std::vector<bool>& is_durable) {
  const TierConfig& tier = config.tiers[from];
  if (tier.spill_to.has_value()) return *tier.spill_to;
  const TierConfig* best = nullptr;
  for (std::size_t i = 0; i < config.tiers.size(); ++i) {
    const TierConfig& candidate = config.tiers[i];
    if (candidate.rank <= tier.rank || !is_durable[i]) continue;
    if (best == nullptr || candidate.rank < best->rank) best = &candidate;
  }
  return best == nullptr ? std::string() : best->name;
}

}  // namespace pm
