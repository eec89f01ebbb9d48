#include "simulation.h"

#include <algorithm>

namespace pm::simulation {

namespace {

constexpr std::uint64_t second_ns = 1'000'000'000;
constexpr std::uint64_t ms_ns = 1'000'000;
constexpr std::uint64_t recount_every = 100;

SimTierSetup setup_of(std::size_t tier, Dice& dice) {
  constexpr std::uint32_t keeps = PM_TIER_KEEPS_BYTES | PM_TIER_SURVIVES_PROCESS;
  switch (tier) {
    // Calls on memory end at once, so the mover may make them on the ledger's thread.
    case 0: return {keeps, 1024, 16, dice.one_in(2) ? UINT64_MAX : 0};
    case 1: return {keeps | PM_TIER_SURVIVES_POWER, 1536, 32, 0};
    case 2: return {keeps | PM_TIER_SURVIVES_POWER, 1 << 20, 32, 0};
    default: return {0, UINT64_MAX, 1, 0};
  }
}

}  // namespace

Simulation::Simulation(std::uint64_t seed) : dice_(seed) {
  sim_clocks = {1'000 * second_ns, 1'700'000'000LL * 1'000'000'000};
  world_.lease_max_ns = 10 * second_ns;
  trouble_.on_hang([this] { hang(); });
  for (std::size_t tier = 0; tier < 4; ++tier) {
    world_.tiers.push_back(std::make_unique<SimTier>(setup_of(tier, dice_), trouble_));
  }
  begin_life();
}

void Simulation::accuse(const std::string& words) {
  if (words.empty() || !outcome_.violation.empty()) return;
  outcome_.violation = words + ", after " + std::to_string(outcome_.steps) + " steps";
}

Outcome Simulation::run(std::uint64_t steps) {
  while (outcome_.steps < steps && outcome_.violation.empty()) {
    ++outcome_.steps;
    bool lives = true;
    try {
      step();
      lives = !engine_->is_dead() && !trouble_.strikes(Fault::host_dies_between_steps, 1'000);
    } catch (const HostDies&) {
      lives = false;
    }
    if (!lives) {
      end_life();
      begin_life();
    }
    const bool all = !lives || outcome_.steps % recount_every == 0;
    check(all);
    if (all) recount(false);
  }
  if (outcome_.violation.empty()) finish();
  outcome_.answers = clients_.answers();
  outcome_.successes = clients_.successes();
  outcome_.faults = trouble_.counts();
  return outcome_;
}

void Simulation::step() {
  constexpr std::uint64_t rot_one_in = 200;
  if (dice_.one_in(rot_one_in)) return clients_.spoil(*engine_);
  const std::uint64_t kind = dice_.pick(100);
  if (kind < 36) {
    clients_.act(*engine_);
  } else if (kind < 56) {
    engine_->do_a_job();
  } else if (kind < 74) {
    engine_->deliver_a_report();
  } else if (kind < 87) {
    engine_->write_journal();
  } else if (kind < 91) {
    engine_->scrub();
  } else if (kind < 97) {
    pass(dice_.pick(200 * ms_ns));
  } else if (kind < 99) {
    engine_->look_for_orphans();
  } else {
    trouble_.count(Fault::clock_jumps);
    sim_clocks.wall_ns += static_cast<std::int64_t>(dice_.pick(20 * second_ns));
    pass(dice_.pick(8 * second_ns));
  }
}

void Simulation::pass(std::uint64_t ns) {
  sim_clocks.mono_ns += ns;
  sim_clocks.wall_ns += static_cast<std::int64_t>(ns);
  engine_->ledger().tick_if_due();
  engine_->look_after();
}

// A call of a tier does not come back for a while, in which other things happen. It is on the stack
// below them, as a thread that hangs stands beside others.
void Simulation::hang() {
  constexpr int depth_max = 2;
  constexpr std::uint64_t steps_max = 40;
  struct Depth {
    explicit Depth(int& its) : depth(its) { ++depth; }
    ~Depth() { --depth; }
    int& depth;
  };
  if (hanging_ == depth_max) return;
  const Depth deeper(hanging_);
  pass(hang_ns);
  for (std::uint64_t left = trouble_.dice().pick(steps_max); left > 0; --left) {
    if (engine_->is_dead() || !outcome_.violation.empty()) return;
    step();
    check(false);
  }
}

// ---- lives ----

void Simulation::end_life() {
  engine_.reset();
  for (const auto& tier : world_.tiers) tier->set_known(false);
  const bool power = dice_.one_in(3);
  clients_.lose_host(power);
  if (power) {
    trouble_.count(Fault::power_is_cut);
    for (const auto& tier : world_.tiers) tier->cut_power();
    world_.repository.cut_power();
  }
  const std::uint64_t away_ns = dice_.pick(2 * second_ns);
  sim_clocks.mono_ns += away_ns;
  sim_clocks.wall_ns += static_cast<std::int64_t>(away_ns);
}

// The host may die again while it starts.
void Simulation::begin_life() {
  while (engine_ == nullptr) {
    try {
      engine_ = std::make_unique<SimEngine>(world_, trouble_);
    } catch (const HostDies&) {
      end_life();
    }
  }
  ++outcome_.lives;
  accuse(engine_->refusal());
}

// ---- what must hold ----

void Simulation::check(bool all) {
  if (!outcome_.violation.empty()) return;
  accuse(clients_.check(*engine_, all));
  for (const auto& tier : world_.tiers) accuse(tier->violation());
  accuse(world_.repository.violation());
}

// What the catalog has counted covers what the tiers hold; and when nothing is under way it is
// that.
void Simulation::recount(bool all) {
  if (!outcome_.violation.empty()) return;
  const catalog::Counts counts = engine_->ledger().read(
      [](const catalog::Catalog& catalog, const catalog::Clocks&) { return catalog.counts(); });
  for (std::size_t at = 0; at < counts.tiers.size(); ++at) {
    const bool fits = counts.tiers[at].charged_bytes <= world_.tiers[at]->capacity_bytes();
    if (engine_->has_found_orphans() && fits) world_.tiers[at]->set_known(true);
    if (!world_.tiers[at]->is_known()) continue;
    const std::uint64_t charged_bytes = counts.tiers[at].charged_bytes;
    const std::uint64_t used_bytes = world_.tiers[at]->used_bytes();
    // What is removed may be counted for a while after it has gone.
    const bool is_same = engine_->is_idle() && counts.operations == 0 &&
                         counts.tiers[at].copies == world_.tiers[at]->copies();
    if (charged_bytes < used_bytes || ((all || is_same) && charged_bytes != used_bytes)) {
      accuse("S4: tier " + std::to_string(at) + " holds " + std::to_string(used_bytes) +
             " bytes, and " + std::to_string(charged_bytes) + " are counted");
    }
  }
}

// Everything that was begun ends. False: something did not.
bool Simulation::settle() {
  constexpr int rounds_max = 400;
  for (int round = 0; round < rounds_max; ++round) {
    while (engine_->deliver_a_report() || engine_->do_a_job() || engine_->look_for_orphans() ||
           engine_->write_journal()) {
    }
    pass(second_ns);
    const std::uint64_t operations =
        engine_->ledger().read([](const catalog::Catalog& catalog, const catalog::Clocks&) {
          return catalog.counts().operations;
        });
    const bool is_quiet = engine_->is_idle() && operations == 0 && clients_.calls_under_way() == 0;
    // Leases, graces and the quarantine end, too.
    if (is_quiet && round > 80) return true;
  }
  return false;
}

void Simulation::finish() {
  trouble_.set_on(false);
  if (engine_->is_dead()) {
    end_life();
    begin_life();
  }
  if (!settle()) return accuse("S5: something that was begun does not end");
  check(true);
  recount(true);
  if (!outcome_.violation.empty()) return;
  engine_->scrub_all();
  if (!settle()) return accuse("S5: a copy that was bad is not replaced");
  accuse(clients_.check_copies(*engine_));
  check(true);
  if (!outcome_.violation.empty()) return;
  clients_.erase_all(*engine_);
  if (!settle()) return accuse("S5: a delete does not end");
  check(true);
  const catalog::Counts counts = engine_->ledger().read(
      [](const catalog::Catalog& catalog, const catalog::Clocks&) { return catalog.counts(); });
  for (std::size_t at = 0; at < counts.tiers.size(); ++at) {
    const std::string name = "tier " + std::to_string(at);
    if (!world_.tiers[at]->objects().empty()) accuse("I4: " + name + " holds an orphan");
    if (counts.tiers[at].charged_bytes != 0) accuse("S4: " + name + " counts what is not there");
  }
}

}  // namespace pm::simulation
