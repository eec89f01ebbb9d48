#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/catalog/catalog.h"

// What stands around the catalog: a repository that keeps its records, and tiers that hold objects.

namespace pm::catalog::naive {

// What a repository would hold, so that another life can begin with it.
class Repository {
 public:
  void take(const Record& record);
  void restore_into(Catalog& catalog) const;

 private:
  std::map<std::array<std::uint8_t, 16>, PayloadRecord> payloads_;
  std::map<std::array<std::uint8_t, 16>, RequestRecord> requests_;
  std::map<TierIndex, TierRecord> tiers_;
  std::map<std::uint64_t, StreamRecord> streams_;
  std::map<std::uint64_t, std::map<std::uint64_t, std::int64_t>> entries_;  // By offset: times.
  std::map<std::pair<std::uint64_t, std::string>, ConsumerGroupRecord> groups_;
};

// The objects that the tiers hold, by generation.
using Objects = std::map<std::uint64_t, Object>;

}  // namespace pm::catalog::naive
