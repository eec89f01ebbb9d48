#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sim_engine.h"

namespace pm::simulation {

// What the clients of the simulation know of a payload, from the answers that they got.
struct KnownPayload {
  enum class Stage : std::uint8_t {
    asked,      // For an allocation; not answered.
    allocated,  // They write, or have written.
    sealing,    // Commit was asked, and not answered.
    committed,
    unknown,  // The host died before it answered; it may be there or not.
    gone,     // By a delete that was answered, or it never came about.
  };

  catalog::Id id;
  Stage stage = Stage::asked;
  std::string bytes;
  catalog::TierIndex tier = catalog::no_tier;
  std::uint64_t generation = 0;
  std::uint64_t revision = 0;  // The highest that an answer told.
  std::int64_t expires_at_ns = 0;
  std::uint32_t deletes = 0;    // Asked for, and not answered.
  bool may_be_deleted = false;  // A delete was never answered, or it may be evicted into nothing.
  bool was_committed = false;   // Its commit was answered.
  bool is_durable = false;      // An answer said so, and
  bool gives_up = false;        // nobody has ever asked to drop the durable copy.
  bool may_be_lost = false;     // Power was cut when it was not durable.
};

struct KnownLease {
  catalog::Id id;
  std::size_t payload = 0;
  catalog::TierIndex tier = catalog::no_tier;
  std::uint64_t generation = 0;
  std::uint64_t until_ns = 0;
};

// Clients that ask for random things, and remember what they were told.
class SimClients {
 public:
  SimClients(World& world, Trouble& trouble);
  ~SimClients();

  // One call, or a client's own work on the bytes.
  void act(SimEngine& engine);
  void erase_all(SimEngine& engine);
  // Some copy of a payload is spoilt.
  void spoil(SimEngine& engine);
  // After a scrub of all that is there: the copies that may still be read. Empty: they are good.
  std::string check_copies(SimEngine& engine);

  // The host died, with the power or without; who waited for an answer will never know.
  void lose_host(bool power);
  // Empty: what they were told is so. `all`: of every payload, else of the leases alone.
  std::string check(SimEngine& engine, bool all);

  std::uint64_t answers() const { return answers_; }
  std::uint64_t successes() const { return successes_; }
  std::size_t calls_under_way() const { return calls_.size(); }

 private:
  enum class Kind : std::uint8_t { allocate, commit, erase, lease, renew, other };
  class Call;

  void allocate(SimEngine& engine);
  void commit(SimEngine& engine, std::size_t payload);
  void erase(SimEngine& engine, std::size_t payload);
  void promote(SimEngine& engine, std::size_t payload);
  void spill(SimEngine& engine, std::size_t payload);
  void lease(SimEngine& engine, std::size_t payload);
  void release(SimEngine& engine);
  void renew(SimEngine& engine);
  void pin(SimEngine& engine, std::size_t payload);
  void label(SimEngine& engine, std::size_t payload);
  template <typename Command>
  void submit(SimEngine& engine, Command command, Kind kind, std::size_t payload,
              const catalog::Id& lease = {});
  void commit_answered(KnownPayload& known, const catalog::Reply& reply);
  void answered(Call& call, const catalog::Reply& reply);
  void learn(KnownPayload& known, const catalog::Reply& reply);
  std::size_t some_payload(KnownPayload::Stage stage);
  std::string check_lease(const KnownLease& lease);
  std::string check_payload(SimEngine& engine, KnownPayload& known);
  catalog::Id make_id(std::uint8_t family);

  World& world_;
  Trouble& trouble_;
  std::vector<KnownPayload> payloads_;
  std::vector<KnownLease> leases_;
  std::map<Call*, std::unique_ptr<Call>> calls_;
  std::string violation_;
  std::uint64_t ids_ = 0;
  std::uint64_t answers_ = 0;
  std::uint64_t successes_ = 0;
};

}  // namespace pm::simulation
