#include "sim_clients.h"

#include <algorithm>
#include <utility>

namespace pm::simulation {

namespace {

using catalog::Phase;
using catalog::Reason;
using catalog::Reply;
using Stage = KnownPayload::Stage;

constexpr std::uint64_t second_ns = 1'000'000'000;
constexpr std::size_t lookback = 24;  // Only so many of the newest are asked for.
constexpr catalog::TierIndex ram = 0;
constexpr catalog::TierIndex nowhere = 3;

}  // namespace

// One call under way.
class SimClients::Call final : public ledger::ReplyHandler {
 public:
  Call(SimClients& clients, Kind kind, std::size_t payload, const catalog::Id& lease)
      : kind(kind),
        payload(payload),
        lease(lease),
        asked_ns(sim_clocks.mono_ns),
        moment(clients.world_.moment),
        clients_(clients) {}
  void on_reply(const Reply& reply) override { clients_.answered(*this, reply); }

  const Kind kind;
  const std::size_t payload;
  const catalog::Id lease;
  const std::uint64_t asked_ns;
  const std::uint64_t moment;

 private:
  SimClients& clients_;
};

SimClients::SimClients(World& world, Trouble& trouble) : world_(world), trouble_(trouble) {}
SimClients::~SimClients() = default;

catalog::Id SimClients::make_id(std::uint8_t family) {
  catalog::Id id;
  id.bytes[0] = family;
  const std::uint64_t number = ++ids_;
  for (std::size_t at = 0; at < 8; ++at) {
    id.bytes[15 - at] = static_cast<std::uint8_t>(number >> (8 * at));
  }
  return id;
}

template <typename Command>
void SimClients::submit(SimEngine& engine, Command command, Kind kind, std::size_t payload,
                        const catalog::Id& lease) {
  auto call = std::make_unique<Call>(*this, kind, payload, lease);
  Call* const raw = call.get();
  calls_.emplace(raw, std::move(call));
  command.ticket = ledger::ticket_of(raw);
  engine.ledger().submit(command);
}

// ---- what they ask ----

std::size_t SimClients::some_payload(Stage stage) {
  const std::size_t first = payloads_.size() > lookback ? payloads_.size() - lookback : 0;
  const std::size_t count = payloads_.size() - first;
  const std::size_t start = trouble_.dice().pick(count);
  for (std::size_t step = 0; step < count; ++step) {
    const std::size_t at = first + (start + step) % count;
    if (payloads_[at].stage == stage) return at;
  }
  return first + start;
}

void SimClients::act(SimEngine& engine) {
  if (payloads_.empty()) return allocate(engine);
  const std::uint64_t kind = trouble_.dice().pick(100);
  if (kind < 18) return allocate(engine);
  if (kind < 38) return commit(engine, some_payload(Stage::allocated));
  const std::size_t payload = some_payload(Stage::committed);
  if (kind < 43) return erase(engine, payload);
  if (kind < 55) return promote(engine, payload);
  if (kind < 67) return spill(engine, payload);
  if (kind < 80) return lease(engine, payload);
  if (kind < 88) return release(engine);
  if (kind < 91) return renew(engine);
  if (kind < 96) return pin(engine, payload);
  label(engine, payload);
}

void SimClients::allocate(SimEngine& engine) {
  Dice& dice = trouble_.dice();
  KnownPayload known;
  known.id = make_id(1);
  known.bytes.resize(1 + dice.pick(180));
  for (char& byte : known.bytes) byte = static_cast<char>(dice.next());
  catalog::Allocate command;
  command.id = known.id;
  command.size_bytes = known.bytes.size();
  command.tier = static_cast<catalog::TierIndex>(dice.pick(2));
  if (dice.one_in(5)) command.ttl_ns = (5 + dice.pick(40)) * second_ns;
  command.retention.priority = static_cast<catalog::Priority>(1 + dice.pick(3));
  command.retention.require_durable = dice.one_in(6);
  if (dice.one_in(12)) {
    command.retention.spill_target = nowhere;
    known.may_be_deleted = true;
  }
  payloads_.push_back(std::move(known));
  submit(engine, command, Kind::allocate, payloads_.size() - 1);
}

// Writes the bytes first, which no call does for it.
void SimClients::commit(SimEngine& engine, std::size_t payload) {
  KnownPayload& known = payloads_[payload];
  const bool is_first = known.stage == Stage::allocated;
  if (is_first) {
    SimObject* object = world_.tiers[known.tier]->find(known.generation);
    if (object != nullptr && !object->sealed) object->bytes = known.bytes;
    known.stage = Stage::sealing;
  }
  catalog::Commit command;
  command.id = known.id;
  submit(engine, command, is_first ? Kind::commit : Kind::other, payload);
}

void SimClients::erase(SimEngine& engine, std::size_t payload) {
  ++payloads_[payload].deletes;
  catalog::Delete command;
  command.id = payloads_[payload].id;
  command.force = trouble_.dice().one_in(2);
  submit(engine, command, Kind::erase, payload);
}

void SimClients::erase_all(SimEngine& engine) {
  leases_.clear();
  for (std::size_t at = 0; at < payloads_.size(); ++at) {
    ++payloads_[at].deletes;
    catalog::Delete command;
    command.id = payloads_[at].id;
    command.force = true;
    submit(engine, command, Kind::erase, at);
  }
}

void SimClients::promote(SimEngine& engine, std::size_t payload) {
  KnownPayload& known = payloads_[payload];
  catalog::Promote command;
  command.id = known.id;
  command.tier = static_cast<catalog::TierIndex>(trouble_.dice().pick(2));
  command.best_effort = trouble_.dice().one_in(4);
  command.drop_source = trouble_.dice().one_in(4);
  if (command.drop_source && command.tier == ram) known.gives_up = true;
  submit(engine, command, Kind::other, payload);
}

void SimClients::spill(SimEngine& engine, std::size_t payload) {
  Dice& dice = trouble_.dice();
  catalog::Spill command;
  command.id = payloads_[payload].id;
  command.tier = static_cast<catalog::TierIndex>(1 + dice.pick(2));
  command.wait_for_leases = dice.one_in(2);
  if (dice.one_in(20)) {
    command.tier = nowhere;
    ++payloads_[payload].deletes;
    return submit(engine, command, Kind::erase, payload);
  }
  command.best_effort = dice.one_in(4);
  submit(engine, command, Kind::other, payload);
}

void SimClients::lease(SimEngine& engine, std::size_t payload) {
  catalog::AcquireLease command;
  command.id = payloads_[payload].id;
  command.lease = make_id(2);
  command.duration_ns = (1 + trouble_.dice().pick(8)) * second_ns;
  if (trouble_.dice().one_in(3)) command.min_tier = ram;
  submit(engine, command, Kind::lease, payload, command.lease);
}

void SimClients::release(SimEngine& engine) {
  if (leases_.empty()) return;
  const std::size_t at = trouble_.dice().pick(leases_.size());
  const KnownLease lease = leases_[at];
  leases_.erase(leases_.begin() + static_cast<std::ptrdiff_t>(at));
  catalog::ReleaseLease command;
  command.lease = lease.id;
  submit(engine, command, Kind::other, lease.payload);
}

void SimClients::renew(SimEngine& engine) {
  if (leases_.empty()) return;
  const KnownLease& lease = leases_[trouble_.dice().pick(leases_.size())];
  catalog::RenewLease command;
  command.lease = lease.id;
  command.duration_ns = (1 + trouble_.dice().pick(8)) * second_ns;
  submit(engine, command, Kind::renew, lease.payload, lease.id);
}

void SimClients::pin(SimEngine& engine, std::size_t payload) {
  if (trouble_.dice().one_in(2)) {
    catalog::Unpin command;
    command.id = payloads_[payload].id;
    return submit(engine, command, Kind::other, payload);
  }
  catalog::Pin command;
  command.id = payloads_[payload].id;
  command.duration_ns = trouble_.dice().pick(6) * second_ns;
  submit(engine, command, Kind::other, payload);
}

void SimClients::label(SimEngine& engine, std::size_t payload) {
  catalog::UpdateLabels command;
  command.id = payloads_[payload].id;
  command.set = {{"a", std::string(1, static_cast<char>('a' + trouble_.dice().pick(4)))}};
  submit(engine, command, Kind::other, payload);
}

// ---- what they are told ----

void SimClients::answered(Call& call, const Reply& reply) {
  const auto own = calls_.find(&call);
  if (own == calls_.end()) {
    violation_ = "a call is answered twice";
    return;
  }
  ++answers_;
  const bool ok = reply.reason == Reason::none;
  if (ok) ++successes_;
  KnownPayload& known = payloads_[call.payload];
  if (ok && reply.has_view) learn(known, reply);
  if (call.kind == Kind::allocate) {
    known.stage = ok ? Stage::allocated : Stage::gone;
  } else if (call.kind == Kind::commit) {
    commit_answered(known, reply);
  } else if (call.kind == Kind::erase) {
    --known.deletes;
    if (ok) known.stage = Stage::gone;
  } else if (call.kind == Kind::lease && ok) {
    const auto told = world_.told.find(reply.view.generation);
    if (told != world_.told.end() && told->second <= call.moment) {
      violation_ = "bytes that were found to be bad are leased";
    }
    leases_.push_back({call.lease, call.payload, reply.view.tier, reply.view.generation,
                       call.asked_ns + reply.lease_duration_ns});
  } else if (call.kind == Kind::renew && ok) {
    for (KnownLease& lease : leases_) {
      if (!(lease.id == call.lease)) continue;
      lease.until_ns = std::max(lease.until_ns, call.asked_ns + reply.lease_duration_ns);
    }
  }
  calls_.erase(own);
}

void SimClients::learn(KnownPayload& known, const Reply& reply) {
  const catalog::View& view = reply.view;
  if (known.stage == Stage::gone) {
    violation_ = "I5: what was deleted is shown";
  }
  known.revision = std::max(known.revision, view.revision);
  known.expires_at_ns = view.expires_at_ns;
  known.tier = view.tier;
  known.generation = view.generation;
  if (view.durable) known.is_durable = true;
}

void SimClients::commit_answered(KnownPayload& known, const Reply& reply) {
  if (reply.reason == Reason::none) {
    known.stage = Stage::committed;
    known.was_committed = true;
  } else if (reply.reason == Reason::payload_not_found) {
    known.stage = Stage::gone;
  } else {
    known.stage = Stage::allocated;
  }
}

void SimClients::lose_host(bool power) {
  calls_.clear();
  // What was found may not have been recorded.
  world_.told.clear();
  // A copy that has gone harms nobody any more.
  std::erase_if(world_.spoilt, [this](const auto& each) {
    return std::ranges::none_of(
        world_.tiers, [&](const auto& tier) { return tier->find(each.first) != nullptr; });
  });
  for (const auto& [generation, payload] : world_.spoilt) payloads_[payload].may_be_lost = true;
  for (KnownPayload& known : payloads_) {
    if (known.deletes > 0) known.may_be_deleted = true;
    known.deletes = 0;
    if (known.stage == Stage::asked || known.stage == Stage::allocated) known.stage = Stage::gone;
    if (known.stage == Stage::sealing) known.stage = Stage::unknown;
    if (power && (!known.is_durable || known.gives_up)) known.may_be_lost = true;
  }
  if (power) leases_.clear();
}

// ---- whether it is so ----

std::string SimClients::check(SimEngine& engine, bool all) {
  const auto has_ended = [](const KnownLease& lease) {
    return lease.until_ns <= sim_clocks.mono_ns;
  };
  std::erase_if(leases_, has_ended);
  for (const KnownLease& lease : leases_) {
    if (std::string found = check_lease(lease); !found.empty()) return found;
  }
  if (all) {
    for (KnownPayload& known : payloads_) {
      if (std::string found = check_payload(engine, known); !found.empty()) return found;
    }
  }
  return violation_;
}

std::string SimClients::check_lease(const KnownLease& lease) {
  const SimObject* object = world_.tiers[lease.tier]->find(lease.generation);
  const std::string name = "payload " + std::to_string(lease.payload);
  if (object == nullptr) return "S2: " + name + " is leased, and its copy was removed";
  const bool was_spoilt = world_.spoilt.contains(lease.generation);
  if (object->bytes != payloads_[lease.payload].bytes && !was_spoilt) {
    return "S3: the bytes of " + name + ", which is leased, have changed";
  }
  return {};
}

std::string SimClients::check_payload(SimEngine& engine, KnownPayload& known) {
  catalog::View view;
  const Reason reason =
      engine.ledger().read([&](const catalog::Catalog& catalog, const catalog::Clocks& now) {
        std::uint64_t lsn = 0;
        return catalog.resolve(known.id, now, view, lsn);
      });
  const std::string name = "payload " + std::to_string(&known - payloads_.data());
  const bool is_there = reason == Reason::none && view.phase == Phase::committed;
  if (known.stage == Stage::gone && is_there) return "I5: " + name + " was deleted, and is there";
  if (is_there && known.revision > view.revision && !known.may_be_lost) {
    return "S6: the revision of " + name + " went back";
  }
  if (is_there) {
    const SimObject* object = world_.tiers[view.tier]->find(view.generation);
    if (object == nullptr) return "I3: " + name + " is shown where it is not";
    if (world_.told.contains(view.generation)) return "a bad copy of " + name + " is shown";
    const bool was_spoilt = world_.spoilt.contains(view.generation);
    if (object->bytes != known.bytes && !was_spoilt) return "S1: " + name + " has other bytes";
    if (!object->sealed) return "S1: " + name + " is not sealed";
  }
  if (known.stage != Stage::committed) return {};
  const bool has_expired = known.expires_at_ns != 0 && known.expires_at_ns <= sim_clocks.wall_ns;
  if (reason == Reason::payload_lost && !known.may_be_lost) return "S1: " + name + " is lost";
  if (reason == Reason::payload_not_found && !has_expired && !known.may_be_deleted &&
      known.deletes == 0 && !known.may_be_lost) {
    return "S1: " + name + " is gone";
  }
  return {};
}

// ---- bit rot ----

// A payload with another good copy must live on when its bad one is found at once.
void SimClients::spoil(SimEngine& engine) {
  if (payloads_.empty()) return;
  const std::size_t at = some_payload(Stage::committed);
  KnownPayload& known = payloads_[at];
  std::vector<catalog::CopyToCheck> copies;
  std::uint64_t lsn = 0;
  engine.ledger().read([&](const catalog::Catalog& catalog, const catalog::Clocks& now) {
    return catalog.copies_to_check(known.id, now, copies, lsn);
  });
  // Else a kill of the host would take its checksum, or its other copy.
  if (lsn > engine.ledger().durable_lsn()) return;
  std::erase_if(copies, [&](const catalog::CopyToCheck& copy) {
    return copy.bad || world_.spoilt.contains(copy.object.generation);
  });
  // Without a checksum nobody can know.
  if (copies.empty() || copies[0].checksum.kind == catalog::ChecksumKind::none) return;
  trouble_.count(Fault::bytes_rot);
  const catalog::CopyToCheck& copy = copies[trouble_.dice().pick(copies.size())];
  world_.tiers[copy.object.tier]->spoil(copy.object.generation);
  world_.spoilt[copy.object.generation] = at;
  known.is_durable = false;
  const bool has_another = copies.size() > 1;
  known.may_be_lost = known.may_be_lost || !has_another;
  if (!has_another || trouble_.dice().one_in(2)) {
    known.may_be_lost = true;
    return;
  }
  const bool may_be_lost = std::exchange(known.may_be_lost, true);
  engine.check_copy(copy);
  if (world_.told.contains(copy.object.generation)) known.may_be_lost = may_be_lost;
}

std::string SimClients::check_copies(SimEngine& engine) {
  for (const KnownPayload& known : payloads_) {
    std::vector<catalog::CopyToCheck> copies;
    engine.ledger().read([&](const catalog::Catalog& catalog, const catalog::Clocks& now) {
      std::uint64_t lsn = 0;
      return catalog.copies_to_check(known.id, now, copies, lsn);
    });
    for (const catalog::CopyToCheck& copy : copies) {
      const SimObject* object = world_.tiers[copy.object.tier]->find(copy.object.generation);
      if (copy.bad || (object != nullptr && object->bytes == known.bytes)) continue;
      return "a scrub leaves a bad copy";
    }
  }
  return {};
}

}  // namespace pm::simulation
