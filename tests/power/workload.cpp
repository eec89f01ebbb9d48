#include "workload.h"

#include <algorithm>

#include "wire_calls.h"

namespace pm::power {

namespace {

constexpr std::size_t usable_max = 16;

// Mostly less than a page or two, sometimes what is moved in several parts and past the page cache.
std::uint64_t draw_size(std::minstd_rand& random) {
  const auto dice = random() % 10;
  if (dice < 5) return 1 + random() % 8'192;
  if (dice < 9) return 1 + random() % 98'304;
  return 1 + random() % 400'000;
}

}  // namespace

Worker::Worker(unsigned number, unsigned seed, const Recording& recording)
    : recording_(recording), random_(seed) {
  log_.stream.name = "client-" + std::to_string(number);
}

// True when the call has no answer. Refusals that a good host may give are fine; others are told.
bool Worker::is_gone(const Status& status, const char* what) {
  switch (status.code()) {
    case Code::ok:
    case Code::aborted:
    case Code::not_found:
    case Code::already_exists:
    case Code::failed_precondition:
    case Code::resource_exhausted: ++answers_; return false;
    case Code::unavailable:
    case Code::cancelled: return true;
    default: strange_.push_back(std::string(what) + " answers " + status.to_string()); return true;
  }
}

// False: the host is gone.
template <typename Call>
bool Worker::take(Step& step, Call call) {
  step.begun = recording_.now();
  const Status status = call(step);
  if (is_gone(status, "a call")) return false;
  step.ok = status.ok();
  step.ended = recording_.now();
  return true;
}

std::optional<std::size_t> Worker::some_payload() {
  if (usable_.empty()) return std::nullopt;
  return usable_[random_() % usable_.size()];
}

void Worker::work(client::Client& client, const std::atomic<bool>& stop) {
  bool alive = true;
  while (alive && !stop) {
    const auto dice = random_() % 100;
    const auto payload = some_payload();
    if (!payload || (dice < 35 && usable_.size() < usable_max)) {
      alive = put(client);
    } else if (dice < 45) {
      alive = append(client);
    } else {
      alive = act_on(client, log_.payloads[*payload]);
    }
  }
}

bool Worker::put(client::Client& client) {
  client::CreateOptions options;
  const bool on_disk = random_() % 2 == 0 || anchor_.empty();
  options.tier = on_disk ? client::Tier::disk : client::Tier::ram;
  options.layout = random_() % 2 == 0 ? client::Layout::slab : client::Layout::segment;
  auto payload = client.create(draw_size(random_), options);
  if (!payload) return !is_gone(payload.status(), "create");
  integration::fill(payload->bytes(), random_());
  Known known{payload->id(), integration::sha256(payload->bytes()), on_disk, {}};
  if (random_() % 16 == 0) {
    log_.payloads.push_back(std::move(known));
    return !is_gone(payload->discard(), "discard");
  }
  log_.payloads.push_back(std::move(known));
  Known& logged = log_.payloads.back();
  logged.steps.push_back({.act = Act::commit});
  const auto commit = [&](const Step&) { return payload->commit().status(); };
  if (!take(logged.steps.back(), commit)) return false;
  if (!logged.steps.back().ok) return true;
  usable_.push_back(log_.payloads.size() - 1);
  if (anchor_.empty()) anchor_ = logged.id.to_string();
  return true;
}

bool Worker::act_on(client::Client& client, Known& known) {
  const auto dice = random_() % 100;
  const bool is_anchor = known.id.to_string() == anchor_;
  Step step;
  step.act = dice < 25                 ? Act::spill
             : dice < 45               ? Act::promote
             : dice < 55 && !is_anchor ? Act::give_up
             : dice < 75 || is_anchor  ? Act::describe
                                       : Act::erase;
  if (step.act == Act::describe) step.text = "{\"n\":" + std::to_string(random_()) + "}";
  known.steps.push_back(std::move(step));
  const auto call = [&](const Step& now) -> Status {
    if (now.act == Act::erase) return client.erase(known.id);
    if (now.act == Act::spill) {
      const auto outcomes = client.spill(std::span(&known.id, 1),
                                         {.to = client::Tier::disk, .wait_for_leases = true});
      return outcomes ? outcomes->front().status : outcomes.status();
    }
    if (now.act == Act::describe) {
      history::Operation operation;
      operation.asked.data = now.text;
      operation.kind = history::Kind::set_metadata;
      return history::call_metadata(client, operation, known.id);
    }
    client::PromoteOptions options;
    options.drop_source = now.act == Act::give_up;
    options.layout = random_() % 2 == 0 ? client::Layout::slab : client::Layout::segment;
    return client.promote(known.id, client::Tier::ram, options).status();
  };
  Step& taken = known.steps.back();
  const bool answered = take(taken, call);
  const bool is_over = taken.act == Act::erase && (!answered || taken.ok);
  if (is_over || !answered)
    std::erase(usable_, static_cast<std::size_t>(&known - log_.payloads.data()));
  return answered;
}

bool Worker::append(client::Client& client) {
  KnownStream& stream = log_.stream;
  history::Operation operation;
  operation.subject = stream.name;
  if (!stream.created.ok) {
    operation.kind = history::Kind::create_stream;
    const auto create = [&](const Step&) { return history::call_stream(client, operation); };
    Step made;
    const bool answered = take(made, create);
    if (stream.created.begun == 0) stream.created.begun = made.begun;
    stream.created.ended = made.ended;
    stream.created.ok = answered;  // Also when a call without an answer had made it before.
    return answered;
  }
  operation.kind = history::Kind::append;
  operation.asked.payload = anchor_;
  operation.asked.items = {std::to_string(stream.appends.size())};
  stream.appends.push_back({});
  return take(stream.appends.back(),
              [&](const Step&) { return history::call_stream(client, operation); });
}

}  // namespace pm::power
