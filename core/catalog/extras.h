#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "payload.h"
#include "slots.h"

namespace pm::catalog {

struct Label {
  std::string key;
  std::string value;
  friend bool operator==(const Label&, const Label&) = default;
};
// Sorted by key, each key once. Never changed once shared.
using Labels = std::vector<Label>;

inline constexpr std::size_t labels_max = 64;

// What only some payloads have, so that the others do not pay for it.
struct Additions {
  std::shared_ptr<const Labels> labels;  // Null: none.
  bool pinned = false;
  std::int64_t pin_expires_at_ns = 0;  // Wall time; 0: until it is unpinned.
  // How much of it stands in the repository, so that it is looked for only where it is.
  bool has_metadata = false;
  std::uint32_t metadata_events = 0;
  std::int64_t last_event_at_ns = 0;  // Wall time; the next one is not earlier.
  std::uint32_t parents = 0;          // Edges of which it is the child.
  bool has_children = false;          // Or had some.

  bool any() const {
    return labels != nullptr || pinned || has_metadata || metadata_events != 0 || parents != 0 ||
           has_children;
  }
};

// At home in the catalog: found by the payload's slot.
struct Extras {
  Slot payload = no_slot;
  Slot hash_next = no_slot;
  // When that changed, in this life: 0 when not since the start.
  std::uint64_t metadata_lsn = 0;
  std::uint64_t parents_lsn = 0;
  Additions additions;
  bool has_checksum_rest = false;
  ChecksumRest checksum_rest{};

  std::uint64_t key() const { return payload; }
};

}  // namespace pm::catalog
