#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "expectation.h"
#include "replay.h"

namespace pm::power {

// The host of recordings and of audits; both need the same configuration.
integration::HostOptions host_options();

// What clients were told by the moment `sequence` of the recording that they looked at.
struct Account {
  const std::vector<ClientLog>* logs = nullptr;
  std::uint64_t sequence = 0;
};

struct Verdict {
  std::vector<std::string> findings;  // Broken promises, in words.
  std::string log;                    // Of the host, when there are any.
  std::uint64_t read = 0;             // Payloads whose bytes were compared.
  std::uint64_t lost = 0;             // Shown as lost.
  std::uint64_t required = 0;         // That had to be there, whole.
};

// Starts a real host on `tree`, as after a power cut (nothing in /dev/shm, another boot id), and
// holds what it shows against what the clients were told. At last a put must work.
class Audit {
 public:
  explicit Audit(const Cut& cut);

  Verdict run(const Tree& tree, const std::vector<Account>& accounts);

  // The same, and what the host does is recorded, so that the power can be cut again.
  Verdict run_recorded(const Tree& tree, const std::vector<Account>& accounts);
  // Of run_recorded(): what was there when it began, and what the client of the audit did.
  const Recording& recording() const { return *recording_; }
  const Tree& base() const { return base_; }
  const std::map<std::string, std::uint64_t>& base_inodes() const { return base_inodes_; }
  const std::vector<ClientLog>& own_log() const { return own_log_; }

 private:
  integration::Environment environment() const;
  Verdict start(const std::vector<Account>& accounts);
  void accuse(const std::string& words) { verdict_.findings.push_back(words); }
  void accuse(const Known& known, const std::string& words);
  void look(client::Client& client, const std::vector<Account>& accounts);
  void look_at(client::Client& client, const Known& known, const Expectation& expected,
               const client::Summary* summary);
  void look_at_metadata(client::Client& client, const Known& known, const Expectation& expected);
  void look_at_stream(client::Client& client, const KnownStream& stream, std::uint64_t sequence,
                      std::uint64_t settled);
  void look_for_orphans(client::Client& client);
  void put_again(client::Client& client);
  void end();

  const Cut cut_;
  integration::HostProcess host_;
  std::unique_ptr<Recording> recording_;
  Tree base_;
  std::map<std::string, std::uint64_t> base_inodes_;
  std::vector<ClientLog> own_log_;
  Verdict verdict_;
};

}  // namespace pm::power
