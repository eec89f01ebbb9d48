#pragma once

#include <cstdint>
#include <optional>

#include "label_index.h"
#include "payload.h"

namespace pm::catalog {

enum class ListOrder : std::uint8_t { newest_first, oldest_first, smallest_first, largest_first };

// Which payloads a list looks at, and in which order. By size it looks at all of them; by age, at
// those of a label, or of a tier, or at all.
struct ListWalk {
  ListOrder order = ListOrder::newest_first;
  TierIndex tier = no_tier;
  std::optional<LabelTerm> label;

  bool by_size() const {
    return order == ListOrder::smallest_first || order == ListOrder::largest_first;
  }
};

// A payload's place in every list: both numbers stay as they are once it is committed, so a list
// goes on behind a place whatever has come or gone meanwhile.
struct ListPlace {
  std::uint64_t size_bytes = 0;
  std::uint64_t order = 0;
};

}  // namespace pm::catalog
