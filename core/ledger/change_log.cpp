#include "change_log.h"

#include <algorithm>

namespace pm::ledger {

using catalog::EventKind;

namespace {

// The changes of a ring behind `after` and up to `end`, one by one.
class Reader {
 public:
  Reader(const ChangeRing& ring, std::uint64_t after, std::uint64_t end)
      : ring_(ring), after_(after), end_(end), stop_(ring.end()) {
    position_ = after < end ? ring.find_after(after) : stop_;
    next();
  }

  bool has_one() const { return has_one_; }
  const Change& change() const { return change_; }
  void next() {
    has_one_ = false;
    while (position_ < stop_ && !has_one_) {
      change_ = ring_.at(position_++);
      has_one_ = change_.sequence > after_ && change_.sequence <= end_;
    }
  }

 private:
  const ChangeRing& ring_;
  const std::uint64_t after_;
  const std::uint64_t end_;
  const std::uint64_t stop_;
  std::uint64_t position_ = 0;
  Change change_;
  bool has_one_ = false;
};

}  // namespace

ChangeLog::ChangeLog(std::size_t changes, std::size_t leases)
    : changes_(changes), leases_(leases) {}

void ChangeLog::append(const std::vector<catalog::Event>& events, std::uint64_t lsn) {
  std::uint64_t sequence = end_.load(std::memory_order_relaxed);
  for (const catalog::Event& event : events) {
    ChangeRing& ring = event.kind == EventKind::leased ? leases_ : changes_;
    ring.append({++sequence, lsn, event});
  }
  // Only now: who reads up to the end finds all of it in both rings.
  end_.store(sequence, std::memory_order_release);
}

bool ChangeLog::read(std::uint64_t after, bool with_leases, std::uint64_t durable_lsn,
                     std::size_t count, std::vector<Change>& out, std::uint64_t& upto) const {
  out.clear();
  const std::uint64_t end_sequence = end();
  upto = std::max(after, end_sequence);
  Reader changes(changes_, after, end_sequence);
  Reader leases(leases_, after, with_leases ? end_sequence : 0);
  while (changes.has_one() || leases.has_one()) {
    const bool lease = leases.has_one() &&
                       (!changes.has_one() || leases.change().sequence < changes.change().sequence);
    Reader& reader = lease ? leases : changes;
    if (out.size() >= count || reader.change().lsn > durable_lsn) {
      upto = reader.change().sequence - 1;
      break;
    }
    out.push_back(reader.change());
    reader.next();
  }
  return remembers(after, with_leases);
}

std::vector<Change> ChangeLog::history(const catalog::Id& id, std::size_t count) const {
  std::vector<Change> found;
  const std::uint64_t first = changes_.first();
  for (std::uint64_t position = changes_.end(); position > first && found.size() < count;) {
    if (!changes_.is_about(--position, id)) continue;
    const Change change = changes_.at(position);
    // From here on back all is being overwritten.
    if (changes_.forgot_after(change.sequence - 1)) break;
    found.push_back(change);
    if (change.event.kind == EventKind::allocated) break;
  }
  return found;
}

}  // namespace pm::ledger
