#include "payload_model.h"

#include <algorithm>

namespace pm::history {

namespace {

using Phase = PayloadModel::Phase;
using State = PayloadModel::State;
using Answer = PayloadModel::Answer;

Place shown(const State& state) {
  if (state.in_memory) return Place::memory;
  return state.on_disk ? Place::disk : Place::nowhere;
}

bool changes_nothing(Kind kind) { return kind == Kind::resolve || kind == Kind::get_metadata; }

bool is_move(Kind kind) { return kind == Kind::promote || kind == Kind::spill; }

template <typename Value>
void append_bytes(std::string& key, const Value& value) {
  key.append(reinterpret_cast<const char*>(&value), sizeof value);
}

bool may_be_leased(const State& state, std::int64_t at_ns) {
  return std::any_of(state.leases.begin(), state.leases.end(),
                     [&](const auto& held) { return held.perhaps_until_ns > at_ns; });
}

bool is_surely_leased(const State& state, std::int64_t at_ns) {
  return std::any_of(state.leases.begin(), state.leases.end(),
                     [&](const auto& held) { return held.surely_until_ns > at_ns; });
}

void show(const State& state, Answer& answer) {
  answer.revision = state.revision;
  answer.place = shown(state);
}

}  // namespace

// ---- the history ----

PayloadModel::PayloadModel(const std::vector<const Operation*>& operations) {
  number_of(std::string());
  number_of(Labels());
  std::map<std::string, int> uses;
  for (const Operation* operation : operations) {
    if (!operation->request.empty()) ++uses[operation->request];
  }
  for (const Operation* operation : operations) {
    Step& step = steps_.emplace_back();
    step.operation = operation;
    const Asked& asked = operation->asked;
    const Seen& seen = operation->seen;
    step.request = number_of(operation->request);
    step.repeated = !operation->request.empty() && uses[operation->request] > 1;
    step.lease = number_of(operation->kind == Kind::lease ? seen.lease : asked.lease);
    step.content = number_of(asked.content);
    step.data = number_of(asked.data);
    step.schema = number_of(asked.schema);
    step.seen_content = number_of(seen.content);
    step.seen_labels = number_of(seen.labels);
    step.seen_data = number_of(seen.data);
    step.seen_schema = number_of(seen.schema);
  }
  // What was not answered may have taken effect until its life ended, and not later.
  std::int64_t end_of_life_ns = never_ns;
  for (std::size_t at = steps_.size(); at-- > 0;) {
    const Operation& operation = *steps_[at].operation;
    if (operation.kind == Kind::crash) end_of_life_ns = operation.invoked_ns;
    add_points(end_of_life_ns, static_cast<std::uint32_t>(at));
  }
  std::stable_sort(points_.begin(), points_.end(),
                   [](const Point& a, const Point& b) { return a.called_ns < b.called_ns; });
}

void PayloadModel::add_points(std::int64_t end_of_life_ns, std::uint32_t step) {
  const Operation& operation = *steps_[step].operation;
  const bool unknown = operation.outcome == Outcome::unknown;
  // Bytes read under a lease are held against the lease (invariants.cpp).
  if (operation.kind == Kind::read || (unknown && changes_nothing(operation.kind))) return;
  const std::int64_t end_ns = unknown ? end_of_life_ns : operation.returned_ns;
  points_.push_back({operation.invoked_ns, end_ns, step, 0, unknown});
  // A refusal is one look.
  if (is_move(operation.kind) && operation.outcome != Outcome::refused) {
    points_.push_back({operation.invoked_ns, end_ns, step, 1, unknown});
  }
}

std::uint32_t PayloadModel::number_of(const std::string& text) const {
  return numbers_.try_emplace(text, static_cast<std::uint32_t>(numbers_.size())).first->second;
}

std::uint32_t PayloadModel::number_of(const Labels& labels) const {
  const auto [at, is_new] =
      label_numbers_.try_emplace(labels, static_cast<std::uint32_t>(label_sets_.size()));
  if (is_new) label_sets_.push_back(labels);
  return at->second;
}

// ---- one step ----

void PayloadModel::next(const State& state, const Point& point,
                        std::vector<State>& successors) const {
  const Step& step = steps_[point.step];
  const Operation& operation = *step.operation;
  if (operation.kind == Kind::crash) {
    successors.push_back(state);
    return crash(successors.back());
  }
  if (operation.outcome == Outcome::refused) {
    if (is_justified(state, step)) successors.push_back(state);
    return;
  }
  State after = state;
  if (apply(after, step, point.part)) successors.push_back(std::move(after));
}

// Allocations and leases die with the host, and so does a move that it had not finished.
void PayloadModel::crash(State& state) const {
  if (state.phase == Phase::allocated) {
    state = State{};
    state.phase = Phase::gone;
    return;
  }
  state.leases.clear();
  state.moving = 0;
  std::erase_if(state.answers, [](const Answer& answer) { return !answer.survives; });
}

bool PayloadModel::is_justified(const State& state, const Step& step) const {
  const Operation& operation = *step.operation;
  const bool there = state.phase == Phase::allocated || state.phase == Phase::committed;
  switch (operation.refusal) {
    case Refusal::other: return true;
    case Refusal::not_found: return !there;
    case Refusal::not_committed: return state.phase == Phase::allocated;
    case Refusal::already_committed: return state.phase == Phase::committed;
    case Refusal::leased: return may_be_leased(state, operation.invoked_ns);
    case Refusal::pinned: return state.pinned && state.in_memory;
    case Refusal::busy: return there;
    case Refusal::lease_not_found: break;
  }
  return std::none_of(state.leases.begin(), state.leases.end(), [&](const Held& held) {
    return held.lease == step.lease && held.surely_until_ns > operation.returned_ns;
  });
}

bool PayloadModel::apply(State& state, const Step& step, std::uint32_t part) const {
  if (step.repeated) {
    const auto known =
        std::find_if(state.answers.begin(), state.answers.end(),
                     [&](const Answer& answer) { return answer.request == step.request; });
    if (known != state.answers.end()) {
      return (is_move(step.operation->kind) && part == 0) || agrees(state, step, *known);
    }
  }
  if (is_move(step.operation->kind) && part == 0) return begin_move(state, step);
  const State before = step.repeated ? state : State{};
  Answer answer;
  if (!act(state, step, part, answer)) return false;
  const Answer given = answer;
  if (!agrees(state, step, given)) return false;
  if (step.repeated) {
    // Kept beyond this life only with what it changed; an allocation dies with the host.
    const bool changed = step.operation->kind == Kind::pin ||
                         step.operation->kind == Kind::set_metadata ||
                         before.phase != state.phase || before.revision != state.revision ||
                         before.labels != state.labels || before.pinned != state.pinned ||
                         before.events != state.events;
    answer.request = step.request;
    answer.survives =
        changed && (before.phase == Phase::committed || step.operation->kind == Kind::commit);
    // In order, so that it does not matter which way led here.
    const auto at = std::find_if(state.answers.begin(), state.answers.end(),
                                 [&](const auto& other) { return other.request > answer.request; });
    state.answers.insert(at, answer);
  }
  return true;
}

bool PayloadModel::act(State& state, const Step& step, std::uint32_t part, Answer& answer) const {
  const bool committed = state.phase == Phase::committed;
  switch (step.operation->kind) {
    case Kind::allocate:
    case Kind::commit: return create(state, step, answer);
    case Kind::abort:
    case Kind::erase: return end(state, step, answer);
    case Kind::lease: show(state, answer); return lease(state, step);
    case Kind::promote:
    case Kind::spill: return part == 1 && finish_move(state, step, answer);
    case Kind::labels: return update_labels(state, step, answer);
    case Kind::set_metadata: return committed && update_metadata(state, step, answer);
    case Kind::add_event: return committed && add_event(state, answer);
    case Kind::renew:
    case Kind::release:
    case Kind::resolve:
    case Kind::pin:
    case Kind::unpin:
    case Kind::get_metadata: return describe(state, step, answer);
    default: return false;
  }
}

bool PayloadModel::create(State& state, const Step& step, Answer& answer) const {
  if (step.operation->kind == Kind::allocate) {
    if (state.phase != Phase::unborn) return false;
    state.phase = Phase::allocated;
    state.revision = 1;
    const bool in_memory = step.operation->asked.place == Place::memory;
    (in_memory ? state.in_memory : state.on_disk) = true;
  } else {
    if (state.phase != Phase::allocated) return false;
    state.phase = Phase::committed;
    state.revision = 2;
    state.content = step.content;
  }
  show(state, answer);
  return true;
}

// What a request was answered outlives the payload.
bool PayloadModel::end(State& state, const Step& step, Answer&) const {
  const Operation& operation = *step.operation;
  if (state.phase != Phase::allocated && state.phase != Phase::committed) return false;
  if (operation.kind == Kind::abort && state.phase != Phase::allocated) return false;
  if (!operation.asked.force && is_surely_leased(state, operation.returned_ns)) return false;
  std::vector<Answer> answers = std::move(state.answers);
  state = State{};
  state.phase = Phase::gone;
  state.answers = std::move(answers);
  return true;
}

bool PayloadModel::lease(State& state, const Step& step) const {
  if (state.phase != Phase::committed) return false;
  const Operation& operation = *step.operation;
  if (step.seen_content != 0 && step.seen_content != state.content) return false;
  Held held{step.lease, shown(state), operation.invoked_ns + operation.asked.duration_ns, never_ns};
  if (operation.outcome == Outcome::ok) {
    held.perhaps_until_ns = operation.returned_ns + operation.asked.duration_ns;
  } else {
    // Its client does not know it, so all of them are as good as one.
    held.surely_until_ns = 0;
    held.lease = 0;
  }
  const auto at = std::find_if(state.leases.begin(), state.leases.end(), [&](const Held& other) {
    return std::pair(other.lease, other.place) >= std::pair(held.lease, held.place);
  });
  const bool known =
      at != state.leases.end() && held.lease == 0 && at->lease == 0 && at->place == held.place;
  if (!known) state.leases.insert(at, held);
  return true;
}

// ---- moves ----

bool PayloadModel::begin_move(State& state, const Step& step) const {
  const Operation& operation = *step.operation;
  if (state.phase != Phase::committed || state.moving != 0) return false;
  if (operation.kind == Kind::spill && state.in_memory) {
    if (state.pinned || is_surely_leased(state, operation.returned_ns)) return false;
  }
  state.moving = static_cast<std::uint32_t>(&step - steps_.data()) + 1;
  return true;
}

// Who leased a copy that is dropped keeps its bytes, and holds up nobody any more.
bool PayloadModel::finish_move(State& state, const Step& step, Answer& answer) const {
  if (state.moving != static_cast<std::uint32_t>(&step - steps_.data()) + 1) return false;
  state.moving = 0;
  const auto drop = [&](bool& copy, Place place) {
    copy = false;
    std::erase_if(state.leases, [place](const Held& held) { return held.place == place; });
  };
  if (step.operation->kind == Kind::spill) {
    if (state.in_memory) {
      state.on_disk = true;
      drop(state.in_memory, Place::memory);
      ++state.revision;
    }
  } else if (!state.in_memory || (step.operation->asked.drop_source && state.on_disk)) {
    state.in_memory = true;
    if (step.operation->asked.drop_source) drop(state.on_disk, Place::disk);
    ++state.revision;
  }
  show(state, answer);
  return true;
}

// ---- what leaves the bytes alone ----

bool PayloadModel::describe(State& state, const Step& step, Answer& answer) const {
  const Operation& operation = *step.operation;
  const bool there = state.phase == Phase::allocated || state.phase == Phase::committed;
  show(state, answer);
  switch (operation.kind) {
    case Kind::resolve: return there;
    case Kind::pin: state.pinned = true; return there;
    case Kind::unpin: state.pinned = false; return true;
    case Kind::get_metadata:
      answer.data = state.data;
      answer.schema = state.schema;
      return state.phase == Phase::committed;
    case Kind::release:
      std::erase_if(state.leases, [&](const Held& held) { return held.lease == step.lease; });
      return true;
    default: break;  // renew
  }
  for (Held& held : state.leases) {
    if (held.lease != step.lease || held.perhaps_until_ns <= operation.invoked_ns) continue;
    const std::int64_t surely_ns = operation.invoked_ns + operation.asked.duration_ns;
    const std::int64_t perhaps_ns = operation.outcome == Outcome::ok
                                        ? operation.returned_ns + operation.asked.duration_ns
                                        : never_ns;
    held.surely_until_ns = std::max(held.surely_until_ns, surely_ns);
    held.perhaps_until_ns = std::max(held.perhaps_until_ns, perhaps_ns);
    return true;
  }
  return false;
}

bool PayloadModel::add_event(State& state, Answer& answer) const {
  answer.number = ++state.events;
  return true;
}

bool PayloadModel::update_labels(State& state, const Step& step, Answer& answer) const {
  if (state.phase != Phase::allocated && state.phase != Phase::committed) return false;
  Labels labels = label_sets_[state.labels];
  for (const auto& [key, value] : step.operation->asked.set) labels[key] = value;
  for (const std::string& key : step.operation->asked.remove) labels.erase(key);
  answer.labels = state.labels = number_of(labels);
  answer.revision = state.revision;
  return true;
}

bool PayloadModel::update_metadata(State& state, const Step& step, Answer& answer) const {
  const bool merge = step.operation->asked.merge;
  if (!merge || step.data != 0) state.data = step.data;
  if (!merge || step.schema != 0) state.schema = step.schema;
  answer.data = state.data;
  answer.schema = state.schema;
  return true;
}

// ---- answers ----

bool PayloadModel::agrees(const State& state, const Step& step, const Answer& answer) const {
  const Operation& operation = *step.operation;
  if (operation.outcome != Outcome::ok) return true;
  const Seen& seen = operation.seen;
  switch (operation.kind) {
    case Kind::allocate:
    case Kind::commit:
    case Kind::resolve:
    case Kind::lease:
    case Kind::promote:
    case Kind::spill: return seen.revision == answer.revision && seen.place == answer.place;
    case Kind::labels: return seen.revision == answer.revision && step.seen_labels == answer.labels;
    case Kind::add_event: return seen.number == answer.number;
    case Kind::get_metadata:
      return step.seen_data == answer.data && step.seen_schema == answer.schema;
    case Kind::set_metadata: {
      // A repeat of one that left something as it was is answered with what stands (META-8).
      const bool derived = operation.asked.merge && (step.data == 0 || step.schema == 0);
      if (derived && answer.request != 0) {
        return step.seen_data == state.data && step.seen_schema == state.schema;
      }
      return step.seen_data == answer.data && step.seen_schema == answer.schema;
    }
    default: return true;
  }
}

void PayloadModel::write_to(const State& state, std::string& key) const {
  const std::uint8_t flags =
      static_cast<std::uint8_t>(static_cast<unsigned>(state.phase) | (state.in_memory ? 4u : 0u) |
                                (state.on_disk ? 8u : 0u) | (state.pinned ? 16u : 0u));
  append_bytes(key, flags);
  for (const std::uint32_t number :
       {state.moving, state.labels, state.data, state.schema, state.content}) {
    append_bytes(key, number);
  }
  append_bytes(key, state.events);
  append_bytes(key, state.revision);
  append_bytes(key, static_cast<std::uint32_t>(state.leases.size()));
  for (const Held& held : state.leases) {
    append_bytes(key, held.lease);
    append_bytes(key, held.place);
    append_bytes(key, held.surely_until_ns);
    append_bytes(key, held.perhaps_until_ns);
  }
  for (const Answer& answer : state.answers) {
    append_bytes(key, answer.request);
    append_bytes(key, answer.survives);
    append_bytes(key, answer.place);
    append_bytes(key, answer.revision);
    append_bytes(key, answer.number);
    for (const std::uint32_t number : {answer.labels, answer.data, answer.schema}) {
      append_bytes(key, number);
    }
  }
}

std::string PayloadModel::to_text(const State& state) const {
  static constexpr const char* phases[] = {"unborn", "allocated", "committed", "gone"};
  std::string text = phases[static_cast<std::size_t>(state.phase)];
  text += " revision " + std::to_string(state.revision);
  if (state.in_memory) text += " memory";
  if (state.on_disk) text += " disk";
  if (state.pinned) text += " pinned";
  if (state.moving != 0) text += " moving";
  text += " leases " + std::to_string(state.leases.size());
  text += " events " + std::to_string(state.events);
  return text;
}

}  // namespace pm::history
