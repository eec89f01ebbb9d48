#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/catalog/catalog.h"
#include "core/ledger/ledger.h"
#include "core/mover/check_job.h"
#include "core/mover/mover.h"
#include "options.h"

namespace pm::scrub {

// What reading copies came to; each as in the contract's ScrubCounts.
struct Counts {
  std::uint64_t copies = 0;
  std::uint64_t bytes = 0;
  std::uint64_t checksums = 0;
  std::uint64_t bad = 0;
  std::uint64_t repaired = 0;
  std::uint64_t lost = 0;
  std::uint64_t unreadable = 0;
};

// What came of one payload.
struct Outcome {
  Counts counts;
  catalog::Reason reason = catalog::Reason::none;  // What keeps it from being well.
  catalog::TierIndex lost_on = catalog::no_tier;   // Where what is left of a lost one is kept.
  std::uint64_t lsn = 0;                           // What must be durable before it is told.
  std::string unreadable;                          // A copy that could not be read, and why.
};

// Reads single copies and says to the catalog what it found. [thread-safe]
class CopyChecker {
 public:
  CopyChecker(ledger::Ledger& ledger, mover::Mover& mover, std::vector<Tier> tiers)
      : ledger_(ledger), mover_(mover), tiers_(std::move(tiers)) {}

  const Tier& tier(catalog::TierIndex index) const { return tiers_[index]; }

  // Holds the copy against its checksum, and adds what came of it. False: it was not read to its
  // end, as `may_read` said so or the host stops.
  bool check(const catalog::CopyToCheck& copy, const mover::MayRead& may_read, Outcome& outcome);

  // False: it is to be removed, and others wait for its room.
  bool is_wanted(const catalog::CopyToCheck& copy) const;

  // From now on nobody waits.
  void begin_stop() { stopping_.store(true); }
  bool is_stopping() const { return stopping_.load(); }

 private:
  mover::CheckResult read(const catalog::CopyToCheck& copy, const mover::MayRead& may_read);
  void note_unreadable(const catalog::CopyToCheck& copy, const mover::CheckResult& result,
                       Outcome& outcome);
  void judge(const catalog::CopyToCheck& copy, const mover::CheckResult& result, Outcome& outcome);
  void report_bad(const catalog::CopyToCheck& copy, const std::string& words,
                  const catalog::Reply* reply, Outcome& outcome);
  std::string text_of(const catalog::CopyToCheck& copy) const;
  bool wait_for_journal() const;
  template <typename Command>
  std::optional<catalog::Reply> ask(Command command);

  ledger::Ledger& ledger_;
  mover::Mover& mover_;
  const std::vector<Tier> tiers_;
  std::atomic<bool> stopping_{false};
};

}  // namespace pm::scrub
