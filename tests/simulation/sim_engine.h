#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/catalog/catalog.h"
#include "core/ledger/ledger.h"
#include "core/mover/mover.h"
#include "sim_repository.h"
#include "sim_tier.h"
#include "trouble.h"

namespace pm::simulation {

// What the simulation reads instead of the machine's clocks.
inline catalog::Clocks sim_clocks;

// In this time, every call that was under way is given up.
inline constexpr std::uint64_t hang_ns = 1'000'000'000;

// What outlives the host.
struct World {
  std::vector<std::unique_ptr<SimTier>> tiers;
  SimRepository repository;
  std::uint64_t lease_max_ns = 0;
  // Copies that were spoilt, by generation: the payload's place among those of the clients. And
  // when a scrub has told the host of which in this life: from then on nobody may be given them.
  std::map<std::uint64_t, std::size_t> spoilt;
  std::map<std::uint64_t, std::uint64_t> told;
  std::uint64_t moment = 0;

  explicit World(Trouble& trouble) : repository(trouble) {}
};

// One life of the host: the real catalog, ledger, journal, recovery and mover, in one thread. What
// their threads would do lies in queues until the simulation picks it.
class SimEngine {
 public:
  // Recovers from what the world holds. Throws HostDies like every call that reaches the world.
  SimEngine(World& world, Trouble& trouble);
  ~SimEngine();
  SimEngine(const SimEngine&) = delete;
  SimEngine& operator=(const SimEngine&) = delete;

  ledger::Ledger& ledger() { return *ledger_; }

  // Each does one thing of its kind, if there is any: false when there is none.
  bool do_a_job();
  bool deliver_a_report();
  bool write_journal();
  bool look_for_orphans();
  // Goes on with a scrub: begins to read a copy, or ends it.
  void scrub();
  // All of it, now.
  void scrub_all();
  // Reads one copy now, from its beginning to its end.
  void check_copy(const catalog::CopyToCheck& copy);

  // Gives up calls that hang, and tries out tiers that are out of service.
  void look_after();

  // The ledger said that the host must end.
  bool is_dead() const { return is_dead_; }
  bool has_found_orphans() const { return tiers_to_scan_.empty(); }
  bool is_idle() const { return jobs_.empty() && reports_.empty(); }
  // Why the start failed; empty: it did not.
  const std::string& refusal() const { return refusal_; }

 private:
  class QueuedWorkers;
  struct Begun final : ledger::ReplyHandler {
    void on_reply(const catalog::Reply& reply) override {
      is_begun = reply.reason == catalog::Reason::none;
    }
    bool is_begun = false;
  };
  void answer(const catalog::Question& question);
  bool begin_check(const catalog::CopyToCheck& copy);
  void end_check(const catalog::CopyToCheck& copy);

  template <typename Things>
  typename Things::value_type take(Things& things, Fault late);

  World& world_;
  Trouble& trouble_;
  std::deque<std::function<void()>> jobs_;
  std::deque<catalog::Command> reports_;
  std::deque<std::size_t> tiers_to_scan_;
  std::deque<catalog::CopyToCheck> to_check_;
  std::optional<catalog::CopyToCheck> reading_;
  std::uint64_t scrub_order_ = 0;
  std::list<Begun> checks_;
  ledger::TierNames names_;
  std::unique_ptr<mover::Mover> mover_;
  std::unique_ptr<ledger::Ledger> ledger_;
  std::atomic<bool> never_{false};
  bool is_dead_ = false;
  std::string refusal_;
};

}  // namespace pm::simulation
