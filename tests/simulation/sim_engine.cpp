#include "sim_engine.h"

#include <utility>

#include "core/ledger/recovery.h"
#include "core/mover/check_job.h"

namespace pm::simulation {

namespace {

constexpr std::uint64_t second_ns = 1'000'000'000;
constexpr std::uint32_t waiters_max = 8;

catalog::Limits limits_for(const World& world) {
  catalog::Limits limits;
  limits.lease_default_ns = 5 * second_ns;
  limits.lease_max_ns = world.lease_max_ns;
  limits.waiters_max = waiters_max;
  limits.wait_max_ns = 4 * second_ns;
  limits.uncommitted_max_ns = 30 * second_ns;
  limits.orphan_grace_ns = 3 * second_ns;
  // As the host does it: leases of the life before may still run.
  limits.quarantine_until_ns = sim_clocks.mono_ns + world.lease_max_ns;
  return limits;
}

std::vector<catalog::TierFacts> facts_of(const World& world, bool has_watermarks) {
  std::vector<catalog::TierFacts> facts;
  for (std::size_t at = 0; at < world.tiers.size(); ++at) {
    const pm_tier_t* tier = world.tiers[at]->abi();
    pm_tier_info_t info{};
    info.size = sizeof info;
    tier->get_info(tier, &info);
    std::uint8_t traits = 0;
    if ((info.traits & PM_TIER_KEEPS_BYTES) != 0) traits |= catalog::traits_keeps_bytes;
    if ((info.traits & PM_TIER_SURVIVES_PROCESS) != 0) traits |= catalog::traits_survives_process;
    if ((info.traits & PM_TIER_SURVIVES_POWER) != 0) traits |= catalog::traits_survives_power;
    const bool is_last_that_keeps = at + 2 >= world.tiers.size();
    const auto below = static_cast<catalog::TierIndex>(at + 1);
    facts.push_back({traits, static_cast<std::int32_t>(10 * (at + 1)), info.capacity_bytes,
                     info.charge_granularity_bytes, is_last_that_keeps ? catalog::no_tier : below,
                     false});
    if (has_watermarks && info.capacity_bytes != UINT64_MAX) {
      facts.back().high_watermark_bytes = info.capacity_bytes / 8 * 7;
      facts.back().low_watermark_bytes = info.capacity_bytes / 8 * 6;
    }
  }
  return facts;
}

// In half of all lives nobody has a policy.
catalog::PolicyInUse policy_of(Trouble& trouble) {
  if (trouble.dice().one_in(2)) return {};
  const bool by_score = trouble.dice().one_in(2);
  return {true, trouble.dice().one_in(2),
          by_score ? catalog::VictimOrder::score : catalog::VictimOrder::oldest};
}

}  // namespace

class SimEngine::QueuedWorkers final : public mover::Workers {
 public:
  explicit QueuedWorkers(SimEngine& engine) : engine_(engine) {}
  void add(std::function<void()> job) override { engine_.jobs_.push_back(std::move(job)); }
  void stop() override {}
  void add_one() override {}
  void retire_one() override {}

 private:
  SimEngine& engine_;
};

SimEngine::SimEngine(World& world, Trouble& trouble) : world_(world), trouble_(trouble) {
  const pm_repository_state_t state = world.repository.open(ledger::schema());
  std::vector<const pm_tier_t*> tiers;
  std::vector<mover::MoverTier> mover_tiers;
  std::vector<std::string> trusted;
  for (std::size_t at = 0; at < world.tiers.size(); ++at) {
    names_.push_back("tier" + std::to_string(at));
    tiers.push_back(world.tiers[at]->abi());
    mover_tiers.push_back(
        {tiers.back(), 1, names_.back(), {hang_ns / 2, 5, second_ns / 2, 2 * second_ns}});
    tiers_to_scan_.push_back(at);
  }
  // An operator looks into a tier that failed, now and then.
  if (trouble.dice().one_in(2)) trusted = names_;
  auto catalog = std::make_unique<catalog::Catalog>(
      limits_for(world), facts_of(world, trouble.dice().one_in(2)), state.epoch);
  catalog->use(policy_of(trouble));
  const auto found = ledger::recover(world.repository.abi(), names_, tiers, trusted, *catalog);
  if (!found.ok()) {
    refusal_ = found.status().message();
    return;
  }
  mover::MoverOptions mover;
  mover.make_workers = [this](std::uint32_t, mover::Priority) {
    return std::make_unique<QueuedWorkers>(*this);
  };
  mover.now_ns = [] { return sim_clocks.mono_ns; };
  mover.has_watch = false;
  mover.probe_generation = state.epoch << 40 | 1ULL << 39;
  mover_ = std::make_unique<mover::Mover>(
      mover_tiers, [this](const catalog::Command& report) { reports_.push_back(report); }, mover);
  ledger::JournalOptions options;
  options.runtime = {[] { return sim_clocks; }, false};
  ledger_ = std::make_unique<ledger::Ledger>(
      std::move(catalog), options, world.repository.abi(), state.epoch, state.last_sequence, names_,
      [this](catalog::Effect effect) { mover_->run(std::move(effect)); },
      [this](const Status&) { is_dead_ = true; });
  ledger_->on_question([this](const catalog::Question& question) { answer(question); });
  for (const catalog::Mounted& mounted : found->mounted) ledger_->submit(mounted);
  for (const catalog::CopyGone& gone : found->gone) ledger_->submit(gone);
  for (const catalog::CopyChecked& bad : found->bad) ledger_->submit(bad);
}

SimEngine::~SimEngine() = default;

// What a policy might say: any of the candidates, in any order, to any tier, or nothing. The answer
// comes later, like a report, when it may not be so any more.
void SimEngine::answer(const catalog::Question& question) {
  Dice& dice = trouble_.dice();
  const std::size_t kept = names_.size() - 1;  // The last one keeps no bytes: that would delete.
  if (const auto* end = std::get_if<catalog::RetainWanted>(&question)) {
    if (dice.one_in(2)) return;
    const auto tier = static_cast<catalog::TierIndex>(dice.pick(kept));
    reports_.push_back(catalog::Retain{end->id, dice.pick(3) * second_ns,
                                       dice.one_in(2) ? catalog::no_tier : tier, 2});
    return;
  }
  const auto& wanted = std::get<catalog::SpillWanted>(question);
  catalog::SpillLook look;
  ledger_->read([&](const catalog::Catalog& catalog, const catalog::Clocks& now) {
    catalog.look_at_victims(wanted.tier, 8, now, look);
  });
  catalog::Evict evict{wanted.tier, wanted.number, !dice.one_in(4), 1, {}};
  while (evict.is_answered && !look.candidates.empty() && !dice.one_in(4)) {
    const catalog::Candidate& chosen = look.candidates[dice.pick(look.candidates.size())];
    const auto tier = static_cast<catalog::TierIndex>(dice.pick(kept));
    const bool has_target = dice.one_in(3);
    evict.choices.push_back({chosen.id, chosen.generation, has_target ? tier : catalog::no_tier});
  }
  reports_.push_back(std::move(evict));
}

// The oldest, or a later one.
template <typename Things>
typename Things::value_type SimEngine::take(Things& things, Fault late) {
  const std::size_t at = trouble_.dice().one_in(2) ? 0 : trouble_.dice().pick(things.size());
  if (at > 0) trouble_.count(late);
  auto taken = std::move(things[at]);
  things.erase(things.begin() + static_cast<std::ptrdiff_t>(at));
  return taken;
}

bool SimEngine::do_a_job() {
  if (jobs_.empty()) return false;
  take(jobs_, Fault::late_job)();
  return true;
}

bool SimEngine::deliver_a_report() {
  if (reports_.empty()) return false;
  ledger_->submit(take(reports_, Fault::late_report));
  return true;
}

bool SimEngine::write_journal() {
  return ledger_->write_journal() != ledger::Journal::Written::nothing;
}

void SimEngine::look_after() { mover_->look_after(); }

bool SimEngine::look_for_orphans() {
  if (tiers_to_scan_.empty()) return false;
  const std::size_t at = tiers_to_scan_.front();
  tiers_to_scan_.pop_front();
  ledger::report_objects(world_.tiers[at]->abi(), static_cast<catalog::TierIndex>(at), *ledger_,
                         never_);
  return true;
}

// ---- scrub ----

bool SimEngine::begin_check(const catalog::CopyToCheck& copy) {
  Begun& begun = checks_.emplace_back();
  ledger_->submit(
      catalog::CheckCopy{ledger::ticket_of(&begun), copy.object.payload, copy.object.generation});
  return begun.is_begun;
}

void SimEngine::end_check(const catalog::CopyToCheck& copy) {
  const auto object = mover::tier_object(world_.tiers[copy.object.tier]->abi(), copy.object);
  std::vector<std::byte> bytes(copy.object.length);
  const auto read = [&](std::uint64_t offset,
                        std::uint64_t length) -> Result<std::span<const std::byte>> {
    const auto count = mover::read_on(object, offset, bytes.data(), length, nullptr);
    if (!count.ok()) return count.status();
    return std::span<const std::byte>(bytes.data(), *count);
  };
  const mover::CheckResult result = mover::check_copy(read, copy.object.length, copy.checksum,
                                                      [](std::uint64_t) { return true; });
  const std::uint64_t generation = copy.object.generation;
  ledger_->submit(
      catalog::CopyChecked{0, copy.object.payload, generation, result.verdict, result.checksum});
  const bool is_bad = result.verdict == catalog::CopyChecked::Verdict::bad;
  if (is_bad && !world_.told.contains(generation)) world_.told[generation] = ++world_.moment;
}

void SimEngine::check_copy(const catalog::CopyToCheck& copy) {
  if (begin_check(copy)) end_check(copy);
}

void SimEngine::scrub_all() {
  if (reading_) scrub();
  to_check_.clear();
  std::vector<catalog::CopyToCheck> found;
  std::uint64_t order = 0;
  ledger_->read([&](const catalog::Catalog& catalog, const catalog::Clocks&) {
    return catalog.copies_to_check(order, catalog.last_order(), UINT32_MAX, found);
  });
  for (const catalog::CopyToCheck& copy : found) check_copy(copy);
}

void SimEngine::scrub() {
  if (reading_) {
    const catalog::CopyToCheck copy = *reading_;
    reading_.reset();
    return end_check(copy);
  }
  if (to_check_.empty()) {
    std::vector<catalog::CopyToCheck> found;
    const bool more = ledger_->read([&](const catalog::Catalog& catalog, const catalog::Clocks&) {
      return catalog.copies_to_check(scrub_order_, catalog.last_order(), 4, found);
    });
    to_check_.assign(found.begin(), found.end());
    if (!more) scrub_order_ = 0;
    if (found.empty()) return;
  }
  const catalog::CopyToCheck copy = to_check_.front();
  to_check_.pop_front();
  if (begin_check(copy)) reading_ = copy;
}

}  // namespace pm::simulation
