#include "engine.h"

#include <atomic>
#include <cstring>
#include <thread>
#include <utility>

#include "core/catalog/catalog.h"
#include "core/ledger/ledger.h"
#include "core/ledger/recovery.h"
#include "core/mover/mover.h"
#include "core/observe/log.h"
#include "core/plugin/host_services.h"
#include "core/scrub/scrubber.h"
#include "dispatcher.h"
#include "places.h"
#include "policy_desk.h"
#include "tier_table.h"

namespace pm {

namespace {

constexpr std::uint64_t ms_ns = 1'000'000;

catalog::Limits limits_of(const EngineOptions& options) {
  catalog::Limits limits;
  limits.lease_default_ns = options.lease_default_ms * ms_ns;
  limits.lease_max_ns = options.lease_max_ms * ms_ns;
  limits.payload_bytes_max = options.payload_bytes_max;
  limits.waiters_max = options.waiters_max;
  limits.wait_max_ns = options.allocate_wait_ms_max * ms_ns;
  limits.uncommitted_max_ns = options.uncommitted_ms_max * ms_ns;
  limits.orphan_grace_ns = options.orphan_grace_ms * ms_ns;
  limits.requests_max = options.request_ids_max;
  limits.streams = {options.streams_max, options.consumer_groups_max};
  limits.quarantine_until_ns = ledger::monotonic_now_ns() + options.quarantine_ms * ms_ns;
  return limits;
}

void set_watermarks(const TierSetup& setup, catalog::TierFacts& tier) {
  constexpr std::uint32_t all = 100;
  if (tier.capacity_bytes == UINT64_MAX || setup.high_watermark_percent >= all) return;
  const std::uint64_t hundredth = tier.capacity_bytes / all;
  tier.high_watermark_bytes = hundredth * setup.high_watermark_percent;
  tier.low_watermark_bytes = hundredth * setup.low_watermark_percent;
}

policy::ServiceOptions service_options(const PolicyOptions& options) {
  policy::ServiceOptions service;
  service.places = {options.shipped_directory, options.use, options.directory};
  service.workers = options.workers;
  service.look_ms = options.look_ms;
  service.journal.path = options.journal;
  service.journal.bytes_max = options.journal_bytes_max;
  return service;
}

Result<std::vector<catalog::TierFacts>> facts_of(const std::vector<TierSetup>& tiers) {
  std::vector<catalog::TierFacts> facts;
  for (const TierSetup& setup : tiers) {
    pm_tier_info_t info{};
    info.size = sizeof info;
    setup.tier->get_info(setup.tier, &info);
    if (info.charge_granularity_bytes == 0) {
      return Status(Code::internal, "tier '" + setup.name +
                                        "' says charge_granularity_bytes = 0; it must be at "
                                        "least 1");
    }
    catalog::TierFacts tier;
    if ((info.traits & PM_TIER_KEEPS_BYTES) != 0) tier.traits |= catalog::traits_keeps_bytes;
    if ((info.traits & PM_TIER_SURVIVES_PROCESS) != 0) {
      tier.traits |= catalog::traits_survives_process;
    }
    if ((info.traits & PM_TIER_SURVIVES_POWER) != 0) {
      tier.traits |= catalog::traits_survives_power;
    }
    if ((info.traits & PM_TIER_HOST_ADDRESSABLE) != 0) {
      tier.traits |= catalog::traits_host_addressable;
    }
    tier.rank = setup.rank;
    tier.takes_uploads = takes_uploads(setup);
    tier.capacity_bytes = info.capacity_bytes;
    set_watermarks(setup, tier);
    tier.granularity_bytes = info.charge_granularity_bytes;
    for (std::size_t index = 0; index < tiers.size(); ++index) {
      if (!setup.spill_to.empty() && tiers[index].name == setup.spill_to) {
        tier.spill_to = static_cast<catalog::TierIndex>(index);
      }
    }
    facts.push_back(tier);
  }
  return facts;
}

mover::HealthOptions health_of(const TierSetup& setup) {
  mover::HealthOptions health;
  health.call_ns_max = setup.call_ms_max * ms_ns;
  health.failures_max = setup.failures_max;
  health.probe_ns_min = setup.probe_ms_min * ms_ns;
  health.probe_ns_max = setup.probe_ms_max * ms_ns;
  return health;
}

}  // namespace

Result<RepositoryState> open_repository(const pm_repository_t* repository) {
  pm_repository_state_t state{};
  state.size = sizeof state;
  const pm_status_t code = repository->open(repository, &ledger::schema(), &state);
  PM_TRY(take_error(code));
  state.instance_id[sizeof state.instance_id - 1] = '\0';
  return RepositoryState{state.epoch, state.last_sequence, state.instance_id};
}

std::uint64_t deadline_after_ms(std::uint64_t milliseconds) {
  return ledger::monotonic_now_ns() + milliseconds * ms_ns;
}

// Destroyed from the bottom up: the dispatcher first, the mover's threads before the ledger.
class Engine::Parts {
 public:
  explicit Parts(std::vector<TierSetup> setups) : tiers(std::move(setups)) {}

  void look_for_orphans() {
    orphans = std::thread([this] {
      for (std::size_t index = 0; index < tiers.all().size() && !stopping; ++index) {
        ledger::report_objects(tiers.all()[index].tier, static_cast<catalog::TierIndex>(index),
                               *ledger, stopping);
      }
    });
  }

  void carry_out(catalog::Effect effect) {
    if (const auto* wanted = std::get_if<catalog::PublishEffect>(&effect)) {
      return local->publish(*wanted);
    }
    mover->run(std::move(effect));
  }

  void stop(std::uint64_t deadline_ns) {
    if (stopped) return;
    stopped = true;
    stopping = true;
    mover->cancel_moves();
    scrubber->begin_stop();
    dispatcher->end_streams();
    local->stop();
    directory->stop();
    policies->stop();  // Who waits for an answer gets the built-in rules'.
    ledger->stop(deadline_ns);
    scrubber->stop();
    // After what must not be kept waiting by a tier that hangs.
    if (orphans.joinable()) orphans.join();
    dispatcher->stop();
    mover->stop();
  }

  api::TierTable tiers;
  ledger::TierNames names;
  std::unique_ptr<api::PolicyDesk> desk;
  std::unique_ptr<policy::Service> policies;
  std::unique_ptr<directory::Directory> directory;
  std::unique_ptr<ledger::Ledger> ledger;
  std::unique_ptr<mover::Mover> mover;
  std::unique_ptr<api::LocalEngine> local;
  std::unique_ptr<scrub::Scrubber> scrubber;
  std::unique_ptr<api::Dispatcher> dispatcher;
  std::atomic<bool> stopping{false};
  bool stopped = false;
  std::thread orphans;
};

Engine::Engine(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Engine::~Engine() { stop(ledger::monotonic_now_ns()); }

Result<std::unique_ptr<Engine>> Engine::start(
    const EngineOptions& options, const pm_repository_t* repository, const RepositoryState& state,
    std::vector<TierSetup> tiers, std::vector<std::string> trusted_tiers,
    std::function<void(const Status&)> on_fatal, HostFacts host) {
  auto facts = facts_of(tiers);
  if (!facts.ok()) return facts.status();
  auto parts = std::make_unique<Parts>(std::move(tiers));
  std::vector<const pm_tier_t*> plugins;
  std::vector<mover::MoverTier> mover_tiers;
  std::vector<scrub::Tier> scrub_tiers;
  for (const TierSetup& setup : parts->tiers.all()) {
    parts->names.push_back(setup.name);
    plugins.push_back(setup.tier);
    mover_tiers.push_back({setup.tier, setup.workers, setup.name, health_of(setup)});
    scrub_tiers.push_back({setup.name, setup.scrub});
  }
  Parts* const raw = parts.get();
  policy::ServiceOptions policies = service_options(options.policy);
  policies.on_changed = [raw] { raw->desk->on_changed(); };
  auto service = policy::Service::start(policies);
  if (!service.ok()) {
    return Status(service.status().code(), "policy: " + service.status().message());
  }
  parts->policies = std::move(*service);
  std::vector<policy::TierFacts> policy_tiers;
  for (std::size_t index = 0; index < facts->size(); ++index) {
    const TierSetup& setup = parts->tiers.all()[index];
    policy_tiers.push_back(policy::tier_facts(setup.name, setup.number, (*facts)[index]));
    api::add_place(setup.tier, policy_tiers.back());
  }
  parts->desk = std::make_unique<api::PolicyDesk>(*parts->policies, std::move(policy_tiers));
  auto catalog =
      std::make_unique<catalog::Catalog>(limits_of(options), std::move(*facts), state.epoch);
  catalog->use(parts->desk->in_use());
  parts->directory = std::make_unique<directory::Directory>(
      directory::Options{}, [raw](const catalog::Command& report) { raw->ledger->submit(report); });
  catalog->use(parts->directory.get());
  const std::uint64_t began_ns = ledger::monotonic_now_ns();
  auto found = ledger::recover(repository, parts->names, plugins, trusted_tiers, *catalog);
  if (!found.ok()) return found.status();
  log::info("recovery", std::to_string(found->payloads) + " payloads in " +
                            std::to_string((ledger::monotonic_now_ns() - began_ns) / ms_ns) +
                            " ms, " + std::to_string(found->gone.size()) + " copies gone, " +
                            std::to_string(found->bad.size()) + " bad");

  mover::MoverOptions mover;
  mover.now_ns = &ledger::monotonic_now_ns;
  mover.probe_generation = state.epoch << 40 | 1ULL << 39;  // The catalog counts from below.
  parts->mover = std::make_unique<mover::Mover>(
      mover_tiers, [raw](const catalog::Command& report) { raw->ledger->submit(report); }, mover);
  ledger::JournalOptions journal;
  journal.records_max = options.journal_records_max;
  journal.bytes_max = options.journal_bytes_max;
  journal.age_ns_max = options.journal_age_ms_max * ms_ns;
  parts->ledger = std::make_unique<ledger::Ledger>(
      std::move(catalog), journal, repository, state.epoch, state.last_sequence, parts->names,
      [raw](catalog::Effect effect) { raw->carry_out(std::move(effect)); }, std::move(on_fatal));
  parts->local =
      std::make_unique<api::LocalEngine>(*parts->ledger, parts->tiers, *parts->directory);
  parts->desk->serve(*parts->ledger, *parts->mover);
  parts->scrubber = std::make_unique<scrub::Scrubber>(*parts->ledger, *parts->mover,
                                                      std::move(scrub_tiers), options.scrub);
  parts->dispatcher =
      std::make_unique<api::Dispatcher>(*parts->ledger, parts->tiers, repository, *parts->scrubber,
                                        *parts->desk, *parts->local, std::move(host));
  for (const catalog::Mounted& mounted : found->mounted) parts->ledger->submit(mounted);
  for (const catalog::CopyGone& gone : found->gone) parts->ledger->submit(gone);
  for (const catalog::CopyChecked& bad : found->bad) parts->ledger->submit(bad);
  parts->look_for_orphans();
  return std::unique_ptr<Engine>(new Engine(std::move(parts)));
}

const pm_engine_t* Engine::abi() const { return parts_->dispatcher->abi(); }

void Engine::begin_stop() {
  parts_->scrubber->begin_stop();
  parts_->dispatcher->end_streams();
  parts_->ledger->submit(catalog::Shutdown{});
}

std::string Engine::under_way() const {
  constexpr std::uint64_t least_ms = 1'000;
  std::string words = parts_->mover->under_way(least_ms * ms_ns);
  const std::uint64_t since_ns = parts_->ledger->unwritten_since_ns();
  if (since_ns == 0) return words;
  const std::uint64_t ms = (ledger::monotonic_now_ns() - since_ns) / ms_ns;
  if (ms < least_ms) return words;
  return words + (words.empty() ? "" : ", ") + "repository for " + std::to_string(ms) + " ms";
}

void Engine::reload_policies() {
  parts_->desk->reload([](const Status&) {});
}

void Engine::stop(std::uint64_t deadline_ns) { parts_->stop(deadline_ns); }

std::uint64_t Engine::call_and_drive(const char* method, const std::uint8_t* request,
                                     std::uint64_t length, const pm_call_info_t* info,
                                     pm_on_reply_t on_reply, void* data) {
  const pm_engine_t* const engine = abi();
  std::uint64_t call = 0;
  parts_->ledger->drive(
      [&] { call = engine->call(engine, method, request, length, info, on_reply, data); });
  return call;
}

}  // namespace pm
