#include "oracle.h"

#include <algorithm>
#include <cstdio>
#include <map>

#include "rows.h"

namespace pm::integration {

namespace fs = std::filesystem;

namespace {

void violate(Violations& violations, const client::PayloadId& id, const std::string& what) {
  violations.push_back(what + " (payload " + id.to_string() + ")");
}

bool is_gone(const Status& status) {
  return status.code() == Code::unavailable || status.code() == Code::cancelled;
}

Known* find(std::vector<Known>& known, const client::PayloadId& id) {
  const auto found = std::find_if(known.begin(), known.end(),
                                  [&](const Known& payload) { return payload.id == id; });
  return found == known.end() ? nullptr : &*found;
}

// False: the host went away.
bool audit_payload(client::Client& client, Known& known, Violations& violations) {
  const auto resolved = client.resolve(known.id);
  if (is_gone(resolved.status())) return false;
  if (!resolved) {
    if (resolved.status().code() != Code::not_found) {
      violate(violations, known.id, "I1: resolve answers " + resolved.status().to_string());
    } else if (known.fate == Fate::committed) {
      violate(violations, known.id, "I1: an acknowledged commit is lost");
    }
    known.fate = Fate::deleted;
    return true;
  }
  if (known.fate == Fate::deleted) {
    violate(violations, known.id, "I5: an acknowledged delete is undone");
  }
  if (known.fate == Fate::uncommitted) {
    violate(violations, known.id, "I2: an allocation outlived the host");
  }
  if (resolved->state != client::State::active && resolved->state != client::State::durable) {
    violate(violations, known.id,
            "I10: its state after recovery is " + client::state_name(resolved->state));
  }
  const auto digest = digest_of(client, known.id);
  if (is_gone(digest.status())) return false;
  if (!digest) {
    violate(violations, known.id, "I3: cannot be read: " + digest.status().to_string());
  } else if (*digest != known.digest) {
    violate(violations, known.id, "I1: the bytes differ after recovery");
  }
  see(known, *resolved, "recovery", violations);
  known.fate = Fate::committed;
  return true;
}

}  // namespace

void see(Known& known, const client::Descriptor& descriptor, const std::string& where,
         Violations& violations) {
  if (descriptor.version < known.version) {
    violate(violations, known.id,
            "I7: the revision went back from " + std::to_string(known.version) + " to " +
                std::to_string(descriptor.version) + " at " + where);
  }
  const bool moved = known.tier != client::Tier::unspecified && descriptor.tier != known.tier;
  if (moved && descriptor.version == known.version) {
    violate(violations, known.id,
            "I7: it went from " + client::tier_name(known.tier) + " to " +
                client::tier_name(descriptor.tier) + " under revision " +
                std::to_string(known.version) + " at " + where);
  }
  known.version = descriptor.version;
  known.tier = descriptor.tier;
}

bool audit_payloads(client::Client& client, std::vector<Known>& known, Violations& violations) {
  return std::all_of(known.begin(), known.end(),
                     [&](Known& payload) { return audit_payload(client, payload, violations); });
}

std::set<client::PayloadId> committed_ids(const std::vector<Known>& known) {
  std::set<client::PayloadId> ids;
  for (const Known& payload : known) {
    if (payload.fate == Fate::committed) ids.insert(payload.id);
  }
  return ids;
}

bool audit_list(client::Client& client, const std::set<client::PayloadId>& ids,
                Violations& violations) {
  std::set<client::PayloadId> listed;
  const Status status = client.list_each({}, [&](const client::Summary& summary) {
    listed.insert(summary.id);
    if (summary.state != client::State::active && summary.state != client::State::durable) {
      violate(violations, summary.id, "I10: listed as " + client::state_name(summary.state));
    }
    if (ids.count(summary.id) == 0) violate(violations, summary.id, "I5: listed for no reason");
    return true;
  });
  if (is_gone(status)) return false;
  if (!status.ok()) violations.push_back("I1: the list answers " + status.to_string());
  for (const client::PayloadId& id : ids) {
    if (status.ok() && listed.count(id) == 0) violate(violations, id, "I1: not in the list");
  }
  return true;
}

// ---- repeats ----

namespace {

struct Answer {
  Status status;
  std::optional<client::Descriptor> descriptor;  // Of the first payload.
};

Answer answer_of(const Result<client::Descriptor>& result) {
  return {result.status(), result ? std::optional(*result) : std::nullopt};
}

Answer repeat(client::Client& client, const Request& request) {
  switch (request.kind) {
    case Request::Kind::commit:
      return answer_of(client.commit(request.ids.front(), request.request_id, request.checksum));
    case Request::Kind::erase:
      return {client.erase(request.ids.front(), request.force, request.request_id), {}};
    case Request::Kind::promote:
      return answer_of(
          client.promote(request.ids.front(), request.to,
                         {.drop_source = request.drop_source, .request_id = request.request_id}));
    case Request::Kind::spill: break;
  }
  const auto outcomes = client.spill(
      request.ids, {.to = request.to, .wait_for_leases = true, .request_id = request.request_id});
  if (!outcomes) return {outcomes.status(), {}};
  for (const client::SpillOutcome& outcome : *outcomes) {
    if (!outcome.status.ok()) return {outcome.status, {}};
  }
  return {{}, outcomes->front().descriptor};
}

void audit_repeat(client::Client& client, const Request& request, std::vector<Known>& known,
                  Violations& violations) {
  const client::PayloadId& id = request.ids.front();
  Known* first = find(known, id);
  const bool commits = request.kind == Request::Kind::commit;
  // An allocation dies with the host, and a commit of it cannot be done any more.
  const bool is_absent =
      commits && !request.answered && (first == nullptr || first->fate == Fate::deleted);
  const Answer answer = repeat(client, request);
  const Code wanted = is_absent ? Code::not_found : Code::ok;
  if (answer.status.code() != wanted) {
    return violate(
        violations, id,
        "I8: the repeat of " + request.request_id + " is answered " + answer.status.to_string());
  }
  if (request.answered && answer.descriptor && answer.descriptor->version != request.version) {
    violate(violations, id,
            "I8: " + request.request_id + " was answered with revision " +
                std::to_string(request.version) + ", its repeat with " +
                std::to_string(answer.descriptor->version));
  }
  if (request.answered || commits || first == nullptr) return;
  if (answer.descriptor) return see(*first, *answer.descriptor, "a repeat", violations);
  for (const client::PayloadId& gone : request.ids) {
    if (Known* payload = find(known, gone)) payload->fate = Fate::deleted;
  }
}

}  // namespace

void audit_repeats(client::Client& client, const std::vector<Request>& requests,
                   std::vector<Known>& known, Violations& violations) {
  for (const Request& request : requests) audit_repeat(client, request, known, violations);
}

// ---- room ----

namespace {

// Both tiers charge whole pages.
std::uint64_t charge(std::uint64_t bytes) { return (bytes + 4095) / 4096 * 4096; }

// In the names of segments and files: "UUID.GENERATION", at the end of those that are sealed.
std::string object_in(const std::string& name) {
  constexpr std::size_t length = 36 + 1 + 16;
  return name.size() < length ? name : name.substr(name.size() - length);
}

std::string object_of(const RowCopy& copy) {
  char generation[17];
  std::snprintf(generation, sizeof generation, "%016llx",
                static_cast<unsigned long long>(copy.generation));
  return copy.payload + "." + generation;
}

struct Sum {
  std::uint64_t copies = 0;
  std::uint64_t bytes = 0;
};

std::string look_at_room(const HostProcess& host, client::Client& client) {
  const auto rows = read_copies(host.database());
  if (!rows) return "the rows cannot be read; ";
  const auto stats = client.stats();
  if (!stats) return stats.status().to_string();
  std::string wrong;
  std::map<std::string, Sum> sums;
  std::set<std::string> objects;
  std::set<std::string> unseen;  // On a tier where each copy is a file.
  for (const RowCopy& copy : *rows) {
    ++sums[copy.tier].copies;
    sums[copy.tier].bytes += charge(copy.size_bytes);
    objects.insert(object_of(copy));
    if (host.keeps_files(copy.tier)) unseen.insert(object_of(copy));
  }
  for (const client::TierStats& tier : stats->tiers) {
    const Sum sum = sums[tier.name];
    if (tier.copies == sum.copies && tier.bytes_charged == sum.bytes) continue;
    wrong += tier.name + " counts " + std::to_string(tier.copies) + " copies of " +
             std::to_string(tier.bytes_charged) + " bytes, the rows say " +
             std::to_string(sum.copies) + " of " + std::to_string(sum.bytes) + "; ";
  }
  std::set<std::string> names = host.segments();
  names.merge(host.files());
  for (const std::string& name : names) {
    if (objects.count(object_in(name)) == 0) wrong += name + " is an orphan; ";
    unseen.erase(object_in(name));
  }
  for (const std::string& object : unseen) wrong += "the file of " + object + " is not there; ";
  return wrong;
}

}  // namespace

void audit_room(const HostProcess& host, client::Client& client, Violations& violations,
                std::chrono::milliseconds limit) {
  std::string wrong;
  eventually([&] { return (wrong = look_at_room(host, client)).empty(); }, limit);
  if (!wrong.empty()) violations.push_back("I4: " + wrong);
}

bool is_settled(const HostProcess& host, client::Client& client, std::uint64_t uncommitted) {
  const auto rows = read_copies(host.database());
  const auto stats = client.stats();
  if (!rows || !stats) return false;
  std::uint64_t counted = 0;
  for (const client::TierStats& tier : stats->tiers) counted += tier.copies;
  return counted == rows->size() + uncommitted;
}

std::set<std::string> own_names(const HostProcess& host) {
  std::set<std::string> names;
  for (const fs::path& folder : {host.state_directory(), host.socket().parent_path()}) {
    for (const auto& entry : fs::directory_iterator(folder)) names.insert(entry.path().string());
  }
  return names;
}

void audit_names(const HostProcess& host, const std::set<std::string>& before,
                 Violations& violations) {
  for (const std::string& name : own_names(host)) {
    if (before.count(name) == 0) violations.push_back("I11: " + name + " is left over");
  }
}

// ---- leases ----

Result<HeldLease> HeldLease::take(client::Client& client, const Known& known,
                                  const client::LeaseOptions& options) {
  auto lease = client.open(known.id, options);
  if (!lease) return lease.status();
  return HeldLease(*std::move(lease), known.digest);
}

void HeldLease::check(Violations& violations) const {
  const client::Location& location = lease_.descriptor().location;
  const bool in_file = location.kind == client::LocationKind::file;
  // What is mapped stays readable without its name, and the block of a slab keeps its name.
  if (!fs::exists(in_file ? location.name : "/dev/shm" + location.name)) {
    violate(violations, payload(), "I6: " + location.name + " was removed under a lease");
  }
  if (sha256(lease_.bytes()) != digest_) {
    violate(violations, payload(), "I6: the bytes of " + location.name + " changed under a lease");
  }
}

}  // namespace pm::integration
