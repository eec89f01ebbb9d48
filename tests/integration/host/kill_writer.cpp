#include "kill_writer.h"

#include <algorithm>
#include <utility>

namespace pm::integration {

namespace {

constexpr std::size_t population_max = 24;
constexpr std::uint64_t size_bytes_max = 96 << 10;

}  // namespace

void KillWriter::violate(const std::string& what, const client::PayloadId& id) {
  violations_.push_back(id.to_string() + ": " + what);
}

// True when the call has no answer. Refusals that a good host may give are fine; others are told.
bool KillWriter::host_is_gone(const Status& status, const char* what, const client::PayloadId& id) {
  if (!status.ok() && status.code() != Code::aborted) ++refusals_;
  switch (status.code()) {
    case Code::ok:
    case Code::aborted:
    case Code::resource_exhausted: ++answers_; return false;
    case Code::unavailable:
    case Code::cancelled: return true;
    case Code::deadline_exceeded:
      if (host_may_fall_silent_) return true;
      [[fallthrough]];
    default: violate(std::string(what) + " answers " + status.to_string(), id); return true;
  }
}

void KillWriter::work(client::Client& client, const std::atomic<bool>& stop) {
  bool alive = true;
  while (alive && !stop) {
    const auto dice = random_() % 100;
    if (known_.empty() || (dice < 45 && known_.size() < population_max)) {
      alive = put_one(client);
      continue;
    }
    Known& known = known_[random_() % known_.size()];
    if (known.fate != Fate::committed) continue;
    if (dice < 70) {
      alive = move_one(client, known);
    } else if (dice < 80) {
      alive = read_one(client, known);
    } else {
      alive = delete_one(client, known);
    }
  }
}

bool KillWriter::put_one(client::Client& client) {
  client::CreateOptions options;
  options.tier = random_() % 3 == 0 ? client::Tier::disk : client::Tier::ram;
  options.layout = random_() % 2 == 0 ? client::Layout::slab : client::Layout::segment;
  auto payload = client.create(1 + random_() % size_bytes_max, options);
  if (!payload) return !host_is_gone(payload.status(), "create", {});
  ++answers_;
  fill(payload->bytes(), random_());
  Known known{payload->id(), sha256(payload->bytes()), payload->descriptor().version,
              Fate::uncommitted, payload->descriptor().tier};
  if (random_() % 16 == 0) {
    const Status discarded = payload->discard();
    if (discarded.ok()) known.fate = Fate::deleted;
    known_.push_back(std::move(known));
    return !host_is_gone(discarded, "discard", known_.back().id);
  }
  known_.push_back(std::move(known));
  Known& logged = known_.back();
  logged.fate = Fate::unknown;
  const auto committed = payload->commit();
  if (host_is_gone(committed.status(), "commit", logged.id)) return false;
  if (!committed) {
    violate("commit is refused: " + committed.status().to_string(), logged.id);
    return false;
  }
  logged.fate = Fate::committed;
  see(logged, *committed, "commit", violations_);
  return true;
}

bool KillWriter::move_one(client::Client& client, Known& known) {
  if (random_() % 2 == 0) {
    client::PromoteOptions options;
    options.drop_source = random_() % 2 == 0;
    options.layout = random_() % 2 == 0 ? client::Layout::slab : client::Layout::segment;
    const auto promoted = client.promote(known.id, client::Tier::ram, options);
    if (promoted) see(known, *promoted, "promote", violations_);
    return !host_is_gone(promoted.status(), "promote", known.id);
  }
  const auto outcomes =
      client.spill(std::span(&known.id, 1), {.to = client::Tier::disk, .wait_for_leases = true});
  if (!outcomes) return !host_is_gone(outcomes.status(), "spill", known.id);
  const client::SpillOutcome& outcome = outcomes->front();
  if (outcome.descriptor) see(known, *outcome.descriptor, "spill", violations_);
  return !host_is_gone(outcome.status, "spill", known.id);
}

bool KillWriter::read_one(client::Client& client, Known& known) {
  const auto digest = digest_of(client, known.id);
  if (!digest) return !host_is_gone(digest.status(), "lease", known.id);
  ++answers_;
  if (*digest != known.digest) violate("the bytes differ under load", known.id);
  return true;
}

bool KillWriter::delete_one(client::Client& client, Known& known) {
  known.fate = Fate::unknown;
  const Status erased = client.erase(known.id);
  if (host_is_gone(erased, "delete", known.id)) return false;
  known.fate = erased.ok() ? Fate::deleted : Fate::committed;
  return true;
}

bool KillWriter::audit(client::Client& client) {
  const auto unknowns = [this] {
    return std::count_if(known_.begin(), known_.end(),
                         [](const Known& known) { return known.fate == Fate::unknown; });
  };
  const auto before = unknowns();
  const bool whole = audit_payloads(client, known_, violations_);
  unknowns_ += static_cast<std::uint64_t>(before - unknowns());
  if (!whole) return false;
  std::erase_if(known_, [](const Known& known) { return known.fate != Fate::committed; });
  return true;
}

}  // namespace pm::integration
