#include "audit.h"

#include <cstdio>
#include <map>

#include "leftovers.h"
#include "wire_calls.h"

namespace pm::power {

namespace {

using integration::HostProcess;

class Audit {
 public:
  Audit(const std::vector<ClientLog>& logs, const Cut& cut)
      : logs_(logs),
        cut_(cut),
        settled_(settled_before(logs, cut.sequence)),
        host_(host_options()) {}

  Verdict run(const Tree& tree) {
    tree.write_below(host_.directory());
    if (!host_.start_ready(environment())) {
      accuse("the host does not start");
    } else {
      client::Client client = host_.client(20'000);
      look(client);
    }
    if (!verdict_.findings.empty()) verdict_.log = host_.log();
    return std::move(verdict_);
  }

 private:
  integration::Environment environment() const {
    char boot_id[40];
    std::snprintf(boot_id, sizeof boot_id, "%08x-0000-4000-8000-%012llx", cut_.seed,
                  static_cast<unsigned long long>(cut_.sequence));
    return {{"LD_PRELOAD", recorder_library().string()}, {variable::boot_id, boot_id}};
  }

  void accuse(const std::string& words) { verdict_.findings.push_back(words); }
  void accuse(const Known& known, const std::string& words) {
    accuse(known.id.to_string() + (known.on_disk ? " (disk): " : " (shm): ") + words);
  }

  void look(client::Client& client) {
    std::map<client::PayloadId, client::Summary> listed;
    const Status status = client.list_each({}, [&](const client::Summary& summary) {
      listed.emplace(summary.id, summary);
      return true;
    });
    if (!status.ok()) return accuse("the list answers " + status.to_string());
    for (const ClientLog& log : logs_) {
      for (const Known& known : log.payloads) {
        const auto found = listed.find(known.id);
        look_at(client, known, found == listed.end() ? nullptr : &found->second);
        if (found != listed.end()) listed.erase(found);
      }
      look_at_stream(client, log.stream);
    }
    for (const auto& [id, summary] : listed) accuse(id.to_string() + " was never made");
    look_for_orphans(client);
    put_again(client);
    const auto exit = cut_.seed % 4 == 0 ? host_.terminate() : std::optional(integration::Exit{0});
    if (!exit || exit->code != 0) accuse("the host does not end as it should");
  }

  void look_at(client::Client& client, const Known& known, const client::Summary* summary) {
    const Expectation expected = expect(known, cut_.sequence, settled_);
    const bool is_required = expected.may_be_read && !expected.may_be_absent &&
                             !expected.may_be_lost;
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
    } else if (summary->state != client::State::active &&
               summary->state != client::State::durable) {
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

  void look_at_metadata(client::Client& client, const Known& known, const Expectation& expected) {
    history::Operation operation;
    operation.kind = history::Kind::get_metadata;
    const Status status = history::call_metadata(client, operation, known.id);
    if (!status.ok() && status.code() != Code::not_found)
      return accuse(known, "its metadata answers " + status.to_string());
    if (expected.metadata.count(operation.seen.data) == 0)
      accuse(known, "its metadata is '" + operation.seen.data + "'");
  }

  void look_at_stream(client::Client& client, const KnownStream& stream) {
    std::vector<std::string> items;
    history::Operation operation;
    operation.kind = history::Kind::read_stream;
    operation.subject = stream.name;
    for (;;) {
      operation.seen = {};
      const Status status = history::call_stream(client, operation);
      if (status.code() == Code::not_found) break;
      if (!status.ok()) return accuse(stream.name + " answers " + status.to_string());
      const auto& seen = operation.seen.items;
      items.insert(items.end(), seen.begin(), seen.end());
      if (seen.empty()) {
        const std::string words = judge(stream, cut_.sequence, settled_, &items);
        if (!words.empty()) accuse(stream.name + ": " + words);
        return;
      }
      operation.asked.offset = operation.seen.next_offset;
    }
    const std::string words = judge(stream, cut_.sequence, settled_, nullptr);
    if (!words.empty()) accuse(stream.name + ": " + words);
  }

  // After the grace only files are left that are somebody's copy.
  void look_for_orphans(client::Client& client) {
    std::string words;
    const auto is_clean = [&] {
      const auto stats = client.stats();
      if (!stats) return words = stats.status().to_string(), false;
      words.clear();
      for (const client::TierStats& tier : stats->tiers) {
        if (tier.name == "disk" && tier.copies != host_.files().size())
          words = std::to_string(host_.files().size()) + " files for " +
                  std::to_string(tier.copies) + " copies";
        if (tier.health != "ok") words += " tier " + tier.name + " is " + tier.health;
      }
      return words.empty();
    };
    if (!integration::eventually(is_clean, std::chrono::seconds(10))) accuse(words);
  }

  void put_again(client::Client& client) {
    for (const client::Tier tier : {client::Tier::disk, client::Tier::ram}) {
      const auto stored = integration::put(client, 5'000, cut_.sequence, {.tier = tier});
      if (!stored) {
        accuse("a put answers " + stored.status().to_string());
      } else if (const auto digest = integration::digest_of(client, stored->descriptor.id);
                 !digest || *digest != stored->digest) {
        accuse("what was put cannot be read");
      }
    }
  }

  const std::vector<ClientLog>& logs_;
  const Cut& cut_;
  const std::uint64_t settled_;
  HostProcess host_;
  Verdict verdict_;
};

}  // namespace

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

Verdict audit(const Tree& tree, const std::vector<ClientLog>& logs, const Cut& cut) {
  return Audit(logs, cut).run(tree);
}

}  // namespace pm::power
