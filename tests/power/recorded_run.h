#pragma once

#include <memory>
#include <string>
#include <vector>

#include "audit.h"

namespace pm::power {

// A real host under several clients, in several lives, recorded on a real file system.
class RecordedRun {
 public:
  // `planted`: more variables for the host, a mistake among them.
  explicit RecordedRun(unsigned seed, integration::Environment planted = {});

  // One life: works for `ms`, then ends by SIGTERM; with `kill_after`, it is killed after so many
  // numbers of the sequence (or after `ms`, then in good order). False: it did not start, or not
  // end as it should.
  bool live(int ms, std::uint64_t kill_after = 0);

  const Recording& recording() const { return *recording_; }
  const integration::HostProcess& host() const { return host_; }
  std::vector<ClientLog> logs() const;
  std::vector<std::string> strange() const;
  std::uint64_t answers() const;
  // Folder of the payloads, as Replay wants it.
  static constexpr char payloads[] = "state/payloads";

 private:
  integration::HostProcess host_;
  integration::Environment planted_;
  std::unique_ptr<Recording> recording_;
  std::vector<std::unique_ptr<Worker>> workers_;
};

// `count` cuts of the replay, in order: a ninth each (1) at the boundaries of syncs, with what was
// synced alone, (2) there, with names and lengths but no bytes, (3) there, with all that was
// issued; a third each (4) anywhere, with a random part of what the store had not synced, and (5)
// of what the payloads' files had not synced; in these two the other half is drawn, too.
std::vector<Cut> choose_cuts(const Replay& replay, std::size_t count, unsigned seed);

struct Summary {
  std::size_t cuts = 0;
  std::size_t second_cuts = 0;
  std::uint64_t required = 0;
  std::uint64_t read = 0;
  std::uint64_t lost = 0;
  std::vector<std::string> findings;
};

struct AuditOptions {
  std::size_t findings_max = 3;  // Ends early after so many cuts with findings.
  // Of so many cuts one is followed by a second one, while the host recovers from the first or
  // just after; 0: none.
  std::size_t second_cut_every = 0;
};

// Audits them, several at a time. With PM_POWER_KEEP set, what was found is left in that folder,
// each cut with its files and the host's log.
Summary audit_all(Replay& replay, const std::vector<ClientLog>& logs, const std::vector<Cut>& cuts,
                  const AuditOptions& options);

}  // namespace pm::power
