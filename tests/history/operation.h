#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <vector>

// What a client did and what it saw: the raw material of every check in this folder.

namespace pm::history {

enum class Kind : std::uint8_t {
  allocate,
  commit,
  abort,  // Gives an allocation up.
  erase,
  resolve,
  lease,
  renew,
  release,
  read,  // Bytes hashed under a lease; no call.
  promote,
  spill,
  pin,
  unpin,
  labels,
  set_metadata,
  get_metadata,
  add_event,
  create_stream,
  append,
  read_stream,
  crash  // The host's end: of every operation that it had not answered, nobody knows.
};

enum class Outcome : std::uint8_t { unknown, ok, refused };

// Why an operation was refused, as far as a model can tell whether that is right.
enum class Refusal : std::uint8_t {
  other,  // Says nothing about the payload: no room, overtaken.
  not_found,
  not_committed,
  already_committed,
  leased,
  pinned,
  busy,
  lease_not_found
};

enum class Place : std::uint8_t { nowhere, memory, disk };

using Labels = std::map<std::string, std::string>;

inline constexpr std::int64_t never_ns = std::numeric_limits<std::int64_t>::max();

struct Asked {
  Place place = Place::nowhere;  // Where to: of allocate, promote, spill.
  bool force = false;            // erase
  bool drop_source = false;      // promote
  bool merge = false;            // set_metadata
  std::int64_t duration_ns = 0;  // lease, renew: what was granted, or asked when nobody knows.
  std::string lease;             // renew, release, read
  std::string content;           // commit: the hash of what was written.
  Labels set;                    // labels
  std::vector<std::string> remove;
  std::string data;                // set_metadata
  std::string schema;              // set_metadata
  std::vector<std::string> items;  // append
  std::string payload;             // append: what the entries name.
  std::uint64_t offset = 0;        // read_stream
};

struct Seen {
  std::uint64_t revision = 0;
  Place place = Place::nowhere;
  std::string lease;    // lease
  std::string content;  // lease, read: the hash of what is there.
  Labels labels;        // labels
  std::string data;     // set_metadata, get_metadata
  std::string schema;
  std::uint64_t number = 0;        // add_event: its number. append: the first offset.
  std::uint64_t next_offset = 0;   // read_stream
  std::vector<std::string> items;  // read_stream, from offset `number` on.
};

struct Operation {
  Kind kind = Kind::resolve;
  Outcome outcome = Outcome::unknown;
  Refusal refusal = Refusal::other;
  std::uint32_t client = 0;
  std::uint32_t life = 0;  // How often the host had ended before.
  // Monotonic, one clock for all clients. A crash lasts from before it to when nothing of that
  // life can happen any more and all clients know.
  std::int64_t invoked_ns = 0;
  std::int64_t returned_ns = never_ns;
  std::string subject;  // The payload or the stream; of a crash empty.
  std::string request;  // The request id; empty: none.
  Asked asked;
  Seen seen;
};

// In the order of their invocations.
using History = std::vector<Operation>;

const char* kind_name(Kind kind);
const char* refusal_name(Refusal refusal);
// One line: who, when, what, and how it ended.
std::string to_text(const Operation& operation);

}  // namespace pm::history
