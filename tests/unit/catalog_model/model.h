#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/catalog/command.h"

// What the catalog must do, told as naively as can be: a few maps that are searched from end to
// end, and everything that can be counted is counted anew each time. It shares the plain data of
// commands and answers with the catalog, and no code.

namespace pm::catalog::naive {

// The number of a command. What a command writes carries its number, so that an answer can say
// which command's record must be durable before it. 0: none; 1: an earlier life's.
using Serial = std::uint64_t;
inline constexpr Serial earlier_life = 1;

using Key = std::array<std::uint8_t, 16>;

struct TierRules {
  std::int32_t rank = 0;
  std::uint64_t capacity_bytes = 0;
  std::uint64_t block_bytes = 1;
  TierIndex spill_to = no_tier;
  bool keeps_bytes = false;
  bool survives_power = false;
  bool takes_uploads = false;
};

struct Rules {
  std::vector<TierRules> tiers;
  std::uint64_t lease_default_ns = 0;
  std::uint64_t lease_max_ns = 0;
  std::uint64_t payload_bytes_max = 0;
  std::uint64_t wait_max_ns = 0;
  std::uint64_t uncommitted_max_ns = 0;
  std::uint64_t orphan_grace_ns = 0;
  std::uint64_t requests_kept_ns = 0;
  std::uint64_t quarantine_until_ns = 0;
  std::size_t waiters_max = 0;
  std::size_t metadata_events_max = 0;
  std::size_t lineage_parents_max = 0;
  std::size_t streams_max = 0;
  std::size_t groups_max = 0;
};

// What one command came to. In `replies` and in effects that remove, `lsn` is a Serial.
struct Outcomes {
  std::vector<Reply> replies;
  std::vector<Effect> effects;
  std::vector<Event> events;
};

struct Caller {
  Ticket ticket = 0;
  std::optional<Key> request{};
  std::optional<AcquireLease> asked{};  // Wants a lease when the work is done.
};

enum class Stage : std::uint8_t { begins, waits_for_leases, waits_for_room, runs };

// What takes time.
struct Work {
  enum class Kind : std::uint8_t { allocate, seal, move };
  Kind kind = Kind::allocate;
  Stage stage = Stage::begins;

  bool waits() const { return stage == Stage::waits_for_leases || stage == Stage::waits_for_room; }
  Key payload{};
  bool orphaned = false;  // Its payload was deleted meanwhile.
  TierIndex tier = no_tier;
  std::uint64_t length = 0;
  std::uint64_t room_bytes = 0;
  bool downward = false;
  bool drop_source = false;
  bool eviction = false;
  bool import = false;
  bool repair = false;
  int attempts = 0;
  TierIndex source_tier = no_tier;
  std::uint64_t source_generation = 0;
  bool in_front = false;  // Of those who were not let in before.
  std::uint64_t queue_number = 0;
  std::uint64_t deadline_ns = 0;
  std::vector<Caller> callers;
};

struct HeldCopy {
  TierIndex tier = no_tier;
  std::uint64_t generation = 0;
  bool bad = false;
  int checks = 0;  // Under way.
};

struct Held {
  Id id;
  Phase phase = Phase::allocating;
  std::uint64_t size_bytes = 0;
  std::uint64_t revision = 0;
  std::uint64_t order = 0;
  std::int64_t created_at_ns = 0;
  std::int64_t expires_at_ns = 0;
  std::uint64_t asked_for_ns = 0;  // Monotonic.
  Retention retention;
  Checksum checksum{};
  std::vector<HeldCopy> copies;
  std::uint64_t work = 0;  // The generation that its work is known by; 0: none.
  std::map<std::string, std::string> labels;
  bool pinned = false;
  std::int64_t pin_expires_at_ns = 0;
  bool has_metadata = false;
  std::uint32_t metadata_events = 0;
  std::int64_t last_event_at_ns = 0;
  std::uint32_t parents = 0;
  bool has_children = false;
  Serial written = 0;
  Serial metadata_written = 0;
  Serial parents_written = 0;
  // When it became one that may leave its tier; 0: it may not.
  std::uint64_t idle_since = 0;
  TierIndex idle_on = no_tier;
};

struct HeldLease {
  Id id;
  Key payload{};
  std::uint64_t generation = 0;
  std::uint64_t expires_ns = 0;
  std::string holder;
};

// A copy on its way out.
struct Leaving {
  Key payload{};
  TierIndex tier = no_tier;
  std::uint64_t length = 0;
  std::uint64_t not_before_ns = 0;
  std::uint64_t failures = 0;
  Serial written = 0;
  int checks = 0;
  bool asked = false;           // The tier is at it.
  bool waits_for_tick = false;  // Nobody holds it, but it is too early.
};

struct Remembered {
  std::uint64_t digest = 0;
  bool answered = false;
  bool is_durable = false;
  std::int64_t answered_at_ns = 0;
  std::vector<Ticket> followers;
  Reply reply;
};

struct HeldTier {
  bool failed = false;
  bool degraded = false;
  std::uint64_t health_number = 0;
  int evictions_failed = 0;
  std::size_t bad_found = 0;  // In this life.
};

struct HeldGroup {
  std::uint64_t offset = 0;
  Serial written = 0;
};

struct HeldStream {
  std::uint64_t entries_max = 0;
  std::uint64_t age_max_s = 0;
  std::vector<std::int64_t> times_ns;  // Of every entry that ever was.
  std::map<std::string, HeldGroup> groups;
  Serial written = 0;

  // The offsets that readers see.
  std::vector<std::uint64_t> visible(std::int64_t wall_ns) const;
};

class Model {
 public:
  Model(Rules rules, std::uint64_t life) : rules_(std::move(rules)), generation_(life << 40) {
    tiers_.resize(rules_.tiers.size());
  }

  // `seen` is when the caller of a command that builds on a look had looked. Reports name their
  // work by the generation of the copy that is made or sealed.
  void apply(const Command& command, Serial number, Serial seen, std::uint64_t generation,
             const Clocks& now, Outcomes& outcomes);

  // A new life: what was not durable is gone.
  Model restart(std::uint64_t life, std::uint64_t quarantine_until_ns) const;

  Reason resolve(const Id& id, const Clocks& now, View& view) const;
  std::vector<Key> newest_first(TierIndex tier) const;
  std::size_t leases_of(const Held& payload) const;
  bool is_live(const Held& payload, const Clocks& now) const;
  std::uint64_t used_bytes(TierIndex tier) const;
  std::uint64_t leaving_bytes(TierIndex tier) const;
  std::size_t copies_on(TierIndex tier) const;
  std::size_t bad_copies_on(TierIndex tier) const;

  // What there is, for those who compare and for those who choose what to ask next.
  const std::map<Key, Held>& payloads() const { return payloads_; }
  const std::vector<HeldLease>& leases() const { return leases_; }
  const std::map<std::uint64_t, Work>& works() const { return works_; }
  const std::map<std::uint64_t, Leaving>& leaving() const { return leaving_; }
  const std::vector<HeldTier>& tiers() const { return tiers_; }
  const std::map<StreamName, HeldStream>& streams() const { return streams_; }
  const HeldCopy* shown(const Held& payload) const;
  bool is_known_object(std::uint64_t generation) const;
  bool remembers(const Id& request) const { return requests_.contains(request.bytes); }

 private:
  struct Context {
    Serial number = 0;
    Serial seen = 0;
    std::uint64_t generation = 0;
    Clocks now;
    Outcomes* outcomes = nullptr;
    bool has_written = false;
  };

  // model.cpp: answers, requests, time
  void on(const Cancel& command);
  void on(const Tick& command);
  void on(const Shutdown& command);
  void on(const IndexSizes&) {}
  // The built-in rules decide in this model.
  void on(const PolicyInUse&) {}
  void on(const Evict&) {}
  void on(const Retain&) {}
  void on(const EndSession&) {}
  void on(const Publish&) {}
  void on(const Unheld&) {}
  void on(const NoteReads&) {}
  void on(const Mounted& command);
  void on(const TierHealth& report);
  bool is_repeat(const RequestKey& request, Caller& caller);
  void answer(const Caller& caller, Reply reply);
  void refuse(const Caller& caller, Reason reason, const catalog::Outcome* outcome = nullptr);
  // For what the payload is, which must be durable.
  void refuse_for(const Held* payload, const Caller& caller, Reason reason);
  void refuse_all(std::uint64_t work, Reason reason, const catalog::Outcome* outcome = nullptr);
  void show(const Caller& caller, const Key& key);
  View view_of(const Held& payload) const;
  Held* find(const Id& id);
  Serial write();
  void record(Held& payload);
  void tell(EventKind kind, Cause cause, const Held& payload, TierIndex from);
  void tell_refused(Cause cause, const Held& payload, TierIndex target, Reason why);

  // model_room.cpp: room, copies, what leaves
  void on(const Removed& report);
  void on(const Found& report);
  std::uint64_t charge(TierIndex tier, std::uint64_t length) const;
  std::uint64_t waiting_bytes(TierIndex tier) const;
  std::size_t waiting() const;
  std::optional<std::uint64_t> first_waiting(TierIndex tier) const;
  bool has_room(TierIndex tier, std::uint64_t bytes) const;
  bool may_leave(const Held& payload) const;
  void settle_idle(Held& payload, bool was_used = false);
  std::vector<Key> victims(TierIndex tier) const;
  Reason obstacle(const Held& payload, TierIndex target) const;
  bool make_room(TierIndex tier, std::uint64_t bytes);
  void evict(const Key& key, TierIndex tier);
  Reason admit(std::uint64_t work);
  void enqueue(std::uint64_t work, bool in_front);
  void abandon(std::uint64_t work, Reason reason);
  void pump(TierIndex tier);
  void pump_all(TierIndex first);
  void fail_tier(TierIndex tier);
  Reason sickness(TierIndex tier) const;
  TierIndex detour(TierIndex target) const;
  void doom(const Key& payload, const HeldCopy& copy, std::uint64_t length,
            std::uint64_t not_before_ns);
  void drop_copy(Held& payload, std::uint64_t generation);
  void ask_for_removals(bool by_tick);
  void erase(const Key& key, std::uint64_t not_before_ns, EventKind told);
  std::int64_t due_ns(const Held& payload) const;

  // model_payloads.cpp: allocate, seal, delete, pins, labels, leases
  void on(const Allocate& command);
  void on(const Allocated& report);
  void on(const Commit& command);
  void on(const Import& command);
  void on(const Sealed& report);
  void on(const Delete& command);
  void on(const Pin& command);
  void on(const Unpin& command);
  void on(const UpdateLabels& command);
  void on(const AcquireLease& command);
  void on(const RenewLease& command);
  void on(const ReleaseLease& command);
  void retry_allocation(std::uint64_t work, const Allocated& report, bool& waits);
  Reason seal_obstacle(const Held* payload) const;
  void seal(Held& payload, std::uint64_t length, bool import, const ChecksumDemand& checksum,
            const Caller& caller);
  void unpin(Held& payload, Cause cause);
  void grant(Held& payload, const Caller& caller);
  void end_lease(std::size_t index);

  // model_moves.cpp: works, promote, spill
  void on(const Promote& command);
  void on(const Spill& command);
  void on(const Moved& report);
  std::uint64_t start(Held& payload, Work::Kind kind, TierIndex tier);
  std::uint64_t start_move(Held& payload, TierIndex tier, bool downward);
  void end(std::uint64_t work);
  void run(std::uint64_t work);
  void promote(Held& payload, const Promote& command, const Caller& caller);
  void spill(Held& payload, const Spill& command, const Caller& caller);
  void go_down(std::uint64_t work);
  void arrive(std::uint64_t work, const Moved& report);
  void fail(std::uint64_t work, const Moved& report);
  void drop_all(Held& payload, TierIndex tier, bool faster);
  void refuse_move(const Caller& caller, const Held& payload, TierIndex target, Reason why);

  // model_scrub.cpp: copies that are bad or gone
  void on(const CheckCopy& command);
  void on(const CopyChecked& report);
  HeldCopy* find_checked(const Id& id, std::uint64_t generation);
  void found_bad(Held& payload, HeldCopy& copy, const Caller& caller);
  void on(const CopyGone& report);
  void condemn(Held& payload, HeldCopy& copy, Cause cause);
  void replace(Held& payload, TierIndex tier, const Caller& caller);
  static Cause cause_of(const Work& work);

  // model_documents.cpp: metadata, lineage, streams
  void on(const UpdateMetadata& command);
  void on(const AppendMetadataEvent& command);
  void on(const AddLineage& command);
  void on(const CreateStream& command);
  void on(const DeleteStream& command);
  void on(const AppendToStream& command);
  void on(const CommitOffset& command);
  Reason described(const Id& id);

  Rules rules_;
  std::map<Key, Held> payloads_;
  std::vector<HeldLease> leases_;
  std::map<std::uint64_t, Work> works_;       // By the generation that they make or seal.
  std::map<std::uint64_t, Leaving> leaving_;  // By generation.
  std::map<Key, Remembered> requests_;
  std::map<StreamName, HeldStream> streams_;
  std::vector<HeldTier> tiers_;
  std::uint64_t generation_ = 0;
  std::uint64_t order_ = 0;
  std::uint64_t queue_number_ = 0;
  std::uint64_t idle_count_ = 0;
  Serial cycles_written_ = 0;  // The last edge below a payload that had children.
  Serial streams_erased_ = 0;
  Serial payloads_erased_ = 0;
  bool stopping_ = false;
  Context at_;
};

}  // namespace pm::catalog::naive
