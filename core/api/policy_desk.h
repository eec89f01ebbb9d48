#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/ledger/ledger.h"
#include "core/mover/mover.h"
#include "core/policy/catalog_facts.h"
#include "core/policy/service.h"
#include "places.h"
#include "told_facts.h"

namespace pm::api {

// Asks policies for the engine: gathers the facts on the policies' threads, and makes commands of
// the answers. What the answers say is checked here and by the catalog; what cannot be done is as
// if nobody had answered.
class PolicyDesk {
 public:
  // The service has been started; both outlive the desk's users.
  PolicyDesk(policy::Service& service, std::vector<policy::TierFacts> tiers);

  // Before the first command.
  void serve(ledger::Ledger& ledger, mover::Mover& mover);

  // What the catalog must know of those who decide. [thread-safe]
  catalog::PolicyInUse in_use() const;

  // True: an allocation that names no tier gets one. [thread-safe]
  bool chooses_tiers() const { return service_.asks(policy::Hook::place); }
  // Submits the command once it has been decided where it goes, or replies that it is refused.
  // `client` is the process that asks; 0: it is not known. [thread-safe]
  void allocate(catalog::Allocate command, std::int32_t client);
  // The caller of an allocation no longer wants its answer. [thread-safe]
  void cancel(catalog::Ticket ticket);
  // A lease on what is shown was granted. [thread-safe]
  void note_read(const catalog::View& view);
  // It was allocated, or deleted by a client. [thread-safe]
  void note_write(const catalog::View& view) { note(policy::AccessKind::write, view); }
  void note_removal(const catalog::Id& id);
  // Answers what the catalog asks. [thread-safe]
  void on_question(const catalog::Question& question);

  // Loads the files anew on a thread of its own, and says what stood in the way. [thread-safe]
  void reload(std::function<void(const Status&)> then) { service_.begin_reload(std::move(then)); }
  // Tells the catalog who decides from now on.
  void on_changed();

  // "place.big-on-disk", of the number that events give; empty for 0. [thread-safe]
  std::string rule_name(std::uint16_t number) const;
  // What the rule that decided this was told about the payload, in short; empty when none did, or
  // nobody remembers. [thread-safe]
  std::string facts_told(const catalog::Id& id, const catalog::Event& event) const;
  policy::ServiceStates states() { return service_.states(); }

 private:
  std::uint16_t number_of(policy::Hook hook, const std::string& rule);
  void note(policy::AccessKind kind, const catalog::View& view);
  void remember(ToldFacts told, const catalog::Id& id, std::uint16_t rule);
  // An allocation that is asked about, and which process wants it.
  struct Asked {
    catalog::Allocate command;
    std::int32_t client = 0;
  };
  policy::ClientFacts client_facts(const Asked& asked);
  std::vector<policy::TierFacts> tier_facts();
  void measure_writes();
  void place(const std::shared_ptr<Asked>& asked);
  void admit(const std::shared_ptr<Asked>& asked);
  void submit(const catalog::Allocate& command);
  void carry_out(const catalog::Allocate& command);
  bool end_decision(catalog::Ticket ticket);
  std::optional<policy::PromoteFacts> promote_facts(const catalog::Id& id);
  void spill(const catalog::SpillWanted& wanted);
  void retain(const catalog::Id& id);

  policy::Service& service_;
  const std::vector<policy::TierFacts> tiers_;
  ledger::Ledger* ledger_ = nullptr;
  mover::Mover* mover_ = nullptr;
  const bool has_nodes_;  // Of a tier it is known on which NUMA node it is.
  NumaNodes nodes_;

  ToldFactsRing told_;

  // Of those whose allocation is being decided: whether it was cancelled meanwhile.
  std::mutex pending_mutex_;
  std::unordered_map<catalog::Ticket, bool> pending_;

  mutable std::mutex names_mutex_;  // Round what follows.
  std::vector<std::string> names_{""};
  std::unordered_map<std::string, std::uint16_t> numbers_;
};

}  // namespace pm::api
