#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "operation.h"
#include "search.h"

// What one stream may do: offsets are given out without a gap, a batch at a time. Which entry lies
// at an offset is no matter of order in time, and checked elsewhere (invariants.h).

namespace pm::history {

class StreamModel {
 public:
  explicit StreamModel(const std::vector<const Operation*>& operations) : operations_(operations) {
    for (const Operation* operation : operations) {
      if (!operation->request.empty()) ++uses_[operation->request];
    }
    std::int64_t end_of_life_ns = never_ns;
    for (std::size_t at = operations.size(); at-- > 0;) {
      const Operation& operation = *operations[at];
      if (operation.kind == Kind::crash) {
        end_of_life_ns = operation.invoked_ns;
        continue;
      }
      const bool unknown = operation.outcome == Outcome::unknown;
      if (unknown && operation.kind == Kind::read_stream) continue;
      points_.push_back({operation.invoked_ns, unknown ? end_of_life_ns : operation.returned_ns,
                         static_cast<std::uint32_t>(at), 0, unknown});
    }
    std::stable_sort(points_.begin(), points_.end(),
                     [](const Point& a, const Point& b) { return a.called_ns < b.called_ns; });
  }

  const std::vector<Point>& points() const { return points_; }

  struct State {
    bool exists = false;
    std::uint64_t next_offset = 0;
    std::vector<std::pair<std::string, std::uint64_t>> answers;  // Of requests: first offsets.
  };

  State initial() const { return {}; }

  void next(const State& state, const Point& point, std::vector<State>& successors) const {
    const Operation& operation = *operations_[point.step];
    if (operation.outcome == Outcome::refused) {
      if (operation.refusal != Refusal::not_found || !state.exists) successors.push_back(state);
      return;
    }
    State after = state;
    switch (operation.kind) {
      case Kind::create_stream: after.exists = true; break;
      case Kind::append:
        if (!append(after, operation)) return;
        break;
      default:
        if (!state.exists || operation.seen.next_offset != state.next_offset) return;
    }
    successors.push_back(std::move(after));
  }

  void write_to(const State& state, std::string& key) const {
    key += state.exists ? '1' : '0';
    key += std::to_string(state.next_offset);
    for (const auto& [request, offset] : state.answers) {
      key += '/' + request + '=' + std::to_string(offset);
    }
  }

  std::string to_text(const State& state) const {
    return "next offset " + std::to_string(state.next_offset);
  }

 private:
  bool append(State& state, const Operation& operation) const {
    if (!state.exists) return false;
    const bool ok = operation.outcome == Outcome::ok;
    const auto uses = uses_.find(operation.request);
    const bool repeated = uses != uses_.end() && uses->second > 1;
    for (const auto& [request, offset] : state.answers) {
      if (request == operation.request) return !ok || operation.seen.number == offset;
    }
    if (ok && operation.seen.number != state.next_offset) return false;
    if (repeated) state.answers.emplace_back(operation.request, state.next_offset);
    state.next_offset += operation.asked.items.size();
    return true;
  }

  const std::vector<const Operation*>& operations_;
  std::map<std::string, int> uses_;  // Of each request id.
  std::vector<Point> points_;
};

}  // namespace pm::history
