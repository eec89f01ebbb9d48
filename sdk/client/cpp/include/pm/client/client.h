#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pm/cpp/result.hpp"

// The client of Payload Manager: asks the host where bytes live, maps them, and hands them out as
// spans. Bytes never pass through the connection.
//
// Errors are values; no exception leaves. A Status carries the server's code, its words, and the
// reason of its google.rpc.ErrorInfo ("TIER_FULL"). Reasons that this library gives itself:
//   BAD_DESCRIPTOR   the server's answer contradicts itself or points where it must not (INTERNAL)
//   TRUNCATED        the mapped object is shorter than the server says (DATA_LOSS)
//   NOT_REACHABLE    the bytes are not on this machine, or not for this user
//   NOT_MAPPABLE     the payload's tier has no memory or file to map (UNIMPLEMENTED)
//   FORKED           the Client was made by the parent of this process (FAILED_PRECONDITION)
//   BAD_FRAME        what answers at a local socket does not keep to its protocol (UNAVAILABLE)
//   VERSION_MISMATCH it speaks another version of it (FAILED_PRECONDITION)
//
// A Client may be used from any number of threads at once. A WritablePayload or ReadLease belongs
// to one thread at a time; both keep the connection alive, also after their Client is gone.
//
// After fork(2) they belong to the parent. The child has the mappings, too: it may read and write
// through spans that it got before, under the same rules as the parent (a lease's bytes stay as
// long as the lease runs, whoever of the two is alive; nothing is written after the commit). All
// that it calls on them is refused as FORKED, and dropping them there unmaps the bytes and ends
// neither lease nor allocation. gRPC does not outlive fork(2): a child that wants a Client of its
// own must call exec(2) first; others should leave by _exit(2).
//
// On a local socket ("local:/path", see Client::connect) the connection is a session: when the
// Client and all that it handed out are gone, or the process has ended, the host takes back at once
// what is left, leases and uncommitted allocations, also under a child that it forked. A connection
// that breaks ends its session, too. The next call makes a new one; leases and allocations of the
// old one are void, and their bytes are to be read no more: a host that died and has started again
// leaves them alone for its recovery.quarantine_ms.

namespace pm::client {

namespace detail {
// Accepts 36 characters, 8-4-4-4-12 hexadecimal digits of either case.
Result<std::array<std::uint8_t, 16>> parse_uuid(std::string_view text);
std::string format_uuid(const std::array<std::uint8_t, 16>& bytes);
class Connection;
class DirectoryReader;
struct SlabInfo;
}  // namespace detail

// Sixteen bytes; as text a UUID in lower case (RFC 4122).
template <typename Kind>
struct Id {
  std::array<std::uint8_t, 16> bytes{};

  static Result<Id> parse(std::string_view text) {
    auto parsed = detail::parse_uuid(text);
    if (!parsed) return parsed.status();
    return Id{*parsed};
  }
  std::string to_string() const { return detail::format_uuid(bytes); }
  friend auto operator<=>(const Id&, const Id&) = default;
};
using PayloadId = Id<struct PayloadKind>;
using LeaseId = Id<struct LeaseKind>;

using WallTime = std::chrono::system_clock::time_point;

// Numbers of the contract. Tiers without a name here have numbers from 100 up; cast them.
enum class Tier : std::uint32_t {
  unspecified = 0,
  gpu = 1,
  ram = 2,
  disk = 3,
  object = 4,
  void_tier = 5,
};
// "ram"; "tier-100" for a number without a name.
std::string tier_name(Tier tier);
// The inverse of tier_name. INVALID_ARGUMENT says what is allowed.
Result<Tier> parse_tier(std::string_view text);

enum class State : std::uint32_t {
  unspecified = 0,
  allocated = 1,  // Being written; nobody may read it.
  active = 2,     // Committed; the copy shown would not survive loss of power.
  spilling = 3,   // Committed and on its way to a slower tier.
  durable = 4,    // Committed; the copy shown survives loss of power.
  evicting = 5,
  deleting = 6,
  expired = 7,
  deleted = 8,
  lost = 100,  // No copy survived.
};
// "active"; "state-9" for a number without a name.
std::string state_name(State state);

enum class EvictionPriority : std::uint32_t {
  unspecified = 0,
  low = 1,
  normal = 2,
  high = 3,
  never = 4
};

struct EvictionPolicy {
  EvictionPriority priority = EvictionPriority::unspecified;
  bool require_durable = false;
  Tier spill_target = Tier::unspecified;
  Tier min_residency_tier = Tier::unspecified;
};

enum class LocationKind : std::uint32_t { none, memory, file, device, generic };

// Where bytes lie. Fields that the kind does not use are 0 or empty.
struct Location {
  LocationKind kind = LocationKind::none;
  // memory: a name for shm_open(3), of a segment with one payload or of a slab with many.
  // file: an absolute path. generic: a URI.
  std::string name;
  std::uint64_t offset_bytes = 0;   // Of the payload in what `name` or `handle` names.
  std::uint64_t length_bytes = 0;   // Of the payload.
  std::uint64_t mapping_bytes = 0;  // memory: of the whole object; 0: the server does not say.
  std::uint64_t block_index = 0;    // memory
  std::uint32_t slab = 0;           // memory
  std::uint32_t device = 0;         // device
  std::string handle;               // device: CUDA IPC handle; generic: opaque bytes.
};

enum class ChecksumAlgorithm : std::uint32_t { none = 0, xxh3_128 = 1, sha256 = 2, crc32c = 3 };
struct Checksum {
  ChecksumAlgorithm algorithm = ChecksumAlgorithm::none;
  std::string value{};  // The bytes; empty: to be computed.
};

// Where a payload is. Promises nothing without a lease.
struct Descriptor {
  PayloadId id;
  Tier tier = Tier::unspecified;
  State state = State::unspecified;
  std::uint64_t version = 0;     // Grows with each change of place or state.
  std::uint64_t size_bytes = 0;  // Of the payload.
  Location location;
  std::optional<WallTime> created_at;
  std::optional<WallTime> expires_at;  // Absent: never.
  Checksum checksum{};                 // none: the server knows of none.
};

// How bytes lie in memory: each payload in a named object of its own, many in one that is mapped
// once, or each in an object without a name, which nobody can change any more once it is committed.
// `sealed` needs a connection to the host's local socket, and ends with the host. A commit of it is
// FAILED_PRECONDITION (WRITER_NOT_DONE) while a process maps it for writing, such as a child that
// was forked after create(); it can be tried again.
enum class Layout : std::uint32_t { segment = 1, slab = 2, sealed = 3 };
enum class PromotionPolicy : std::uint32_t { best_effort = 1, blocking = 2 };

// Members of options have `{}`, so that designated initializers may leave them out without a
// warning.
struct CreateOptions {
  Tier tier = Tier::ram;
  std::uint64_t ttl_ms = 0;  // From now; 0: none.
  bool no_evict = false;
  EvictionPolicy eviction{};
  Layout layout = Layout::segment;  // Only memory has layouts.
  std::string request_id{};         // Makes a repeat safe for 60 minutes; empty: none.
  std::vector<std::pair<std::string, std::string>> labels{};

  // For writers of many payloads of one size: commit() also asks for the next one, and the next
  // create() with this size and these options takes it without a call, so a put is one call. The
  // host grants it only when there is room at that moment; nothing leaves for it, and commit()
  // fails no sooner. What was granted takes room and counts its ttl_ms from then on. It is used
  // within a second or deleted: by the next create() with `ahead`, or when the Client and all that
  // it handed out are gone; on a local socket it ends with its session. Of a client that was killed
  // the host's limit for uncommitted payloads deletes it. A Client holds up to 8. With a request_id
  // it is without effect.
  bool ahead = false;
};

struct LeaseOptions {
  Tier min_tier = Tier::unspecified;  // At least as fast as this; unspecified: wherever it is.
  PromotionPolicy policy = PromotionPolicy::blocking;
  std::uint64_t duration_ms = 0;  // 0: the server's default. More than its maximum: its maximum.
  // The part that will be read: the location that lease() gives is of that part. Without effect on
  // open(), which maps the whole payload.
  std::uint64_t range_offset_bytes = 0;
  std::uint64_t range_length_bytes = 0;  // 0: up to the end.
  std::string holder{};                  // Who reads, at most 128 bytes; for lists of leases.

  // open() reads all bytes and holds them against the payload's checksum, where it has one. When
  // they are not right the host is told, and another copy is opened; without one it is DATA_LOSS.
  // Without effect on lease(), which does not see bytes.
  bool verify = false;
};

struct PromoteOptions {
  PromotionPolicy policy = PromotionPolicy::blocking;
  bool drop_source = false;  // Gives up the copy below, also a durable one.
  Layout layout = Layout::segment;
  std::string request_id{};
};

struct SpillOptions {
  Tier to = Tier::unspecified;  // Unspecified: the payload's own spill target, else disk.
  bool wait_for_leases = false;
  bool best_effort = false;  // Only starts it; the outcome says that it was accepted.
  std::string request_id{};
};

struct SpillOutcome {
  PayloadId id;
  Status status;
  std::optional<Descriptor> descriptor;  // Absent: failed, gone to the void, or only accepted.
};

struct Lease {
  LeaseId id;
  Descriptor descriptor;
  std::optional<WallTime> expires_at;
  std::uint64_t duration_ms = 0;  // As granted; 0: the server does not say.
};

struct Summary {
  PayloadId id;
  Tier tier = Tier::unspecified;
  State state = State::unspecified;
  std::uint64_t size_bytes = 0;
  std::optional<WallTime> created_at;
  std::optional<WallTime> expires_at;
  std::uint32_t active_leases = 0;
  std::uint64_t version = 0;
  std::vector<std::pair<std::string, std::string>> labels{};
  bool pinned = false;
};

struct ListOptions {
  Tier tier = Tier::unspecified;  // Unspecified: all.
  std::int32_t page_size = 0;     // 0: the server's default.
  std::string page_token{};       // Of the page before; empty: the first page.
  std::string filter{};           // See ListPayloadsRequest.
  std::string order_by{};         // "age", "age desc", "size_bytes", "size_bytes desc".
};
struct Page {
  std::vector<Summary> payloads;  // Newest first.
  std::string next_page_token;    // Empty: this was the last page.
  std::int32_t total_count = 0;
};

struct TierStats {
  std::string name;
  Tier number = Tier::unspecified;
  std::uint64_t bytes_charged = 0;
  std::uint64_t bytes_capacity = 0;  // UINT64_MAX: unbounded.
  std::uint64_t copies = 0;
  std::string health;
};
struct TierCount {
  std::uint64_t payloads = 0;
  std::uint64_t bytes = 0;
};
// Payloads are counted once, by the copy that their descriptor shows.
struct Stats {
  TierCount gpu, ram, disk, object, other;
  std::uint64_t payloads_lost = 0;
  std::uint64_t leases_active = 0;
  std::vector<TierStats> tiers;
  // Rules of policies, how often they failed, and which are not asked any more for that.
  std::uint64_t policy_rules = 0;
  std::uint64_t policy_failures = 0;
  std::vector<std::string> policy_suspended;  // "spill lru (lru.lua:12)"
};

struct ConnectOptions {
  std::uint64_t deadline_ms = 30'000;  // Of each call; 0: none.
  // How long each call looks for its answer before its thread goes to sleep; 0: not at all, more
  // than 1000: 1000. Takes a processor that nobody else wants meanwhile, and saves its waking up:
  // some tens of microseconds for each call.
  std::uint32_t spin_us = 0;
  // PEM files. TLS is used when any is set; without a CA file the system's authorities count. A
  // certificate and its key identify the client.
  std::string tls_ca_file{};
  std::string tls_certificate_file{};
  std::string tls_key_file{};
  // On a local socket, where the host trusts this user: open() leases what lies in shared slabs by
  // a note in memory that the host watches, without a call. False: always by a call.
  bool direct = true;
};

namespace detail {
// What a lease without a call holds.
struct Hold {
  DirectoryReader* reader = nullptr;  // Null: nothing. Lives as long as its Connection.
  const std::byte* bytes = nullptr;
  std::uint64_t length_bytes = 0;
  std::uint64_t offset_bytes = 0;  // In the slab.
  std::uint64_t version = 0;
  PayloadId id;
  std::uint32_t entry = 0;
  std::uint32_t slot = 0;
  const SlabInfo* slab = nullptr;  // As the reader.
  std::uint32_t tier = 0;
};
}  // namespace detail

// An allocation that nobody can read yet, mapped for writing. Unless commit() succeeds, dropping
// it deletes the allocation.
class WritablePayload {
 public:
  WritablePayload(WritablePayload&&) noexcept;
  WritablePayload& operator=(WritablePayload&&) noexcept;
  ~WritablePayload();

  const Descriptor& descriptor() const noexcept;
  const PayloadId& id() const noexcept { return descriptor().id; }

  // Exactly the size asked for. Empty once commit() or discard() was called.
  std::span<std::byte> bytes() noexcept;

  // Unmaps the bytes and publishes them; from then on they never change. After a failure it may
  // be called again. When the answer was lost (UNAVAILABLE, DEADLINE_EXCEEDED), a repeat is safe
  // if both calls gave the same request_id; without one it may say FAILED_PRECONDITION although
  // the payload is committed.
  Result<Descriptor> commit(std::string_view request_id = {}) noexcept;

  // Deletes the allocation now, and says whether that worked.
  Status discard() noexcept;

 private:
  friend class Client;
  struct Parts;
  explicit WritablePayload(std::unique_ptr<Parts> parts) noexcept;
  std::unique_ptr<Parts> parts_;
};

// A payload held in place and mapped for reading. Dropping it ends the lease.
//
// A lease without a call (is_direct) has an id of zeros and does not expire: it runs until it is
// released or its session ends. Its descriptor says id, size, tier, version and place; the state
// is active, and what is not listed here is absent.
class ReadLease {
 public:
  ReadLease(ReadLease&&) noexcept;
  ReadLease& operator=(ReadLease&&) noexcept;
  ~ReadLease();

  const Lease& lease() const noexcept;
  const Descriptor& descriptor() const noexcept { return lease().descriptor; }

  // Whether it was had without a call.
  bool is_direct() const noexcept { return hold_.reader != nullptr; }

  // The payload's bytes: valid until release(), and meaningful until the lease expires (a block
  // of a slab may then be used again). Empty after release().
  std::span<const std::byte> bytes() const noexcept;

  // Unmaps the bytes and ends the lease. OK when it had ended already.
  Status release() noexcept;

 private:
  friend class Client;
  struct Parts;
  explicit ReadLease(std::unique_ptr<Parts> parts) noexcept;
  ReadLease(std::shared_ptr<detail::Connection> connection, const detail::Hold& hold) noexcept;
  Status release_hold() noexcept;
  std::shared_ptr<detail::Connection> connection_;  // Of a direct one.
  detail::Hold hold_;
  // Owned. Of a direct one: made when somebody asks for lease(), by whoever is the first.
  mutable std::atomic<Parts*> parts_{nullptr};
};

class Client {
 public:
  // `address`: "local:/path/to.sock", the socket of a local frontend on this machine; or, for gRPC,
  // "unix:/path/to.sock" or "host:port". Empty: $PM_ADDRESS, or else
  // payload-manager/payload-manager.sock below $XDG_RUNTIME_DIR where there is one, or else below
  // /run, by gRPC. Checks the options and reads the TLS files;
  // the connection itself is made by the first call, and again after it broke.
  static Result<Client> connect(std::string address = {}, ConnectOptions options = {}) noexcept;

  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;
  ~Client();

  // The address in use.
  const std::string& address() const noexcept;

  // Allocates `size_bytes` and maps them for writing. A tier without memory or files to map is
  // UNIMPLEMENTED, and the allocation is given back.
  Result<WritablePayload> create(std::uint64_t size_bytes, CreateOptions options = {}) noexcept;

  // Leases a payload and maps it for reading. With options.verify it takes as long as the hash.
  Result<ReadLease> open(const PayloadId& id, const LeaseOptions& options = {}) noexcept;

  // The same two without mapping: the caller goes to the descriptor's location itself.
  Result<Descriptor> allocate(std::uint64_t size_bytes, const CreateOptions& options = {}) noexcept;
  // With a checksum: computed by the host, or held against the value given (DATA_LOSS).
  Result<Descriptor> commit(const PayloadId& id, std::string_view request_id = {},
                            const Checksum& checksum = {}) noexcept;
  Result<Lease> lease(const PayloadId& id, const LeaseOptions& options = {}) noexcept;
  Status release(const LeaseId& id) noexcept;

  // Where a payload is at this moment.
  Result<Descriptor> resolve(const PayloadId& id) noexcept;

  // ABORTED while it is leased, unless forced.
  Status erase(const PayloadId& id, bool force = false, std::string_view request_id = {}) noexcept;

  Result<Descriptor> promote(const PayloadId& id, Tier to,
                             const PromoteOptions& options = {}) noexcept;

  // One outcome for each id, in their order.
  Result<std::vector<SpillOutcome>> spill(std::span<const PayloadId> ids,
                                          const SpillOptions& options = {}) noexcept;

  Result<Page> list(const ListOptions& options = {}) noexcept;

  // Every payload from options.page_token on, page by page, until `visit` returns false. What it
  // throws ends the walk with INTERNAL.
  Status list_each(ListOptions options, const std::function<bool(const Summary&)>& visit) noexcept;

  Result<Stats> stats() noexcept;

  // Any method of the contract, for what has no function here: `method` is its full name,
  // "/payload.manager.services.v1.PayloadStreamService/Append", request and reply are its messages,
  // serialized.
  Result<std::string> call(const std::string& method, const std::string& request) noexcept;

  // The same of a method that streams: `visit` gets each reply until it returns false, which ends
  // the call with OK. Has no deadline.
  Status stream(const std::string& method, const std::string& request,
                const std::function<bool(const std::string&)>& visit) noexcept;

 private:
  explicit Client(std::shared_ptr<detail::Connection> connection) noexcept;
  Result<ReadLease> open_once(const PayloadId& id, const LeaseOptions& options);
  Result<ReadLease> open_verified(const PayloadId& id, const LeaseOptions& options);
  static Status verify(const Result<ReadLease>& held);
  std::shared_ptr<detail::Connection> connection_;
};

}  // namespace pm::client
