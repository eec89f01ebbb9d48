#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "content.h"
#include "host_process.h"

// What clients were promised, held against what a host keeps after it was killed: one audit for all
// tests that do so. Each violation begins with the rule that is broken:
//   I1  an acknowledged commit is there, byte by byte
//   I2  what got no answer is wholly done or wholly absent
//   I3  who has a descriptor can read the bytes
//   I4  rows, counts and media agree, and nothing lies about that no row names
//   I5  what was deleted stays deleted
//   I6  the copy that a lease held is neither removed nor overwritten (HeldLease)
//   I7  revisions never go back, and no payload changes its place under one
//   I8  who repeats a request gets the same answer
//   I9  the host is ready within ready_max
//   I10 no payload is on its way between two states
//   I11 no file is left over

namespace pm::integration {

using Violations = std::vector<std::string>;

enum class Fate {
  committed,    // Acknowledged: must be there, whole.
  unknown,      // A commit or a delete got no answer: whole or gone.
  uncommitted,  // Its commit was never sent: must not outlive the host.
  deleted       // Acknowledged: must be gone.
};

struct Known {
  client::PayloadId id;
  Digest digest;
  std::uint64_t version = 0;  // The latest that an answer showed.
  Fate fate = Fate::committed;
  client::Tier tier = client::Tier::unspecified;  // Where `version` showed it.
};

// A request with a request_id; of what it asks only Known::fate tells what came of it.
struct Request {
  enum class Kind { commit, erase, promote, spill };
  Kind kind = Kind::commit;
  std::vector<client::PayloadId> ids;  // Of a spill one or more, else one.
  std::string request_id{};
  client::Tier to = client::Tier::unspecified;
  bool drop_source = false;
  bool force = false;
  client::Checksum checksum{};
  bool answered = false;      // With OK.
  std::uint64_t version = 0;  // That the answer showed, of the first payload.
};

constexpr std::chrono::seconds ready_max{5};

// Notes what an answer, or what was found at `where`, shows. I7.
void see(Known& known, const client::Descriptor& descriptor, const std::string& where,
         Violations& violations);

// Looks at each payload, and from then on knows what became of it: Fate::committed or ::deleted.
// False: the host went away; what was not looked at is looked at the next time. I1, I2, I3, I5, I7,
// I10.
bool audit_payloads(client::Client& client, std::vector<Known>& known, Violations& violations);

// Lists exactly what is known to be there. False as above. I1, I5, I10.
bool audit_list(client::Client& client, const std::set<client::PayloadId>& ids,
                Violations& violations);
std::set<client::PayloadId> committed_ids(const std::vector<Known>& known);

// Sends each request once more, after audit_payloads(); what was absent is done now. I8.
void audit_repeats(client::Client& client, const std::vector<Request>& requests,
                   std::vector<Known>& known, Violations& violations);

// Rows, counts and media agree, once the times of grace have passed; waits for that at most until
// `limit`. Nobody must change anything meanwhile. I4.
void audit_room(const HostProcess& host, client::Client& client, Violations& violations,
                std::chrono::milliseconds limit = std::chrono::seconds(10));

// Whether the tiers count the copies that the rows name and `uncommitted` ones more, and no others:
// then nothing is being made or removed.
bool is_settled(const HostProcess& host, client::Client& client, std::uint64_t uncommitted);

// The names in a host's own folders that are no payload's: those of one start are those of all.
// I11.
std::set<std::string> own_names(const HostProcess& host);
void audit_names(const HostProcess& host, const std::set<std::string>& before,
                 Violations& violations);

// A reader's lease and mapping, which outlive the host: its next life must keep the copy for its
// recovery.quarantine_ms, whatever becomes of the payload.
class HeldLease {
 public:
  static Result<HeldLease> take(client::Client& client, const Known& known,
                                const client::LeaseOptions& options);

  const client::PayloadId& payload() const { return lease_.descriptor().id; }
  // I6. To be called only while the lease or the quarantine runs.
  void check(Violations& violations) const;

 private:
  HeldLease(client::ReadLease lease, Digest digest)
      : lease_(std::move(lease)), digest_(std::move(digest)) {}

  client::ReadLease lease_;
  Digest digest_;
};

}  // namespace pm::integration
