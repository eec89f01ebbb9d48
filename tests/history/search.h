#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

// Is there an order of operations, each between its call and its return, that a sequential model
// could have lived through? Wing and Gong's search (1993), with Lowe's memory of what was tried
// ("Testing for linearizability", 2017): two ways to the same operations done and the same state
// are one.

namespace pm::history {

// One point at which something took effect, between `called_ns` and `returned_ns`. One that is
// optional may never have done so; what is called at or after its return is too late for it.
struct Point {
  std::int64_t called_ns = 0;
  std::int64_t returned_ns = 0;
  std::uint32_t step = 0;  // For the model.
  std::uint32_t part = 0;
  bool optional = false;
};

struct SearchResult {
  bool linearizable = false;
  std::uint64_t tried = 0;          // Configurations.
  std::vector<std::uint32_t> best;  // Points of the longest order found, which was not enough.
};

// Which points are done: all below `base`, and those of `bits` from there on.
class DoneSet {
 public:
  bool has(std::uint32_t point) const {
    if (point < base_) return true;
    const std::uint32_t at = point - base_;
    return at / 64 < bits_.size() && (bits_[at / 64] >> (at % 64) & 1) != 0;
  }
  void add(std::uint32_t point) {
    const std::uint32_t at = point - base_;
    if (at / 64 >= bits_.size()) bits_.resize(at / 64 + 1);
    bits_[at / 64] |= std::uint64_t{1} << (at % 64);
    while (!bits_.empty() && bits_.front() == ~std::uint64_t{0}) {
      bits_.erase(bits_.begin());
      base_ += 64;
    }
  }
  // The first that is not done.
  std::uint32_t first_open() const {
    std::uint32_t point = base_;
    while (has(point)) ++point;
    return point;
  }
  void write_to(std::string& key) const {
    key.append(reinterpret_cast<const char*>(&base_), sizeof base_);
    std::size_t words = bits_.size();
    while (words > 0 && bits_[words - 1] == 0) --words;
    key.append(reinterpret_cast<const char*>(&words), sizeof words);
    key.append(reinterpret_cast<const char*>(bits_.data()), words * sizeof(std::uint64_t));
  }

 private:
  std::uint32_t base_ = 0;
  std::vector<std::uint64_t> bits_;
};

// Model: `State` (copied), `State initial() const`,
// `void next(const State&, const Point&, std::vector<State>&) const` gives every state that the
// point may lead to, none when it cannot happen there,
// `void write_to(const State&, std::string&) const` appends what tells states apart.
// `points` are sorted by call.
template <typename Model>
class Search {
 public:
  Search(const Model& model, const std::vector<Point>& points) : model_(model), points_(points) {}

  SearchResult run() {
    const auto needed = std::count_if(points_.begin(), points_.end(),
                                      [](const Point& point) { return !point.optional; });
    stack_.push_back(open({}, model_.initial(), 0, static_cast<std::uint32_t>(needed)));
    while (!stack_.empty()) {
      Frame& frame = stack_.back();
      if (frame.needed == 0) {
        result_.linearizable = true;
        return std::move(result_);
      }
      if (!advance(frame)) {
        stack_.pop_back();
        if (!order_.empty()) order_.pop_back();
      }
    }
    return std::move(result_);
  }

 private:
  using State = typename Model::State;
  // A configuration, and what has not been tried of it yet.
  struct Frame {
    DoneSet done;
    State state;
    std::int64_t now_ns = 0;   // The latest call of what is done.
    std::uint32_t needed = 0;  // Points that must still be done.
    std::uint32_t candidate = 0;
    std::int64_t latest_ns = 0;  // What is called later cannot be next.
    std::vector<State> successors;
  };

  // What can no longer happen is as good as done.
  Frame open(DoneSet done, State state, std::int64_t now_ns, std::uint32_t needed) const {
    Frame frame{std::move(done), std::move(state), now_ns, needed, 0, INT64_MAX, {}};
    for (std::uint32_t at = frame.done.first_open(); at < points_.size(); ++at) {
      const Point& point = points_[at];
      if (point.called_ns > frame.latest_ns) break;
      if (frame.done.has(at)) continue;
      if (!point.optional) {
        frame.latest_ns = std::min(frame.latest_ns, point.returned_ns);
      } else if (point.returned_ns <= now_ns) {
        frame.done.add(at);
      }
    }
    frame.candidate = frame.done.first_open();
    return frame;
  }

  // Goes one deeper; false: everything was tried here.
  bool advance(Frame& frame) {
    while (true) {
      while (!frame.successors.empty()) {
        State state = std::move(frame.successors.back());
        frame.successors.pop_back();
        const std::uint32_t chosen = frame.candidate - 1;
        const Point& point = points_[chosen];
        DoneSet done = frame.done;
        done.add(chosen);
        Frame deeper =
            open(std::move(done), std::move(state), std::max(frame.now_ns, point.called_ns),
                 frame.needed - (point.optional ? 0 : 1));
        if (!is_new(deeper)) continue;
        order_.push_back(chosen);
        if (order_.size() > result_.best.size()) result_.best = order_;
        stack_.push_back(std::move(deeper));
        return true;
      }
      if (frame.candidate >= points_.size()) return false;
      if (points_[frame.candidate].called_ns > frame.latest_ns) return false;
      if (!frame.done.has(frame.candidate)) {
        model_.next(frame.state, points_[frame.candidate], frame.successors);
      }
      ++frame.candidate;
    }
  }

  bool is_new(const Frame& frame) {
    key_.clear();
    frame.done.write_to(key_);
    model_.write_to(frame.state, key_);
    ++result_.tried;
    return seen_.insert(key_).second;
  }

  const Model& model_;
  const std::vector<Point>& points_;
  std::vector<Frame> stack_;
  std::vector<std::uint32_t> order_;
  std::unordered_set<std::string> seen_;
  std::string key_;
  SearchResult result_;
};

}  // namespace pm::history
