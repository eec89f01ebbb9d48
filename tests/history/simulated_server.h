#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "operation.h"

// A small server that keeps the contract, unless it is told to break it in one of many ways. It
// knows nothing of the models that its histories are held against.

namespace pm::history {

enum class Bug : std::uint8_t {
  none,
  lost_update,                 // Two label updates at once: the second undoes the first.
  stale_read,                  // Resolve answers from a cache that a move has outdated.
  early_free,                  // A forced delete gives the block of a leased payload to others.
  double_grant,                // Two allocations get the same block.
  ack_before_commit,           // A commit is answered before it is durable.
  resurrected_delete,          // A delete is answered before it is durable.
  revision_reused,             // A spill does not count the revision up.
  revision_goes_back,          // A restart counts revisions from the commit's again.
  request_executed_twice,      // Request ids are forgotten with the host.
  repeat_answered_anew,        // A repeat is answered with what is true now.
  dirty_read,                  // A read does not wait for what it shows to be durable.
  dirty_refusal,               // A refusal does not wait for what it shows to be durable.
  noop_acknowledged_early,     // An unpin that finds nothing to do does not wait for who did it.
  lease_before_commit,         // What is being written can be leased.
  delete_ignores_lease,        // A leased payload is deleted unasked.
  spill_ignores_pin,           // A pinned payload is spilled.
  renew_after_forced_delete,   // A lease outlives its payload for the renewer.
  release_ends_all_leases,     // One reader's release lets go of what the other reads.
  pin_not_recorded,            // A pin does not survive a restart.
  labels_not_recorded,         // Nor do labels.
  metadata_read_stale,         // The update before the last is answered.
  event_number_reused,         // Two events have one number.
  promote_serves_other_bytes,  // The switch comes before the copy.
  commit_acts_twice,           // Two commits at once both succeed.
  delete_leaves_reader_cache,  // A deleted payload can still be resolved for a while.
  allocation_outlives_host,    // What was not committed is there after a restart.
  stream_offset_reused,        // A restart gives offsets out again.
  append_torn,                 // A crash leaves half of a batch.
  append_lost,                 // An append is answered before it is durable.
  count
};

const char* bug_name(Bug bug);

class SimulatedServer {
 public:
  SimulatedServer(Bug bug, std::uint64_t seed) : bug_(bug), random_(seed) {}

  // What an operation came to, and when its answer may leave.
  struct Reply {
    bool waits = false;  // It goes on with finish().
    std::uint64_t lsn = 0;
  };
  // Fills in the outcome and what was seen.
  Reply execute(Operation& operation);
  // The second half of a move.
  Reply finish(Operation& operation);
  // The bytes under a lease, at this moment.
  std::string bytes_of(const std::string& lease) const;

  // One more group of the journal is on the disk. False: there was none.
  bool write_journal();
  std::uint64_t durable_lsn() const { return durable_lsn_; }
  void crash();

 private:
  struct Object {
    bool there = false;
    bool committed = false;
    bool in_memory = false;
    bool on_disk = false;
    bool pinned = false;
    bool moving = false;
    std::uint64_t revision = 0;
    std::uint64_t old_revision = 0;  // Before the last move.
    Place old_place = Place::nowhere;
    std::uint64_t lsn = 0;
    Labels labels;
    std::string data, schema, old_data, old_schema;
    std::uint64_t events = 0;
    std::string content;
    std::uint64_t block = 0;
    std::map<std::string, bool> leases;  // True: of the copy in memory.
  };
  struct Stream {
    bool there = false;
    std::vector<std::string> items;
  };
  struct Answer {
    Seen seen;
    std::uint64_t lsn = 0;
    bool changed = false;
  };
  struct Group {
    std::uint64_t lsn = 0;
    std::string object;
    Object image;
    std::string stream;
    Stream log;
    std::string request;
    Answer answer;
  };
  struct Lent {
    std::string object;
    std::uint64_t block = 0;
  };

  bool has(Bug bug) const { return bug_ == bug; }
  // Half of the time, so that a bug is not seen by everybody at once.
  bool strikes(Bug bug) { return bug_ == bug && random_() % 2 == 0; }

  Reply refuse(Operation& operation, Refusal refusal);
  Reply act(Operation& operation);
  Reply create(Operation& operation);
  Reply commit(Operation& operation, Object& object);
  Reply erase(Operation& operation, Object& object);
  Reply lease(Operation& operation, Object& object);
  Reply renew(Operation& operation);
  Reply begin_move(Operation& operation, Object& object);
  void switch_copies(const Operation& operation, Object& object);
  Reply describe(Operation& operation, Object& object);
  Reply pin(Operation& operation, Object& object, bool pinned);
  Reply update(Operation& operation, Object& object);
  Reply stream(Operation& operation);
  void show(Operation& operation, const Object& object) const;
  std::uint64_t record(const std::string& name, const Object& object);
  Reply shown(Operation& operation, const Object& object);

  const Bug bug_;
  std::minstd_rand random_;
  std::uint64_t lsn_ = 1;
  std::uint64_t durable_lsn_ = 1;
  std::uint64_t erased_lsn_ = 1;
  std::uint64_t counter_ = 0;
  std::uint64_t block_ = 0;
  std::map<std::string, Object> objects_, kept_objects_;
  std::map<std::string, Stream> streams_, kept_streams_;
  std::map<std::string, Answer> answers_, kept_answers_;
  std::deque<Group> journal_;
  std::map<std::uint64_t, std::string> blocks_;  // What lies in each.
  std::map<std::string, Lent> lent_;             // Leases, also of what is gone.
  std::map<std::string, Object> cache_;          // For delete_leaves_reader_cache.
};

// Clients that call such a server, at random but for `seed`, with crashes. Its times are counts.
struct SimulationOptions {
  std::uint64_t seed = 1;
  Bug bug = Bug::none;
  std::uint32_t clients = 6;
  std::uint64_t operations = 400;
  std::uint64_t payloads = 5;        // At a time.
  std::uint64_t crash_every = 120;   // Operations, on average; 0: never.
  std::uint64_t journal_every = 20;  // Ticks, on average.
};
History simulate(const SimulationOptions& options);

}  // namespace pm::history
