#pragma once

#include <cstdint>
#include <deque>
#include <unordered_set>
#include <vector>

#include "core/ledger/document_schema.h"
#include "repository_reader.h"

// Walks through the lineage that stands in the repository. Each advance() looks at a bounded number
// of payloads, so that others have their turn on the reader's threads. No snapshot: what is added
// or deleted meanwhile may be seen or not.

namespace pm::api {

struct IdHash {
  std::size_t operator()(const catalog::Id& id) const { return catalog::hash_of(id); }
};
using IdSet = std::unordered_set<catalog::Id, IdHash>;

enum class Direction { upstream, downstream };

// The edges on one side of a payload, at most `limit` (0: all), until `visit` says false. [worker]
using VisitEdge = std::function<bool(ledger::LineageRow row)>;
Status visit_edges(const RepositoryReader& reader, const catalog::Id& id, Direction direction,
                   std::uint64_t limit, const VisitEdge& visit);

struct LineageLimits {
  std::uint32_t depth_max = 0;
  std::uint32_t edges_max = 0;
  std::size_t bytes_max = 0;  // Of the texts and parameters.
};

// Breadth first from one payload; each payload is looked at once, so each edge is found once.
class LineageWalk {
 public:
  struct Found {
    ledger::LineageRow row;
    std::uint32_t depth = 0;
  };

  LineageWalk(const RepositoryReader& reader, const catalog::Id& start, Direction direction,
              const LineageLimits& limits);

  // True when it has ended. [worker]
  bool advance();

  const Status& status() const { return status_; }
  const std::vector<Found>& edges() const { return edges_; }
  // A limit was reached, and there is more.
  bool truncated() const { return truncated_; }

 private:
  struct Next {
    catalog::Id id;
    std::uint32_t depth = 0;
  };
  void expand(const Next& next);

  const RepositoryReader& reader_;
  const Direction direction_;
  const LineageLimits limits_;
  std::deque<Next> queue_;
  IdSet seen_;
  std::vector<Found> edges_;
  std::size_t bytes_ = 0;
  bool truncated_ = false;
  Status status_;
};

// Whether one of `parents` was made from `child`: from both ends, the narrower one first.
class CycleSearch {
 public:
  CycleSearch(const RepositoryReader& reader, const catalog::Id& child,
              const catalog::LineageEdges& parents);

  // True when it has ended. [worker]
  bool advance();

  const Status& status() const { return status_; }
  bool found() const { return found_; }

 private:
  struct Side {
    std::deque<catalog::Id> queue;
    IdSet seen;
  };
  void expand(Side& side, const Side& other, Direction direction);

  const RepositoryReader& reader_;
  Side down_;
  Side up_;
  bool found_ = false;
  Status status_;
};

}  // namespace pm::api
