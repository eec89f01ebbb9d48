#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "history.h"
#include "ids.h"
#include "slots.h"

namespace pm::catalog {

// A tier's place in the catalog's list; the contract's numbers and names stay outside.
using TierIndex = std::uint8_t;
inline constexpr TierIndex no_tier = 0xff;

inline constexpr std::uint8_t traits_keeps_bytes = 1;
inline constexpr std::uint8_t traits_survives_process = 2;
inline constexpr std::uint8_t traits_survives_power = 4;
inline constexpr std::uint8_t traits_host_addressable = 8;

// What a tier wants to remember about a copy; at most 32 bytes, opaque here.
inline constexpr std::size_t cookie_bytes_max = 32;
struct Cookie {
  std::uint8_t length = 0;
  std::array<std::uint8_t, cookie_bytes_max> bytes{};
};

// The same, at home in a payload's head: what is longer than 15 bytes lives on the heap.
class PackedCookie {
 public:
  PackedCookie() = default;
  explicit PackedCookie(const Cookie& cookie);
  Cookie unpack() const;

 private:
  static constexpr std::size_t inline_bytes = 15;
  std::unique_ptr<Cookie> long_;
  std::uint8_t length_ = 0;
  std::array<std::uint8_t, inline_bytes> bytes_{};
};

// Whether clients may hold a copy without a command.
enum class Publication : std::uint8_t {
  none,
  offered,    // It was asked where it lies.
  published,  // They may.
  watched,    // They do, and somebody waits until they do not; perhaps nobody may begin to.
};

// The bytes of a payload on one tier.
struct Copy {
  std::uint64_t generation = 0;  // Never reused: (epoch << 40) + a count.
  std::uint32_t leases = 0;
  TierIndex tier = no_tier;
  // Its bytes are not what was committed: it is never shown or read again. It stays until a good
  // copy stands on its tier, or its payload goes.
  bool bad : 1 = false;
  Publication publication : 2 = Publication::none;
  std::uint16_t checks = 0;  // Begun and not reported: it is not removed meanwhile.
  PackedCookie cookie;
};

enum class ChecksumKind : std::uint8_t { none = 0, xxh3_128 = 1, sha256 = 2, crc32c = 3 };
inline constexpr std::size_t checksum_bytes_max = 32;
struct Checksum {
  ChecksumKind kind = ChecksumKind::none;
  std::array<std::uint8_t, checksum_bytes_max> bytes{};  // Zeros after its length.

  std::size_t length() const {
    switch (kind) {
      case ChecksumKind::xxh3_128: return 16;
      case ChecksumKind::sha256: return 32;
      case ChecksumKind::crc32c: return 4;
      default: return 0;
    }
  }
  friend bool operator==(const Checksum&, const Checksum&) = default;
};

// As much of it as has its home in a payload's head; the rest of a long one lives in its Extras.
struct ChecksumHead {
  ChecksumKind kind = ChecksumKind::none;
  std::array<std::uint8_t, 16> bytes{};
};
using ChecksumRest = std::array<std::uint8_t, checksum_bytes_max - 16>;

enum class Priority : std::uint8_t { low = 1, normal = 2, high = 3, never = 4 };

// What the owner of a payload asked for.
struct Retention {
  Priority priority = Priority::normal;
  bool no_evict = false;
  bool require_durable = false;
  TierIndex spill_target = no_tier;   // no_tier: where its tier spills to.
  TierIndex min_residency = no_tier;  // The slowest tier it may be moved to.
};

enum class Phase : std::uint8_t {
  allocating,  // The tier has not answered yet; nobody knows the payload.
  allocated,   // Being written.
  committed,
  lost,  // Committed once; no good copy is left. Bad ones are kept until it is deleted.
};

// What is kept of a payload in memory. Every payload's must fit, so every byte counts.
// What a lookup and a list of victims touch stands in front, within half a cache line.
struct Payload {
  Id id;
  Slot hash_next = no_slot;
  Slot victim_before = no_slot;  // See Victims.
  Slot victim_after = no_slot;
  Slot operation = no_slot;  // What is being done with it: one thing at a time.
  std::uint32_t leases = 0;  // On all copies.
  Phase phase = Phase::allocating;
  TierIndex listed = no_tier;  // The tier under which it is listed and counted.
  bool victim = false;         // It is among the victims of that tier.
  Retention retention;
  ChecksumHead checksum;
  bool has_extras = false;   // There is an Extras of this slot.
  bool asks_retain = false;  // Its end is due a while ahead, so that a policy can be asked.
  bool asks_sealed = false;  // Its writer asked for Layout::sealed.
  std::uint64_t size_bytes = 0;
  std::uint64_t revision = 0;
  std::uint64_t lsn = 0;  // Of the last record that it is part of.
  std::int64_t created_at_ns = 0;
  std::int64_t expires_at_ns = 0;  // 0: never.
  std::uint64_t order = 0;         // Counts allocations; what lists are ordered by.
  History history;
  Slot owner = no_slot;                     // Who allocated it; none: it was not said.
  Copy first;                               // Valid when first.generation is not 0.
  std::unique_ptr<std::vector<Copy>> more;  // Further copies, rarely any.

  const Id& key() const { return id; }
};

struct Lease {
  Id id;
  std::uint64_t generation = 0;
  std::uint64_t expires_ns = 0;  // Monotonic.
  Slot payload = no_slot;        // Meaningless once the copy is doomed.
  Slot hash_next = no_slot;
  Slot holder = no_slot;   // Who has it; none: it was not said.
  Slot session = no_slot;  // Whose end is its end.

  const Id& key() const { return id; }
};

// A connection whose end gives back what it holds. There as long as it holds anything.
struct Session {
  std::uint64_t id = 0;
  Slot hash_next = no_slot;
  std::uint32_t things = 0;  // Leases and allocations.

  const std::uint64_t& key() const { return id; }
};

// A name under which leases are held. There as long as it has one.
struct Holder {
  std::string name;
  Slot hash_next = no_slot;
  std::uint32_t leases = 0;

  std::string_view key() const { return name; }
};

// Who allocated payloads, and what they take. There as long as there are any.
struct Owner {
  std::string name;
  Slot hash_next = no_slot;
  std::uint64_t payloads = 0;
  std::vector<std::uint64_t> charged_bytes;  // On each tier, with what is being made there.

  std::string_view key() const { return name; }
};

// A copy that no payload has any more, on its way out: its room is not free yet.
struct Doomed {
  std::uint64_t generation = 0;
  Id payload;
  std::uint64_t length = 0;
  std::uint64_t lsn = 0;            // Only when the record that let it go is durable,
  std::uint32_t holds = 0;          // nobody reads it any more,
  std::uint64_t not_before_ns = 0;  // and no lease of an earlier life can run (monotonic).
  std::uint32_t failures = 0;
  std::uint16_t checks = 0;  // Of the holds.
  TierIndex tier = no_tier;
  bool removing = false;
  bool is_held = false;  // One of the holds is for those without a command.
  Cookie cookie;
  Slot hash_next = no_slot;

  const std::uint64_t& key() const { return generation; }
};

}  // namespace pm::catalog
