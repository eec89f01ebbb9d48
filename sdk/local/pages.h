#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>

// Leases without a call: memory that the host and its trusted local clients share.
//
// The *directory* is written by the host only; clients have it read-only. It says where payloads
// are that lie in slabs. Each session has a *page* that only it and the host map; in it the client
// notes which entries of the directory it holds. docs/LOCAL.md proves the protocol below, and
// tests/model/ checks it with spin.
//
// To hold a payload, a client
//   1. finds an entry with its id (a hint only: everything may change while it looks);
//   2. stores the entry's number + 1 into a free slot of its page;
//   3. fences (seq_cst);
//   4. loads the entry's word (acquire). Not open: it clears the slot and asks by a call;
//   5. compares the id. Another one: it clears the slot and looks on.
// From 4 until the slot is cleared the entry does not change, and the bytes that it names stay.
// To let go it stores 0 into the slot (release), fences (seq_cst), and then, if the entry's word
// says `is_wanted`, sends a `released` frame. By the fence, a host that still finds the slot taken
// has stored the word early enough to be told.
//
// To move or delete the bytes, the host
//   1. stores a word without `is_open` (and with is_wanted, when somebody will wait);
//   2. fences (seq_cst);
//   3. looks at every slot of every session (acquire). Nobody names the entry: the bytes are free,
//      and the entry may be used for another payload. Somebody does: it opens the entry again, or
//      looks again later.
// By the two fences, at least one of both sees what the other one stored. A number in a slot that
// was never held properly (a client between its steps 2 and 4, or a hostile one) keeps the entry as
// if it were held, so no version is needed, and no old value can be mistaken for a new one.
//
// All is in the machine's byte order. Whatever a client can write is a claim to the host: checked,
// bounded, never followed.

namespace pm::local {

constexpr std::uint64_t directory_magic = 0x31524944'4c4d5000;
constexpr std::uint32_t pages_version = 1;
constexpr std::size_t slabs_max = 8;

// Where a slab is. Written before the first entry that names it is opened, then constant.
struct SlabPlace {
  char name[52];                // For shm_open(3), NUL-terminated.
  std::uint32_t number;         // Of the tier, as its descriptors say it; never 0.
  std::uint64_t mapping_bytes;  // The length of the whole object.
};

// At the directory's begin; constant, except for the slabs.
struct DirectoryHeader {
  std::uint64_t magic;
  std::uint32_t version;
  std::uint32_t entries;  // How many there are room for.
  std::uint32_t buckets;  // A power of two.
  std::uint32_t reserved;
  std::uint64_t buckets_offset;  // Of std::atomic<std::uint32_t>[buckets].
  std::uint64_t entries_offset;  // Of Entry[entries].
  std::uint64_t bytes;           // Of the whole.
  std::uint64_t reserved_more[2];
  SlabPlace slabs[slabs_max];
};
static_assert(sizeof(DirectoryHeader) == 64 + slabs_max * 64);

enum EntryFlag : std::uint32_t {
  entry_is_open = 1,    // It may be held.
  entry_is_wanted = 2,  // Who lets go of it says so with a `released` frame.
};

struct alignas(64) Entry {
  std::atomic<std::uint32_t> word;        // Of EntryFlag.
  std::atomic<std::uint32_t> next;        // In its bucket: the number of the next entry + 1, or 0.
  std::atomic<std::uint64_t> id[2];       // The payload's sixteen bytes.
  std::atomic<std::uint64_t> offset;      // Of the payload's bytes in the slab's object.
  std::atomic<std::uint64_t> length;      // Of the payload.
  std::atomic<std::uint64_t> revision;    // The contract's `version`.
  std::atomic<std::uint32_t> slab;        // Its place in DirectoryHeader::slabs.
  std::atomic<std::uint32_t> tier;        // The contract's number.
  std::atomic<std::uint64_t> generation;  // Of the copy.
};
static_assert(sizeof(Entry) == 64 && std::atomic<std::uint64_t>::is_always_lock_free);

// The bucket of an id: ids are random, so its first bytes do.
constexpr std::uint32_t bucket_of(std::uint64_t id_first, std::uint32_t buckets) {
  return static_cast<std::uint32_t>(id_first) & (buckets - 1);
}
// Who has followed so many entries of a chain has met one that changed; it asks by a call.
constexpr std::uint32_t chain_max = 64;

constexpr std::uint32_t slots_max = 1023;
constexpr std::uint32_t reads_max = 3070;
struct alignas(4096) SessionPage {
  std::atomic<std::uint32_t> used;  // Slots from here on have never been used. Only grows.
  std::atomic<std::uint32_t> slots[slots_max];  // Number of an entry + 1; 0: free.
  std::atomic<std::uint32_t> has_reads;  // Set by the client behind a note, cleared by the host.
  // Entries that were held lately (number + 1), anywhere in it: the client overwrites, the host
  // takes what it finds and leaves 0. What is lost was a hint for evictions, nothing more.
  std::atomic<std::uint32_t> reads[reads_max];
  // Not 0: the host has ended the session and looks at the page no more. The client asks after its
  // step 4, so that it holds nothing new that nobody sees.
  std::atomic<std::uint32_t> ended;
};
static_assert(sizeof(SessionPage) == 16384);

}  // namespace pm::local
