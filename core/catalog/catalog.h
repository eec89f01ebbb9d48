#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "command.h"
#include "counts.h"
#include "explain.h"
#include "hash_table.h"
#include "holds.h"
#include "label_index.h"
#include "limits.h"
#include "list_walk.h"
#include "operation.h"
#include "ordered_index.h"
#include "payload.h"
#include "score_index.h"
#include "size_index.h"
#include "slots.h"
#include "stream_table.h"
#include "victims.h"

namespace pm::catalog {

// The state machine: payloads, copies, leases and those who wait. Plain data and one function that
// changes it, apply(). It has no I/O, no clock, no lock and no randomness: the same commands give
// the same state. Its owner serialises the calls. No call does more than O(log n) work for each of
// at most 256 things.
class Catalog {
 public:
  // `epoch` is larger than in every earlier life: generations of copies begin with it.
  Catalog(const Limits& limits, std::vector<TierFacts> tiers, std::uint64_t epoch);

  Catalog(const Catalog&) = delete;
  Catalog& operator=(const Catalog&) = delete;

  // Who decides from the start on. Before restore().
  void use(const PolicyInUse& policy);

  // How clients on this machine hold copies without a command; NULL: they cannot. Before the first
  // apply(); called by apply() only. Must outlive the catalog.
  void use(Holds* holds) { holds_ = holds; }

  // What an earlier life recorded. Before the first apply(), and end_restore() behind the last.
  void restore(const PayloadRecord& record);
  void restore(const RequestRecord& record);
  void restore(const TierRecord& record);
  void restore(const StreamRecord& record);
  void restore(const ConsumerGroupRecord& record);
  void restore_stream_age(std::uint64_t number, std::uint64_t end_offset, std::int64_t newest_ns);
  void end_restore();

  // Does what the command says and appends what follows from it to `changes`.
  void apply(const Command& command, const Clocks& now, Changes& changes);

  // Reads. `lsn` is raised to what must be durable before the answer may leave.
  Reason resolve(const Id& id, const Clocks& now, View& view, std::uint64_t& lsn) const;
  // The same, of lost ones too, and with what keeps it where it is.
  Reason explain(const Id& id, const Clocks& now, Explanation& explanation,
                 std::uint64_t& lsn) const;
  // The newest payloads made before `before_order`, at most `count`; only those shown on `tier`
  // unless it is no_tier.
  void list(std::uint64_t before_order, TierIndex tier, std::uint32_t count,
            std::vector<View>& views, std::uint64_t& lsn) const;
  // The next payloads of a walk behind a place, at most `count`; nothing more follows when there
  // are fewer. By size only when is_sorted_by_size().
  void walk(const ListWalk& walk, const std::optional<ListPlace>& behind, std::uint32_t count,
            std::vector<Listed>& found) const;
  bool is_sorted_by_size() const { return sizes_.is_complete(); }
  // What a scrub reads next: the copies of the payloads behind `order`, which is moved to the last
  // one looked at; at most `count` payloads, the oldest first, up to `last_order`. True: there may
  // be more. Copies that do not outlive the process are left out.
  bool copies_to_check(std::uint64_t& order, std::uint64_t last_order, std::uint32_t count,
                       std::vector<CopyToCheck>& found) const;
  // The same of one payload.
  Reason copies_to_check(const Id& id, const Clocks& now, std::vector<CopyToCheck>& found,
                         std::uint64_t& lsn) const;
  // False: it is to be removed, or has been.
  bool has_copy(const Id& id, std::uint64_t generation) const;
  std::uint64_t last_order() const { return order_; }
  std::uint64_t count_listed(TierIndex tier) const;
  std::uint64_t count_labelled(const LabelTerm& term) const { return labels_.count(term); }
  Counts counts() const;
  // Leases on the copies of a payload, or of a holder: at most `count` behind `after`, which is
  // moved to the last one. They come in an order of their own, which no lease changes its place in.
  void list_leases(const Id& payload, std::uint32_t count, OrderedIndex::Entry& after,
                   const Clocks& now, std::vector<LeaseView>& leases) const;
  void list_leases(const std::string& holder, std::uint32_t count, OrderedIndex::Entry& after,
                   const Clocks& now, std::vector<LeaseView>& leases) const;
  // The request has been answered, or will be: nothing is done for it any more.
  bool is_known(const RequestKey& key) const {
    return key.given && request_by_id_.find(key.key) != no_slot;
  }
  // What policies are told. Of a tier's victims, those that can leave, at most `count`.
  void look_at_victims(TierIndex tier, std::uint32_t count, const Clocks& now,
                       SpillLook& look) const;
  bool look_at_first_victim(TierIndex tier, const Clocks& now, Candidate& victim) const;
  // False: it is not there, or not committed.
  bool look_at(const Id& id, const Clocks& now, Candidate& payload) const;
  std::vector<TierLoad> loads() const;
  Usage usage_of(const std::string& owner) const;
  // What a session may see: the copy that its lease is on, and the one that it is writing.
  // payload_not_found, lease_not_found: it has no such thing.
  Reason find_leased(std::uint64_t session, const Id& lease, Object& object) const;
  Reason find_allocated(std::uint64_t session, const Id& payload, Object& object) const;
  bool has_allocations(std::uint64_t session) const;
  const StreamTable& streams() const { return streams_; }
  Described describe(const Id& id, const Clocks& now) const;
  LineageNeeds lineage_needs(const Id& child, const LineageEdges& edges, const Clocks& now) const;

  // When the next Tick has something to do; 0: not on that clock.
  std::uint64_t next_due_mono_ns() const;
  std::int64_t next_due_wall_ns() const;

 private:
  // What is done meanwhile is no rule's wish.
  class NobodysWish {
   public:
    explicit NobodysWish(std::uint16_t& rule) : rule_(rule), before_(std::exchange(rule, 0)) {}
    ~NobodysWish() { rule_ = before_; }
    NobodysWish(const NobodysWish&) = delete;
    NobodysWish& operator=(const NobodysWish&) = delete;

   private:
    std::uint16_t& rule_;
    const std::uint16_t before_;
  };

  struct Tier {
    TierFacts facts;
    bool failed = false;
    bool degraded = false;
    std::string why_degraded;
    std::uint64_t health_number = 0;
    std::string medium;
    std::uint64_t used_bytes = 0;     // Charged or reserved.
    std::uint64_t leaving_bytes = 0;  // Of those: will be free without anyone's help.
    std::uint64_t copies = 0;
    std::uint64_t listed_bytes = 0;
    std::uint64_t bad_copies = 0;
    std::uint64_t bad_copies_found = 0;
    std::uint32_t evictions_failed = 0;     // In a row.
    std::map<std::uint64_t, Slot> waiting;  // Operations, first come first served.
    std::uint64_t waiting_bytes = 0;
    OrderedIndex listed;  // order -> payload
    Victims victims;
    // Giving up room ahead of need, from the high watermark down to the low one.
    bool is_relieved = false;
    std::uint32_t evictions = 0;        // Under way.
    std::uint64_t relief_after_ns = 0;  // Not before; monotonic.
    std::uint32_t relief_pauses = 0;    // Since the low watermark was reached.
    // Of the policy.
    std::uint64_t question = 0;         // That it was asked; 0: none.
    std::uint32_t answers_in_vain = 0;  // In a row.
    bool decides_itself = false;        // It is not asked now.
  };

  // apply.cpp: dispatch, request ids, replies
  void on(const Allocate& command);
  void on(const Commit& command);
  void on(const Import& command);
  void on(const Delete& command);
  void on(const Pin& command);
  void on(const Unpin& command);
  void on(const Promote& command);
  void on(const Spill& command);
  void on(const AcquireLease& command);
  void on(const RenewLease& command);
  void on(const ReleaseLease& command);
  void on(const Cancel& command);
  void on(const Allocated& report);
  void on(const Sealed& report);
  void on(const Moved& report);
  void on(const Removed& report);
  void on(const Found& report);
  void on(const CopyGone& report);
  void on(const CheckCopy& command);
  void on(const CopyChecked& report);
  void on(const Mounted& report);
  void on(const TierHealth& report);
  void on(const UpdateLabels& command);
  void on(const IndexSizes& command);
  void on(const PolicyInUse& policy);
  void on(const Evict& answer);
  void on(const Retain& answer);
  void on(const EndSession& end);
  void on(const Publish& published);
  void on(const Unheld& report);
  void on(const NoteReads& reads);
  void on(const Tick& tick);
  void on(const Shutdown& shutdown);
  // stream_commands.cpp
  void on(const CreateStream& command);
  void on(const DeleteStream& command);
  void on(const AppendToStream& command);
  void on(const CommitOffset& command);
  void on(const UpdateMetadata& command);
  void on(const AppendMetadataEvent& command);
  void on(const AddLineage& command);
  bool is_repeat(const RequestKey& key, Ticket ticket, Slot& request);
  void forget_request(Slot slot);
  void answer(const Waiter& waiter, Reply reply);
  void refuse(const Waiter& waiter, Reason reason, const Outcome* outcome = nullptr);
  // For what the payload is: nobody may be told before it is durable.
  void refuse_for(Slot payload, const Waiter& waiter, Reason reason);
  void answer_with_view(const Waiter& waiter, Slot payload);
  void refuse_all(Slot operation, Reason reason, const Outcome* outcome = nullptr);
  void record_payload(Slot payload);
  std::uint64_t take_lsn();

  // room.cpp: admission, victims, those who wait for room
  enum class Room : std::uint8_t { coming, perhaps, never };
  std::uint64_t charge(TierIndex tier, std::uint64_t length) const;
  bool has_free_room(TierIndex tier, std::uint64_t length) const;
  Reason admit(Slot operation);
  enum class Place : std::uint8_t { behind_all, in_front };
  void enqueue(Slot operation, Place place);
  void abandon(Slot operation, Reason reason);
  Room make_room(TierIndex tier, std::uint64_t bytes);
  bool is_slower(TierIndex tier, TierIndex than) const;
  const Copy* other_home(const Payload& payload, const Copy& copy) const;
  EvictionPlan plan_eviction(const Payload& payload, const Copy& copy) const;
  EvictionPlan plan_choice(const Payload& payload, const Copy& copy, TierIndex target) const;
  bool evict(Slot payload, TierIndex tier, TierIndex target = no_tier);
  bool drop_for_room(Slot payload, std::uint64_t generation);
  std::uint64_t staying_bytes(TierIndex tier) const;
  std::uint64_t needed_bytes(TierIndex tier) const;
  std::uint64_t wanted_bytes(TierIndex tier) const;
  void relieve(TierIndex tier);
  void pause_relief(Tier& tier);
  void resume_relief();
  void note_failed_eviction(TierIndex tier);
  bool leaves_ahead(Slot payload, TierIndex tier, TierIndex chosen = no_tier) const;
  void pump(TierIndex tier);
  void look_again(TierIndex tier);
  void leave_queue(Slot operation);
  void give_back(TierIndex tier, std::uint64_t bytes);
  void fail_tier(TierIndex tier);
  Reason service_obstacle(TierIndex tier) const;
  TierIndex in_service(TierIndex target) const;

  // asking.cpp: policies
  Room ask_for_room(TierIndex tier);
  bool evict_chosen(TierIndex tier, const SpillChoice& choice);
  void make_second_copy(Slot payload);
  void ask_retain(Slot payload);
  void ask_retain_anew(int things_max);
  Candidate candidate_of(Slot payload, const Copy& copy, const Clocks& now) const;
  // Calls visit(payload) until it says false.
  template <typename Visit>
  void visit_victims(TierIndex tier, Visit visit) const;

  // owners.cpp
  void take_owner(Slot payload, const std::string& name);
  void leave_owner(Slot payload);
  void charge_owner(const Payload& payload, TierIndex tier, std::uint64_t bytes);
  void release_owner(const Payload& payload, TierIndex tier, std::uint64_t bytes);

  // copies.cpp: copies, indexes
  Copy* find_copy(Payload& payload, std::uint64_t generation);
  Copy* find_copy_on(Payload& payload, TierIndex tier);
  const Copy* fastest_besides(const Payload& payload, std::uint64_t generation) const;
  const Copy* shown(const Payload& payload) const;
  bool survives_power(TierIndex tier) const;
  void add_copy(Payload& payload, Copy copy);
  void drop_copy(Slot payload, std::uint64_t generation);
  template <typename Visit>
  static void each_copy(const Payload& payload, Visit visit) {
    if (payload.first.generation != 0) visit(payload.first);
    if (payload.more == nullptr) return;
    for (const Copy& copy : *payload.more) visit(copy);
  }
  Object object_of(const Payload& payload, const Copy& copy) const;
  struct Keepers {
    std::uint32_t holds = 0;  // Besides those of the others:
    std::uint16_t checks = 0;
    bool is_held = false;  // Without a command; see Unheld.
  };
  void doom(const Object& object, const Keepers& keepers, std::uint64_t not_before_ns);
  void release_hold(std::uint64_t generation);
  void remove_when_due(Slot doomed);
  void relist(Slot payload);
  void enter_tier_list(Slot payload, TierIndex tier);
  void unlist(Slot payload);
  void leave_tier_list(Slot payload);
  void leave_victims(Slot payload);
  void join_victims(Slot payload);
  std::int64_t due_wall_ns(const Payload& payload) const;
  std::uint64_t give_up_mono_ns(Slot payload) const;
  void give_up(Slot payload);
  void index_due(Slot payload);
  void unindex_due(Slot payload);
  void erase(Slot payload, std::uint64_t not_before_ns, EventKind told = EventKind::deleted);
  View view_of(Slot payload) const;

  // holds.cpp: who reads without a command
  template <typename Visit>
  static void change_copies(Payload& payload, Visit visit) {
    if (payload.first.generation != 0) visit(payload.first);
    if (payload.more == nullptr) return;
    for (Copy& copy : *payload.more) visit(copy);
  }
  void offer(Slot payload, std::uint64_t generation);
  bool has_readers(Slot payload);
  void watch_holds(Slot payload);
  bool close(Copy& copy);
  static bool is_watched(const Payload& payload);

  // sessions.cpp
  Slot take_session(std::uint64_t id);
  void leave_session(Slot session);
  void leave_session_of(Slot payload);
  bool end_some(const EndSession& end, int& things);

  // pins.cpp
  void unpin(Slot payload, Cause cause);
  void index_pin(Slot payload);
  void unindex_pin(Slot payload);

  // events.cpp: what watchers are told
  void tell(EventKind kind, Cause cause, Slot payload, TierIndex from);
  static Cause cause_of(const Operation& operation);
  void tell_end(EventKind kind, Slot payload);
  void tell_refused(Cause cause, Slot payload, TierIndex target, Reason why);
  void refuse_move(const Waiter& waiter, Slot payload, TierIndex target, Reason why);

  // extras.cpp: what only some payloads have
  const Extras* find_extras(Slot payload) const;  // Null: none.
  Extras& extras_for(Slot payload);
  const Additions& additions_of(Slot payload) const;
  Additions& add_to(Slot payload);
  void settle_additions(Slot payload);
  void drop_extras(Slot payload);
  Checksum checksum_of(Slot payload) const;
  void set_checksum(Slot payload, const Checksum& checksum);

  // imports.cpp
  std::uint64_t shorten(Slot payload, std::uint64_t length);

  // lists.cpp
  void join_lists(Slot payload);
  void leave_lists(Slot payload);
  template <typename Visit>
  void visit_by_age(TierIndex tier, std::uint64_t from, bool forward, Visit visit) const;

  // documents.cpp, lineage.cpp: what is said about payloads
  Reason find_described(const Id& id, const Clocks& now, Slot& slot) const;
  void join_record(Slot slot);
  Reason find_family(const Id& child, const LineageEdges& edges, const Clocks& now,
                     std::vector<Slot>& slots, std::size_t& missing) const;
  bool has_new_parents(Slot slot, std::uint64_t since_lsn) const;
  void add_edges(const std::vector<Slot>& slots, const AddLineage& command);

  // operations.cpp: allocate, seal; what operations have in common
  Reason seal_obstacle(Slot payload) const;
  void seal(Slot payload, std::uint64_t length, bool import, const ChecksumDemand& checksum,
            const Waiter& waiter);
  void refuse_seal(const Sealed& report);
  Slot start_operation(Slot payload, Action action, TierIndex tier);
  void end_operation(Slot operation);
  void attach(Slot operation, const Waiter& waiter);
  void run(Slot operation);

  // moves.cpp: promote, spill
  Slot start_move(Slot payload, TierIndex tier, bool downward);
  Reason spill_obstacle(const Payload& payload, TierIndex target) const;
  void promote(Slot payload, const Promote& command, const Waiter& waiter);
  void spill(Slot payload, const Spill& command, const Waiter& waiter);
  void go_down(Slot operation);
  void finish_move(Slot operation, const Moved& report);
  void fail_move(Slot operation, const Moved& report);
  void drop_slower_than(Slot payload, TierIndex tier);
  void drop_faster_than(Slot payload, TierIndex tier);

  // scrub.cpp: copies that are bad
  Copy* find_checked(const Id& id, std::uint64_t generation);
  bool condemn(Slot payload, std::uint64_t generation, Cause cause);
  void found_bad(Slot payload, const Copy& copy, const Waiter& waiter);
  void acquit(Slot payload, Copy& copy);
  void lose(Slot payload);
  void revive(Slot payload);
  void replace(Slot payload, TierIndex tier, const Waiter& waiter);
  void drop_bad_on(Slot payload, TierIndex tier);
  void add_to_check(Slot payload, std::vector<CopyToCheck>& found) const;

  // leases.cpp
  std::uint64_t lease_duration(std::uint64_t asked_ns) const;
  void grant_lease(Slot payload, const Waiter& waiter);
  void end_lease(Slot lease);
  Slot take_holder(const std::string& name);
  void leave_holder(Slot holder);
  LeaseView lease_view(const Lease& lease, TierIndex tier, const Clocks& now) const;
  void readers_left(Slot payload);
  Slot find_live(const Id& id, const Clocks& now) const;
  std::int64_t leases_end_at_ns(const Copy& copy, const Clocks& now) const;  // explain.cpp

  Limits limits_;
  std::vector<Tier> tiers_;
  Slots<Payload> payloads_;
  HashTable<Payload> payload_by_id_{payloads_};
  Slots<Extras> extras_;
  HashTable<Extras> extras_by_payload_{extras_};
  Slots<Lease> leases_;
  HashTable<Lease> lease_by_id_{leases_};
  OrderedIndex lease_by_generation_;
  Slots<Holder> holders_;
  HashTable<Holder> holder_by_name_{holders_};
  OrderedIndex lease_by_holder_;
  Slots<Session> sessions_;
  HashTable<Session> session_by_id_{sessions_};
  OrderedIndex lease_by_session_;
  OrderedIndex allocation_by_session_;                 // Of payloads,
  std::unordered_map<Slot, Slot> allocation_session_;  // and the other way round.
  std::unordered_set<Slot> without_writer_;  // Allocations whose session ended in their commit.
  std::vector<EndSession> ended_sessions_;          // Whose end takes several Ticks.
  Holds* holds_ = nullptr;
  Slots<Doomed> doomed_;
  HashTable<Doomed> doomed_by_generation_{doomed_};
  Slots<Request> requests_;
  HashTable<Request> request_by_id_{requests_};
  Slots<Operation> operations_;
  std::unordered_map<Ticket, Slot> operation_by_ticket_;  // At most waiters_max.

  Slots<Owner> owners_;
  HashTable<Owner> owner_by_name_{owners_};
  // Of allocations that a second copy is made of once they are committed: where.
  struct SecondCopy {
    TierIndex tier = no_tier;
    std::uint16_t rule = 0;
  };
  std::unordered_map<Slot, SecondCopy> copy_to_;

  // Of allocations without a time to live: when they are given up, in monotonic time.
  std::unordered_map<Slot, std::uint64_t> give_up_ns_;

  OrderedIndex lease_due_;      // Monotonic.
  OrderedIndex operation_due_;  // Monotonic.
  OrderedIndex removal_due_;    // Monotonic.
  OrderedIndex give_up_due_;    // Monotonic.
  OrderedIndex payload_due_;    // Wall.
  OrderedIndex request_due_;    // Wall.
  OrderedIndex pin_due_;        // Wall.
  OrderedIndex lost_;           // order -> payload
  LabelIndex labels_;           // Of all that are listed.
  SizeIndex sizes_;             // Of all that are listed.

  std::uint64_t pinned_count_ = 0;
  StreamTable streams_;

  PolicyInUse policy_;
  ScoreIndex scores_;
  ReadClock reads_;
  std::uint64_t question_number_ = 0;
  std::optional<OrderedIndex::Entry> asks_anew_;  // Ends behind it are to be asked about, too.

  std::uint64_t generation_;
  std::uint64_t order_ = 0;
  std::uint64_t lsn_ = restored_lsn;
  std::uint64_t last_erase_lsn_ = 0;  // Who is told that a payload is not there waits for it.
  std::uint64_t lineage_lsn_ = 0;     // Of the last edge,
  std::uint64_t cycle_lsn_ = 0;       // and of the last one added to a payload that had children.
  std::uint64_t queue_number_ = 0;
  std::uint32_t waiting_count_ = 0;
  std::uint32_t uncommitted_count_ = 0;
  bool stopping_ = false;

  std::vector<std::pair<std::uint64_t, Slot>> restored_;  // By order; until end_restore().

  // Of the apply() under way.
  Clocks now_;
  Changes* changes_ = nullptr;
  std::uint16_t rule_ = 0;  // Who wants what is being done.
};

}  // namespace pm::catalog
