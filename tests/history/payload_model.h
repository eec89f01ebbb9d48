#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "operation.h"
#include "search.h"

// What one payload may do, one thing after the other, as docs/CONTRACT.md has it. It assumes that
// nothing moves, ends or is deleted unasked: enough room, no time to live.

namespace pm::history {

class PayloadModel {
 public:
  // All operations of one payload, and the crashes between the first and the last of them, in the
  // order of their calls. Both must outlive the model.
  explicit PayloadModel(const std::vector<const Operation*>& operations);

  // Sorted by call. A move takes effect at two of them: it begins, and it switches.
  const std::vector<Point>& points() const { return points_; }

  enum class Phase : std::uint8_t { unborn, allocated, committed, gone };

  // A lease that keeps others from deleting or spilling.
  struct Held {
    std::uint32_t lease = 0;
    Place place = Place::nowhere;
    std::int64_t surely_until_ns = 0;
    std::int64_t perhaps_until_ns = 0;
  };
  // What a request was answered, for its repeats.
  struct Answer {
    std::uint32_t request = 0;
    bool survives = false;  // The host's end.
    Place place = Place::nowhere;
    std::uint64_t revision = 0;
    std::uint64_t number = 0;
    std::uint32_t labels = 0;
    std::uint32_t data = 0;
    std::uint32_t schema = 0;
  };
  struct State {
    Phase phase = Phase::unborn;
    bool in_memory = false;
    bool on_disk = false;
    bool pinned = false;
    std::uint32_t moving = 0;  // The step of the move under way, counted from 1.
    std::uint32_t labels = 0;
    std::uint32_t data = 0;
    std::uint32_t schema = 0;
    std::uint32_t content = 0;
    std::uint64_t events = 0;
    std::uint64_t revision = 0;
    std::vector<Held> leases;
    std::vector<Answer> answers;
  };

  State initial() const { return {}; }
  void next(const State& state, const Point& point, std::vector<State>& successors) const;
  void write_to(const State& state, std::string& key) const;
  // For people.
  std::string to_text(const State& state) const;

 private:
  // An operation with its texts as numbers.
  struct Step {
    const Operation* operation = nullptr;
    bool repeated = false;  // Its request id was used by more than one.
    std::uint32_t request = 0;
    std::uint32_t lease = 0;  // Of renew and release; of lease, its own.
    std::uint32_t content = 0;
    std::uint32_t data = 0;
    std::uint32_t schema = 0;
    std::uint32_t seen_content = 0;
    std::uint32_t seen_labels = 0;
    std::uint32_t seen_data = 0;
    std::uint32_t seen_schema = 0;
  };

  void add_points(std::int64_t end_of_life_ns, std::uint32_t step);
  std::uint32_t number_of(const std::string& text) const;
  std::uint32_t number_of(const Labels& labels) const;

  void crash(State& state) const;
  bool is_justified(const State& state, const Step& step) const;
  // False: it cannot have happened here.
  bool apply(State& state, const Step& step, std::uint32_t part) const;
  bool act(State& state, const Step& step, std::uint32_t part, Answer& answer) const;
  bool create(State& state, const Step& step, Answer& answer) const;
  bool end(State& state, const Step& step, Answer& answer) const;
  bool lease(State& state, const Step& step) const;
  bool begin_move(State& state, const Step& step) const;
  bool finish_move(State& state, const Step& step, Answer& answer) const;
  bool describe(State& state, const Step& step, Answer& answer) const;
  bool add_event(State& state, Answer& answer) const;
  bool update_labels(State& state, const Step& step, Answer& answer) const;
  bool update_metadata(State& state, const Step& step, Answer& answer) const;
  bool agrees(const State& state, const Step& step, const Answer& answer) const;

  std::vector<Step> steps_;
  std::vector<Point> points_;
  // Grown by the search, too, with what labels become.
  mutable std::map<std::string, std::uint32_t> numbers_;
  mutable std::map<Labels, std::uint32_t> label_numbers_;
  mutable std::vector<Labels> label_sets_;
};

}  // namespace pm::history
