#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "harness.h"

// Callers that look first and add later, in any order: whatever is added while they look, no cycle
// comes about and no edge is there twice.

namespace pm::catalog::test {
namespace {

constexpr std::uint64_t payloads = 10;

class LineageRun {
 public:
  explicit LineageRun(std::uint64_t seed) : random_(seed) {
    for (std::uint64_t number = 1; number <= payloads; ++number) machine_.put(number, 100);
  }

  void run(int steps) {
    for (int step = 0; step < steps; ++step) {
      if (pick(2) == 0 || callers_.empty()) {
        look();
      } else {
        add(pick(callers_.size()));
      }
      if (pick(100) == 0) restart();
      ASSERT_FALSE(has_cycle()) << "after " << step << " steps";
    }
  }

  std::map<Reason, int> reasons;

 private:
  // One that has looked, and not added yet.
  struct Caller {
    AddLineage command;
    std::vector<std::uint64_t> parents;
    std::uint64_t child = 0;
  };

  std::uint64_t pick(std::uint64_t bound) { return random_() % bound; }

  // Whether `to` was made from `from`.
  bool reaches(std::uint64_t from, std::uint64_t to) const {
    std::set<std::uint64_t> seen{to};
    std::vector<std::uint64_t> queue{to};
    while (!queue.empty()) {
      const std::uint64_t next = queue.back();
      queue.pop_back();
      if (next == from) return true;
      const auto found = parents_.find(next);
      if (found == parents_.end()) continue;
      for (const std::uint64_t parent : found->second) {
        if (seen.insert(parent).second) queue.push_back(parent);
      }
    }
    return false;
  }
  bool has_cycle() const {
    for (const auto& [child, parents] : parents_) {
      for (const std::uint64_t parent : parents) {
        if (reaches(child, parent)) return true;
      }
    }
    return false;
  }

  void look() {
    Caller caller;
    caller.child = 1 + pick(payloads);
    LineageEdges asked;
    for (std::uint64_t count = 1 + pick(2); count > 0; --count) {
      const std::uint64_t parent = 1 + pick(payloads);
      if (parent != caller.child) asked.push_back({make_id(parent), make_id(parent), "", "", ""});
    }
    const Id child = make_id(caller.child);
    const LineageNeeds needs = machine_.catalog->lineage_needs(child, asked, machine_.now);
    LineageEdges edges;
    for (const LineageEdge& edge : asked) {
      const std::uint64_t parent = edge.parent.bytes[15];
      const bool twice =
          std::find(caller.parents.begin(), caller.parents.end(), parent) != caller.parents.end();
      if (twice || (needs.edges && parents_[caller.child].contains(parent))) continue;
      if (needs.search && reaches(caller.child, parent)) return;
      caller.parents.push_back(parent);
      edges.push_back(edge);
    }
    caller.command.child = child;
    caller.command.edges = std::make_shared<const LineageEdges>(std::move(edges));
    caller.command.knows_edges = needs.edges;
    caller.command.knows_no_cycle = needs.search;
    caller.command.seen_lsn = needs.seen_lsn;
    callers_.push_back(std::move(caller));
  }

  void add(std::size_t place) {
    const Caller caller = callers_[place];
    callers_.erase(callers_.begin() + static_cast<std::ptrdiff_t>(place));
    const Reply reply = machine_.finish(caller.command);
    ++reasons[reply.reason];
    if (reply.reason != Reason::none) return;
    for (const std::uint64_t parent : caller.parents) {
      ASSERT_TRUE(parents_[caller.child].insert(parent).second) << "an edge is there twice";
    }
  }

  // Callers do not outlive the host; the edges do.
  void restart() {
    callers_.clear();
    machine_ = machine_.restart();
  }

  std::mt19937_64 random_;
  Machine machine_;
  std::map<std::uint64_t, std::set<std::uint64_t>> parents_;
  std::vector<Caller> callers_;
};

// LINEAGE-2, LINEAGE-4
TEST(documents, no_order_of_looks_and_adds_closes_a_cycle) {
  std::map<Reason, int> reasons;
  for (std::uint64_t seed = 1; seed <= 2'000; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    LineageRun run(seed);
    run.run(80);
    if (testing::Test::HasFatalFailure()) return;
    for (const auto& [reason, count] : run.reasons) reasons[reason] += count;
  }
  EXPECT_GT(reasons[Reason::none], 20'000);
  EXPECT_GT(reasons[Reason::conflict], 5'000);
}

}  // namespace
}  // namespace pm::catalog::test
