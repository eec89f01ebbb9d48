#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ids.h"

// Streams as plain data: ordered logs of payload ids. Their entries live in the repository alone;
// the catalog knows how far each stream goes.

namespace pm::catalog {

struct StreamName {
  std::string space;  // The namespace.
  std::string name;
  friend auto operator<=>(const StreamName&, const StreamName&) = default;
};

inline constexpr std::int64_t no_time_ns = -1;

// What a producer says about one entry.
struct StreamItem {
  Id payload;
  std::int64_t event_time_ns = no_time_ns;
  std::uint64_t duration_ns = 0;
  std::string tags;  // Encoded; opaque here.
};
// Never changed once shared.
using StreamItems = std::vector<StreamItem>;

// Neighbouring entries, as they were appended together.
struct StreamEntries {
  std::uint64_t stream = 0;  // The stream's number.
  std::uint64_t first_offset = 0;
  std::int64_t append_time_ns = 0;
  std::shared_ptr<const StreamItems> items;
};

// A stream as readers see it.
struct StreamHead {
  std::uint64_t number = 0;        // Never used again, also by a stream of the same name.
  std::uint64_t first_offset = 0;  // Entries below have left; some above may be too old.
  std::uint64_t next_offset = 0;
  std::int64_t keep_from_ns = INT64_MIN;  // What was appended earlier is too old.
  std::int64_t last_append_ns = 0;
  std::uint64_t entries_max = 0;
  std::uint64_t age_max_s = 0;
  std::int64_t created_at_ns = 0;
  std::uint32_t groups = 0;
  std::uint64_t lsn = 0;  // What must be durable before this may be shown.
};

// ---- records ----

struct StreamRecord {
  std::uint64_t number = 0;
  bool erased = false;  // Only `number` counts.
  bool dead = false;    // Deleted; some of its entries or groups are still there.
  StreamName name;
  std::uint64_t swept_offset = 0;  // Entries below have been deleted.
  std::uint64_t first_offset = 0;
  std::uint64_t next_offset = 0;
  std::uint64_t entries_max = 0;
  std::uint64_t age_max_s = 0;
  std::int64_t created_at_ns = 0;
  std::int64_t last_append_ns = 0;
};

// Deletes the entries from `first_offset` up to `end_offset`, exclusive.
struct StreamSweepRecord {
  std::uint64_t stream = 0;
  std::uint64_t first_offset = 0;
  std::uint64_t end_offset = 0;
};

struct ConsumerGroupRecord {
  std::uint64_t stream = 0;
  std::string group;
  bool erased = false;  // Only `stream` and `group` count.
  std::uint64_t offset = 0;
};

// ---- notices: for those who follow a stream ----

// `lsn` is durable when they hear of it.
struct StreamNotice {
  std::uint64_t lsn = 0;
  bool deleted = false;  // Only `entries.stream` counts.
  StreamEntries entries;
};

}  // namespace pm::catalog
