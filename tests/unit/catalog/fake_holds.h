#pragma once

#include <map>
#include <set>

#include "core/catalog/holds.h"
#include "harness.h"

namespace pm::catalog::test {

inline std::vector<TierFacts> tiers_with_holds(std::uint64_t shm_bytes = 64 * kib,
                                               std::uint64_t disk_bytes = UINT64_MAX) {
  std::vector<TierFacts> facts = three_tiers(shm_bytes, disk_bytes);
  facts[shm].traits |= traits_host_addressable;
  return facts;
}

// A fake of the directory: who holds what is the test's.
class FakeHolds final : public Holds {
 public:
  struct Entry {
    HeldPlace place;
    std::uint32_t holders = 0;
    bool open = true;
    bool watched = false;
  };

  bool has_room() const override { return in_use && entries.size() < entries_max; }
  bool publish(const HeldPlace& place) override {
    return has_room() && entries.emplace(place.generation, Entry{place}).second;
  }
  void revise(std::uint64_t generation, std::uint64_t revision) override {
    entries.at(generation).place.revision = revision;
  }
  bool withdraw(std::uint64_t generation) override {
    const auto found = entries.find(generation);
    if (found == entries.end()) return true;
    if (found->second.holders > 0) return false;
    entries.erase(found);
    return true;
  }
  void watch(std::uint64_t generation) override { entries.at(generation).watched = true; }
  void close(std::uint64_t generation) override {
    entries.at(generation).watched = true;
    entries.at(generation).open = false;
  }

  // As a client does it: the generation that it holds; 0: it finds nothing that it may hold.
  std::uint64_t hold(std::uint64_t number) {
    for (auto& [generation, entry] : entries) {
      if (entry.place.payload != make_id(number) || !entry.open) continue;
      ++entry.holders;
      return generation;
    }
    return 0;
  }
  void let_go(std::uint64_t generation) { --entries.at(generation).holders; }
  bool is_held(std::uint64_t generation) const {
    const auto found = entries.find(generation);
    return found != entries.end() && found->second.holders > 0;
  }

  // What the directory's thread reports.
  std::vector<Unheld> look() {
    std::vector<Unheld> reports;
    for (auto at = entries.begin(); at != entries.end();) {
      Entry& entry = at->second;
      const bool is_due = entry.watched && entry.holders == 0;
      if (is_due) reports.push_back({entry.place.payload, at->first, !entry.open});
      if (is_due) entry.watched = false;
      at = is_due && !entry.open ? entries.erase(at) : std::next(at);
    }
    return reports;
  }

  bool in_use = true;
  std::size_t entries_max = 1'000;
  std::map<std::uint64_t, Entry> entries;
};

}  // namespace pm::catalog::test
