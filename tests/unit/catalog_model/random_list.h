#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "model.h"
#include "world.h"

namespace pm::catalog::naive {

// What many lists came to, all together.
struct Tally {
  std::uint64_t answers = 0;
  std::uint64_t successes = 0;
  std::uint64_t restarts = 0;
  std::map<std::string, std::uint64_t> kinds;
  std::map<Reason, std::uint64_t> reasons;
};

// Drives one random list of commands through the catalog and the model, does what the effects ask
// for - well or badly, in any order -, and compares all that can be seen after each command.
class RandomList {
 public:
  static constexpr std::uint64_t ids_max = 32;

  RandomList(std::uint64_t seed, Tally& tally);

  // Runs `steps` commands. Empty, or where and how the two differ first.
  std::string go(int steps);

 private:
  // A command whose caller has looked, and not built on what it saw yet.
  struct Look {
    Command command;
    Serial seen = 0;
  };

  std::uint64_t pick(std::uint64_t bound) { return random_() % bound; }
  bool one_in(std::uint64_t bound) { return pick(bound) == 0; }

  // choice.cpp: what is asked next
  void step();
  void change_payloads(std::uint64_t kind);
  void hold(std::uint64_t kind);
  void describe(std::uint64_t kind);
  void follow(std::uint64_t kind);
  bool change_health();
  void other(std::uint64_t kind);
  void allocate(bool is_large = false);
  void commit_or_import(bool import);
  void promote();
  void spill();
  void lease();
  void change_labels();
  void update_metadata();
  void add_lineage();
  void create_stream();
  void sweep_streams();
  void append();
  void commit_offset();
  void check_copy();
  void repeat();
  void cancel();
  template <typename Predicate>
  Id some_payload(Predicate predicate);
  Id some_committed();
  Id some_lease();
  StreamName some_stream();
  TierIndex some_tier(std::uint64_t count);
  ChecksumDemand some_demand();
  Labels many_labels(std::size_t count) const;
  std::uint64_t some_deadline();
  template <typename ClientCommand>
  void request(ClientCommand command);
  void pass(std::uint64_t ns, bool ticks);

  // random_list.cpp: doing it, and comparing
  void apply(const Command& command, Serial seen = 0, std::uint64_t generation = 0);
  void do_some_effect();
  void finish_allocation(const AllocateEffect& effect, const Outcome& outcome);
  void finish_seal(const SealEffect& effect, const Outcome& outcome);
  void finish_move(const MoveEffect& effect, const Outcome& outcome);
  void finish_removal(const RemoveEffect& effect, const Outcome& outcome);
  Outcome some_outcome();
  void restart();
  void compare_answers(Changes& changes, Outcomes& expected);
  void compare_state();
  void compare_lists();
  void compare_streams();
  void differ(const std::string& what);
  bool is_lsn(std::uint64_t lsn, Serial serial) const;

  std::mt19937_64 random_;
  Tally& tally_;
  Clocks now_;
  std::int64_t latest_wall_ns_ = 0;
  std::uint64_t life_ = 1;
  std::unique_ptr<Catalog> catalog_;
  Model model_;
  const std::uint64_t haste_;  // How fast the tiers are.
  Repository repository_;
  Objects objects_;
  std::deque<Effect> effects_;
  std::map<Serial, std::uint64_t> lsn_of_;  // In this life.
  Serial serial_ = earlier_life;
  std::uint64_t ids_ = 0;
  std::uint64_t health_number_ = 0;
  std::uint64_t lease_ids_ = 0;
  std::uint64_t request_ids_ = 0;
  Ticket ticket_ = 0;
  std::vector<Look> looks_;
  std::vector<CopyChecked> checks_;  // Of copies that are being read.
  std::vector<Command> asked_;       // With request ids.
  bool stopping_ = false;
  std::string difference_;
};

}  // namespace pm::catalog::naive
