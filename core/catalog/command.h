#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "asking.h"
#include "copy_check.h"
#include "documents.h"
#include "event.h"
#include "extras.h"
#include "health.h"
#include "holds.h"
#include "object.h"
#include "payload.h"
#include "reason.h"
#include "reply.h"
#include "stream.h"

// Everything that goes into the catalog and comes out of it. Plain data.

namespace pm::catalog {

// Both clocks at the time of a command. Leases and waits count monotonic time; time to live and
// creation are wall time.
struct Clocks {
  std::uint64_t mono_ns = 0;
  std::int64_t wall_ns = 0;
};

// Makes a repeat safe. `key` stands for (principal, request id), `digest` for the whole request.
struct RequestKey {
  bool given = false;
  Id key;
  std::uint64_t digest = 0;
};

// How a client wants its memory laid out.
enum class Layout : std::uint8_t { segment = 0, slab = 1, sealed = 2 };

// ---- commands of clients ----

struct Allocate {
  Ticket ticket = 0;
  RequestKey request;
  Id id;
  std::uint64_t size_bytes = 0;
  TierIndex tier = no_tier;
  std::uint64_t ttl_ns = 0;
  Retention retention;
  Layout layout = Layout::segment;
  std::uint32_t owner_uid = 0;
  std::uint64_t deadline_ns = 0;         // Monotonic; until then it waits for room. 0: the default.
  bool only_if_free = false;             // Refused unless there is room now; nothing leaves for it.
  std::shared_ptr<const Labels> labels;  // Null: none.
  std::string owner;                     // Whose it is; empty: it is not said.
  std::uint64_t session = 0;             // Ends it with itself; 0: none.
  TierIndex copy_to = no_tier;           // Where a second copy is made once it is committed.
  std::uint16_t rule = 0;                // Who chose the tier; see Event.
};

// The checksum that a client wants to be kept: with a value the bytes must have it, else it is
// computed. Of kind none: none.
struct ChecksumDemand {
  Checksum checksum{};
  bool has_value = false;
};

struct Commit {
  Ticket ticket = 0;
  RequestKey request;
  Id id;
  ChecksumDemand checksum{};
};

// Commits what a client uploaded from outside.
struct Import {
  Ticket ticket = 0;
  RequestKey request;
  Id id;
  std::uint64_t size_bytes = 0;  // What was uploaded; 0: what was allocated.
  ChecksumDemand checksum{};
};

struct Delete {
  Ticket ticket = 0;
  RequestKey request;
  Id id;
  bool force = false;
  bool only_uncommitted = false;  // Gives up an allocation, and nothing else.
};

// A pinned payload leaves its tier neither for room nor by Spill.
struct Pin {
  Ticket ticket = 0;
  RequestKey request;
  Id id;
  std::uint64_t duration_ns = 0;  // 0: until it is unpinned.
};

// Done also when the payload is not pinned, or unknown.
struct Unpin {
  Ticket ticket = 0;
  RequestKey request;
  Id id;
};

struct Promote {
  Ticket ticket = 0;
  RequestKey request;
  Id id;
  TierIndex tier = no_tier;
  bool best_effort = false;
  bool drop_source = false;
  bool only_up = false;    // Done when it is as fast already; nothing is moved down.
  std::uint16_t rule = 0;  // Who decided it; see Event.
  Layout layout = Layout::segment;
  std::uint32_t owner_uid = 0;
  std::uint64_t deadline_ns = 0;
};

struct Spill {
  Ticket ticket = 0;
  RequestKey request;
  Id id;
  TierIndex tier = no_tier;  // no_tier: the payload's own target, else its tier's.
  bool best_effort = false;
  bool wait_for_leases = false;
  std::uint64_t deadline_ns = 0;
};

struct AcquireLease {
  Ticket ticket = 0;
  RequestKey request;
  Id id;
  Id lease;
  TierIndex min_tier = no_tier;
  bool best_effort = false;
  std::uint64_t duration_ns = 0;  // 0: the default.
  std::uint64_t range_offset_bytes = 0;
  std::uint64_t range_length_bytes = 0;  // 0: up to the end.
  std::string holder;                    // Empty: it is not said.
  std::uint64_t session = 0;             // Ends it with itself; 0: none.
  Layout layout = Layout::segment;
  std::uint32_t owner_uid = 0;
  std::uint64_t deadline_ns = 0;
};

// Lets a lease end later, never earlier.
struct RenewLease {
  Ticket ticket = 0;
  Id lease;
  std::uint64_t duration_ns = 0;  // From now; 0: the default.
};

struct ReleaseLease {
  Ticket ticket = 0;
  Id lease;
};

struct UpdateLabels {
  Ticket ticket = 0;
  RequestKey request;
  Id id;
  Labels set;                       // At most labels_max.
  std::vector<std::string> remove;  // Sorted keys, none of them in `set`.
};

// Somebody wants lists in the order of size: makes the index for at most 256 payloads more, until
// Catalog::is_sorted_by_size().
struct IndexSizes {};

// `metadata` stands then, whole. `is_derived`: it was made from what stood at `seen_lsn`, and is
// refused when that has changed.
struct UpdateMetadata {
  Ticket ticket = 0;
  RequestKey request;
  Id id;
  std::shared_ptr<const Metadata> metadata;
  bool is_derived = false;
  std::uint64_t seen_lsn = 0;
};

struct AppendMetadataEvent {
  Ticket ticket = 0;
  RequestKey request;
  Id id;
  std::shared_ptr<const MetadataEvent> event;
};

// Adds edges, each once. What the caller had to look up (LineageNeeds) stood at `seen_lsn`, and is
// refused when it may have changed. A refusal's first_number says which payload it is about: 0 the
// child, else the parent of that edge, counted from 1.
struct AddLineage {
  Ticket ticket = 0;
  RequestKey request;
  Id child;
  std::shared_ptr<const LineageEdges> edges;  // At most lineage_edges_max.
  bool knows_edges = false;                   // None of them is there already.
  bool knows_no_cycle = false;
  std::uint64_t seen_lsn = 0;
};

// The caller of `ticket` no longer wants its answer; it gets request_cancelled if it still waits.
struct Cancel {
  Ticket ticket = 0;
};

struct CreateStream {
  Ticket ticket = 0;
  RequestKey request;
  StreamName name;
  std::uint64_t entries_max = 0;  // 0: no limit; also of the age.
  std::uint64_t age_max_s = 0;
};

struct DeleteStream {
  Ticket ticket = 0;
  RequestKey request;
  StreamName name;
};

struct AppendToStream {
  Ticket ticket = 0;
  RequestKey request;
  StreamName name;
  std::shared_ptr<const StreamItems> items;  // At least one.
};

struct CommitOffset {
  Ticket ticket = 0;
  RequestKey request;
  StreamName name;
  std::string group;
  std::uint64_t offset = 0;
  bool allow_rewind = false;
};

// ---- reports from outside ----

struct Allocated {
  Slot operation = no_slot;
  Outcome outcome;
  Cookie cookie;
  bool object_remains = false;  // It failed, and what it made or may make yet is to be removed.
};

struct Sealed {
  Slot operation = no_slot;
  Outcome outcome;
  std::uint64_t length = 0;       // What the object has from now on; 0: what it had.
  Checksum checksum{};            // As demanded.
  bool checksum_differs = false;  // From the demanded one; nothing was sealed.
  bool is_whole = false;          // It failed, but not for want of the length allocated.
};

// A copy was made, or not.
struct Moved {
  Slot operation = no_slot;
  Outcome outcome;
  Cookie cookie;
  Checksum checksum;
  bool source_is_bad = false;   // The source's bytes do not have their checksum, or are gone.
  bool target_remains = false;  // It was not made, and what there is of it could not be removed.
};

struct Removed {
  std::uint64_t generation = 0;
  Outcome outcome;
};

// A tier holds an object that nobody here may know: what a crash left behind.
struct Found {
  Object object;
};

// At a start: a copy that the records name is not there, or cannot be right.
struct CopyGone {
  Id id;
  std::uint64_t generation = 0;
};

// At a start: what medium a durable tier stands on, and that it is trusted.
struct Mounted {
  TierIndex tier = no_tier;
  std::string medium;
};

// A session has ended, and every call of it before: what it holds is given back. A writer that is
// alive may write on: the room of what it did not commit is kept for the grace of orphans then.
struct EndSession {
  std::uint64_t session = 0;
  bool writer_lives = false;
};

// Where a copy lies that clients on this machine may hold without a command; see PublishEffect.
struct Publish {
  HeldPlace place;
};

// Nobody holds a copy any more that Holds::watch() or, with `closed`, Holds::close() was told of.
struct Unheld {
  Id payload;
  std::uint64_t generation = 0;
  bool closed = false;
};

// Payloads that were held lately: a hint for evictions. At most 256.
struct NoteReads {
  std::vector<Id> payloads;
};

// Time has passed: leases, waits and lives end. Does at most 256 things; Changes::more tells.
struct Tick {};

// The host stops: everyone who waits is answered.
struct Shutdown {};

using Command =
    std::variant<Allocate, Commit, Delete, Pin, Unpin, Promote, Spill, AcquireLease, RenewLease,
                 ReleaseLease, UpdateLabels, Cancel, Allocated, Sealed, Moved, Removed, Found,
                 CopyGone, Mounted, IndexSizes, Tick, Shutdown, Import, CreateStream, DeleteStream,
                 AppendToStream, CommitOffset, UpdateMetadata, AppendMetadataEvent, AddLineage,
                 CheckCopy, CopyChecked, TierHealth, PolicyInUse, Evict, Retain, EndSession,
                 Publish, Unheld, NoteReads>;

// What earlier lives left is durable: it has this LSN, and new records have higher ones.
inline constexpr std::uint64_t restored_lsn = 1;

// ---- records: what the repository keeps ----

struct CopyRecord {
  TierIndex tier = no_tier;
  std::uint64_t generation = 0;
  bool bad = false;
  Cookie cookie;
};

struct PayloadRecord {
  Id id;
  bool erased = false;  // Only `id` counts, and what `additions` say is in the repository goes too.
  bool lost = false;
  std::uint64_t size_bytes = 0;
  std::uint64_t revision = 0;
  std::int64_t created_at_ns = 0;
  std::int64_t expires_at_ns = 0;
  std::uint64_t order = 0;
  Checksum checksum;
  Retention retention;
  std::vector<CopyRecord> copies;  // The good ones first; of a lost payload, none is good.
  Additions additions;
  std::string owner;
};

// What a request was answered, so that its repeat is answered the same.
struct RequestRecord {
  Id key;
  bool erased = false;  // Only `key` counts.
  std::uint64_t digest = 0;
  std::int64_t answered_at_ns = 0;
  Reply reply;
};

struct TierRecord {
  TierIndex tier = no_tier;
  bool failed = false;
  std::string medium;  // The fingerprint of a durable tier's medium; empty: not known.
};

using Record = std::variant<PayloadRecord, RequestRecord, TierRecord, StreamRecord, StreamEntries,
                            StreamSweepRecord, ConsumerGroupRecord, MetadataRecord,
                            MetadataEventRecord, LineageRecord>;

// ---- effects: what somebody must do, and report ----

struct AllocateEffect {
  Slot operation = no_slot;
  Object object;
  Layout layout = Layout::segment;
  std::uint32_t owner_uid = 0;
};

// What was uploaded is there in `length` bytes, which may be less than the object's; else
// PM_FAILED_PRECONDITION. A checksum is verified before anything is sealed, or computed after it.
struct SealEffect {
  Slot operation = no_slot;
  Object object;
  std::uint64_t length = 0;
  bool uploaded = false;  // By a client, from outside.
  ChecksumDemand checksum{};
  Layout layout = Layout::segment;  // As it was asked for.
};

// Allocate the target, copy, checksum on the way, seal. The checksum given is verified.
struct MoveEffect {
  Slot operation = no_slot;
  Object source;
  Object target;
  Checksum checksum;
  Layout layout = Layout::segment;
  std::uint32_t owner_uid = 0;
};

// Destroys: only after `lsn` is durable.
struct RemoveEffect {
  Object object;
  std::uint64_t lsn = 0;
};

// Asks where a copy lies; the answer is a Publish, or nothing. After `lsn` is durable, so that
// nobody reads what may yet be undone.
struct PublishEffect {
  Object object;
  std::uint64_t lsn = 0;
};

using Effect = std::variant<AllocateEffect, SealEffect, MoveEffect, RemoveEffect, PublishEffect>;

using Question = std::variant<SpillWanted, RetainWanted>;

// What one command came to. Cleared and used again by its owner.
struct Changes {
  std::vector<Reply> replies;
  std::vector<Record> records;  // One atomic group, under `lsn`.
  std::vector<Effect> effects;
  std::vector<StreamNotice> stream_notices;
  std::vector<Question> questions;  // For policies.
  std::vector<Event> events;        // In the order in which they happened.
  std::uint64_t lsn = 0;            // 0 when there are no records.
  bool power = false;  // The group must survive loss of power, else only of the process.
  bool more = false;   // A Tick left something for the next one.

  void clear() {
    replies.clear();
    records.clear();
    effects.clear();
    stream_notices.clear();
    questions.clear();
    events.clear();
    lsn = 0;
    power = false;
    more = false;
  }
};

}  // namespace pm::catalog
