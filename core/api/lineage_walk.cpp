#include "lineage_walk.h"

#include <utility>

namespace pm::api {

namespace {

constexpr int payloads_a_turn = 64;

}  // namespace

Status visit_edges(const RepositoryReader& reader, const catalog::Id& id, Direction direction,
                   std::uint64_t limit, const VisitEdge& visit) {
  const std::uint32_t field = direction == Direction::upstream ? ledger::lineage_field::child
                                                               : ledger::lineage_field::parent;
  RepositoryReader::Scan scan;
  scan.kind = ledger::kind_lineage;
  scan.conditions = {condition(PM_EQUAL, bytes_value(field, id.bytes.data(), id.bytes.size()))};
  scan.limit = limit;
  Status damaged;
  const Status status = reader.scan(scan, [&](const pm_value_t* values, std::uint32_t count) {
    Result<ledger::LineageRow> row = ledger::read_lineage(values, count);
    if (!row.ok()) {
      damaged = row.status();
      return false;
    }
    return visit(std::move(*row));
  });
  return status.ok() ? damaged : status;
}

// ---- walk ----

LineageWalk::LineageWalk(const RepositoryReader& reader, const catalog::Id& start,
                         Direction direction, const LineageLimits& limits)
    : reader_(reader), direction_(direction), limits_(limits) {
  queue_.push_back({start, 0});
  seen_.insert(start);
}

bool LineageWalk::advance() {
  for (int payloads = 0; payloads < payloads_a_turn; ++payloads) {
    if (queue_.empty() || truncated_ || !status_.ok()) return true;
    const Next next = queue_.front();
    queue_.pop_front();
    expand(next);
  }
  return false;
}

void LineageWalk::expand(const Next& next) {
  // At the last depth only whether there is more counts.
  const bool at_end = next.depth >= limits_.depth_max;
  const std::uint64_t room = limits_.edges_max - edges_.size();
  const std::uint64_t limit = at_end ? 1 : room + 1;
  status_ = visit_edges(reader_, next.id, direction_, limit, [&](ledger::LineageRow row) {
    if (at_end || edges_.size() >= limits_.edges_max || bytes_ >= limits_.bytes_max) {
      truncated_ = true;
      return false;
    }
    bytes_ += row.edge.operation.size() + row.edge.role.size() + row.edge.parameters.size();
    const catalog::Id& other = direction_ == Direction::upstream ? row.edge.parent : row.child;
    if (seen_.insert(other).second) queue_.push_back({other, next.depth + 1});
    edges_.push_back({std::move(row), next.depth + 1});
    return true;
  });
}

// ---- search ----

CycleSearch::CycleSearch(const RepositoryReader& reader, const catalog::Id& child,
                         const catalog::LineageEdges& parents)
    : reader_(reader) {
  down_.queue.push_back(child);
  down_.seen.insert(child);
  for (const catalog::LineageEdge& edge : parents) {
    if (up_.seen.insert(edge.parent).second) up_.queue.push_back(edge.parent);
  }
}

bool CycleSearch::advance() {
  for (int payloads = 0; payloads < payloads_a_turn; ++payloads) {
    // A side that has nothing left has seen all there is, and not met the other.
    if (found_ || !status_.ok() || down_.queue.empty() || up_.queue.empty()) return true;
    if (up_.queue.size() <= down_.queue.size()) {
      expand(up_, down_, Direction::upstream);
    } else {
      expand(down_, up_, Direction::downstream);
    }
  }
  return false;
}

void CycleSearch::expand(Side& side, const Side& other, Direction direction) {
  const catalog::Id id = side.queue.front();
  side.queue.pop_front();
  status_ = visit_edges(reader_, id, direction, 0, [&](const ledger::LineageRow& row) {
    const catalog::Id& next = direction == Direction::upstream ? row.edge.parent : row.child;
    if (other.seen.contains(next)) found_ = true;
    if (side.seen.insert(next).second) side.queue.push_back(next);
    return !found_;
  });
}

}  // namespace pm::api
