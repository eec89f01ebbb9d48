#include "audit.h"

#include <cstdio>
#include <map>

#include "wire_calls.h"

namespace pm::power {

Audit::Audit(const Cut& cut) : cut_(cut), host_(host_options()), own_log_(1) {}

Verdict Audit::run(const Tree& tree, const std::vector<Account>& accounts) {
  tree.write_below(host_.directory());
  return start(accounts);
}

Verdict Audit::run_recorded(const Tree& tree, const std::vector<Account>& accounts) {
  tree.write_below(host_.directory());
  recording_ =
      std::make_unique<Recording>(host_.directory() / "power.log", host_.state_directory());
  base_ = tree;
  base_inodes_ = inodes_below(host_.state_directory());
  return start(accounts);
}

Verdict Audit::start(const std::vector<Account>& accounts) {
  if (!host_.start_ready(environment())) {
    accuse("the host does not start");
  } else {
    client::Client client = host_.client(20'000);
    look(client, accounts);
    look_for_orphans(client);
    put_again(client);
    end();
  }
  if (!verdict_.findings.empty()) verdict_.log = host_.log();
  return verdict_;
}

integration::Environment Audit::environment() const {
  char boot_id[40];
  std::snprintf(boot_id, sizeof boot_id, "%08x-0000-4000-8000-%012llx", cut_.seed,
                static_cast<unsigned long long>(cut_.sequence));
  integration::Environment environment{{"LD_PRELOAD", recorder_library().string()}};
  if (recording_ != nullptr) {
    environment = recording_->environment();
    environment.emplace_back(variable::shared, host_.disk_root().string());
  }
  environment.emplace_back(variable::boot_id, boot_id);
  return environment;
}

void Audit::accuse(const Known& known, const std::string& words) {
  accuse(known.id.to_string() + (known.on_disk ? " (disk): " : " (shm): ") + words);
}

void Audit::look(client::Client& client, const std::vector<Account>& accounts) {
  std::map<client::PayloadId, client::Summary> listed;
  const Status status = client.list_each({}, [&](const client::Summary& summary) {
    listed.emplace(summary.id, summary);
    return true;
  });
  if (!status.ok()) return accuse("the list answers " + status.to_string());
  for (const Account& account : accounts) {
    const std::uint64_t settled = settled_before(*account.logs, account.sequence);
    for (const ClientLog& log : *account.logs) {
      for (const Known& known : log.payloads) {
        const auto found = listed.find(known.id);
        look_at(client, known, expect(known, account.sequence, settled),
                found == listed.end() ? nullptr : &found->second);
        if (found != listed.end()) listed.erase(found);
      }
      if (!log.stream.name.empty()) look_at_stream(client, log.stream, account.sequence, settled);
    }
  }
  for (const auto& [id, summary] : listed) accuse(id.to_string() + " was never made");
}

void Audit::look_at(client::Client& client, const Known& known, const Expectation& expected,
                    const client::Summary* summary) {
  const bool is_required = expected.may_be_read && !expected.may_be_absent && !expected.may_be_lost;
  verdict_.required += is_required ? 1 : 0;
  if (summary == nullptr) {
    if (!expected.may_be_absent) accuse(known, "it is gone");
    return;
  }
  if (!expected.may_be_read && !expected.may_be_lost) {
    return accuse(known, "it must not be there, and is " + client::state_name(summary->state));
  }
  const auto digest = integration::digest_of(client, known.id);
  if (summary->state == client::State::lost) {
    ++verdict_.lost;
    if (!expected.may_be_lost) accuse(known, "its bytes are lost");
    if (digest.status().code() != Code::data_loss)
      accuse(known, "it is lost, and reading it answers " + digest.status().to_string());
  } else if (summary->state != client::State::active && summary->state != client::State::durable) {
    accuse(known, "its state is " + client::state_name(summary->state));
  } else if (!digest) {
    accuse(known, "cannot be read: " + digest.status().to_string());
  } else {
    ++verdict_.read;
    if (*digest != known.digest) accuse(known, "its bytes differ");
    if (!expected.may_be_read) accuse(known, "it was deleted, and can be read");
  }
  look_at_metadata(client, known, expected);
}

void Audit::look_at_metadata(client::Client& client, const Known& known,
                             const Expectation& expected) {
  history::Operation operation;
  operation.kind = history::Kind::get_metadata;
  const Status status = history::call_metadata(client, operation, known.id);
  if (!status.ok() && status.code() != Code::not_found)
    return accuse(known, "its metadata answers " + status.to_string());
  if (expected.metadata.count(operation.seen.data) == 0)
    accuse(known, "its metadata is '" + operation.seen.data + "'");
}

void Audit::look_at_stream(client::Client& client, const KnownStream& stream,
                           std::uint64_t sequence, std::uint64_t settled) {
  std::vector<std::string> items;
  bool is_there = true;
  history::Operation operation;
  operation.kind = history::Kind::read_stream;
  operation.subject = stream.name;
  for (;;) {
    operation.seen = {};
    const Status status = history::call_stream(client, operation);
    is_there = status.code() != Code::not_found;
    if (is_there && !status.ok()) return accuse(stream.name + " answers " + status.to_string());
    const auto& seen = operation.seen.items;
    if (seen.empty()) break;
    items.insert(items.end(), seen.begin(), seen.end());
    operation.asked.offset = operation.seen.next_offset;
  }
  const std::string words = judge(stream, sequence, settled, is_there ? &items : nullptr);
  if (!words.empty()) accuse(stream.name + ": " + words);
}

// After the grace only files are left that are somebody's copy.
void Audit::look_for_orphans(client::Client& client) {
  std::string words;
  const auto is_clean = [&] {
    words.clear();
    const auto stats = client.stats();
    if (!stats) words = stats.status().to_string();
    for (const client::TierStats& tier : stats ? stats->tiers : std::vector<client::TierStats>()) {
      if (tier.name == "disk" && tier.copies != host_.files().size())
        words = std::to_string(host_.files().size()) + " files for " + std::to_string(tier.copies) +
                " copies";
      if (tier.health != "ok") words += " tier " + tier.name + " is " + tier.health;
    }
    return words.empty();
  };
  if (!integration::eventually(is_clean, std::chrono::seconds(10))) accuse(words);
}

void Audit::put_again(client::Client& client) {
  const auto now = [this] { return recording_ == nullptr ? 0 : recording_->now(); };
  for (const client::Tier tier : {client::Tier::disk, client::Tier::ram}) {
    Step commit{.act = Act::commit, .begun = now()};
    const auto stored = integration::put(client, 5'000, cut_.sequence, {.tier = tier});
    commit.ended = now();
    commit.ok = stored.ok();
    if (!stored) {
      accuse("a put answers " + stored.status().to_string());
      continue;
    }
    const client::PayloadId id = stored->descriptor.id;
    own_log_.front().payloads.push_back({id, stored->digest, tier == client::Tier::disk, {commit}});
    const auto digest = integration::digest_of(client, id);
    if (!digest || *digest != stored->digest) accuse("what was put cannot be read");
  }
}

// Once in a while in good order, else as if the power were cut once more.
void Audit::end() {
  if (recording_ == nullptr && cut_.seed % 4 != 0) return host_.kill();
  const auto exit = host_.terminate();
  if (!exit || exit->code != 0) accuse("the host does not end as it should");
}

integration::HostOptions host_options() {
  integration::HostOptions options;
  options.shm_capacity_bytes = 4 << 20;  // So little that payloads are moved to the disk, too.
  options.slab_bytes = 1 << 20;
  options.allocate_wait_ms_max = 2'000;
  options.orphan_grace_ms = 20;
  options.quarantine_ms = 20;
  // So short that the log is emptied into the file every other moment.
  options.repository_keys = "wal_autocheckpoint_pages = 50\n";
  return options;
}

}  // namespace pm::power
