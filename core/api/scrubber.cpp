#include "scrubber.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "core/ledger/clocks.h"
#include "core/observe/log.h"
#include "ids.h"

namespace pm::api {

using catalog::Catalog;
using catalog::Clocks;
using catalog::CopyChecked;
using catalog::CopyToCheck;
using catalog::Reason;
using std::chrono::nanoseconds;

namespace {

constexpr std::uint64_t second_ns = 1'000'000'000;
constexpr std::uint64_t ms_ns = 1'000'000;
constexpr std::uint32_t slice_payloads = 64;
// A copy costs at least as much of the rate as so many bytes: seeks and commands count, too.
constexpr std::uint64_t copy_bytes_min = 64 << 10;
constexpr std::size_t requests_max = 10'000;
constexpr std::size_t passes_kept = 8;
constexpr std::chrono::minutes answer_time_max{10};

std::uint64_t random_number() {
  std::uint64_t number = 0;
  std::memcpy(&number, random_id().bytes.data(), sizeof number);
  return number;
}

std::int64_t wall_now_ns() { return ledger::read_clocks().wall_ns; }

std::string text_of_copy(const TierTable& tiers, const CopyToCheck& copy) {
  return "the copy of payload " + to_text(copy.object.payload) + " on tier '" +
         tiers.name(copy.object.tier) + "'";
}

void add(ScrubCounts& sum, const ScrubCounts& more) {
  sum.copies += more.copies;
  sum.bytes += more.bytes;
  sum.checksums += more.checksums;
  sum.bad += more.bad;
  sum.repaired += more.repaired;
  sum.lost += more.lost;
  sum.unreadable += more.unreadable;
}

}  // namespace

class Scrubber::Answer final : public ledger::ReplyHandler {
 public:
  void on_reply(const catalog::Reply& reply) override {
    const std::lock_guard lock(mutex_);
    reply_ = reply;
    given_.notify_all();
  }
  // Looks every tenth of a second whether it still matters.
  template <typename GiveUp>
  std::optional<catalog::Reply> await(GiveUp give_up) {
    std::unique_lock lock(mutex_);
    const auto end = std::chrono::steady_clock::now() + answer_time_max;
    while (!reply_ && !give_up() && std::chrono::steady_clock::now() < end) {
      given_.wait_for(lock, std::chrono::milliseconds(100));
    }
    return reply_;
  }
  bool is_given() {
    const std::lock_guard lock(mutex_);
    return reply_.has_value();
  }

 private:
  std::mutex mutex_;
  std::condition_variable given_;
  std::optional<catalog::Reply> reply_;
};

Scrubber::Scrubber(ledger::Ledger& ledger, const TierTable& tiers, const ScrubOptions& options)
    : ledger_(ledger),
      tiers_(tiers),
      options_(options),
      next_pass_ns_(ledger::monotonic_now_ns() + options.first_after_ms * ms_ns),
      thread_(1, mover::Priority::normal) {
  thread_.add([this] { run(); });
}

Scrubber::~Scrubber() { stop(); }

void Scrubber::begin_stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
}

void Scrubber::stop() {
  begin_stop();
  thread_.stop();
}

bool Scrubber::is_stopping() const {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

// ---- what is asked of it ----

std::optional<ScrubPass> Scrubber::begin_pass(catalog::TierIndex tier,
                                              std::uint64_t bytes_per_second) {
  const std::uint64_t last_order =
      ledger_.read([](const Catalog& catalog, const Clocks&) { return catalog.last_order(); });
  const std::lock_guard lock(mutex_);
  if (requested_) return std::nullopt;
  Walk walk;
  walk.pass.number = ++passes_begun_;
  walk.pass.tier = tier;
  walk.pass.requested = true;
  walk.pass.bytes_per_second = bytes_per_second != 0 ? bytes_per_second : options_.bytes_per_second;
  walk.pass.begun_at_ns = wall_now_ns();
  walk.last_order = last_order;
  walk.has_wrapped = true;
  requested_ = std::move(walk);
  changed_.notify_all();
  return requested_->pass;
}

bool Scrubber::check_payload(const catalog::Id& id, Done done) {
  std::unique_lock lock(mutex_);
  if (requests_.size() >= requests_max) return false;
  if (!stopping_) {
    requests_.push_back({id, std::move(done)});
    changed_.notify_all();
    return true;
  }
  lock.unlock();
  ScrubOutcome outcome;
  outcome.reason = Reason::shutting_down;
  done(outcome);
  return true;
}

std::vector<ScrubPass> Scrubber::passes(std::int64_t& next_at_ns) const {
  const std::lock_guard lock(mutex_);
  std::vector<ScrubPass> all;
  if (requested_) all.push_back(requested_->pass);
  if (own_) all.push_back(own_->pass);
  all.insert(all.end(), ended_.begin(), ended_.end());
  std::sort(all.begin(), all.end(),
            [](const ScrubPass& a, const ScrubPass& b) { return a.number > b.number; });
  next_at_ns = 0;
  if (options_.enabled && !own_) {
    const std::uint64_t now = ledger::monotonic_now_ns();
    next_at_ns = wall_now_ns() + static_cast<std::int64_t>(std::max(next_pass_ns_, now) - now);
  }
  return all;
}

// ---- the thread ----

void Scrubber::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (!requests_.empty()) {
      lock.unlock();
      serve_requests();
      lock.lock();
    } else if (Walk* const walk = next_walk(lock); walk != nullptr) {
      lock.unlock();
      step(*walk);
      lock.lock();
    }
  }
  lock.unlock();
  serve_requests();
}

// What was asked for first. Null: there is nothing to do now; it has waited a while.
Scrubber::Walk* Scrubber::next_walk(std::unique_lock<std::mutex>& lock) {
  if (requested_) return &*requested_;
  if (own_) return &*own_;
  if (options_.enabled && ledger::monotonic_now_ns() >= next_pass_ns_) {
    lock.unlock();
    begin_by_itself();
    lock.lock();
    return &*own_;
  }
  const std::uint64_t left_ns =
      options_.enabled ? next_pass_ns_ - std::min(next_pass_ns_, ledger::monotonic_now_ns())
                       : UINT64_MAX;
  constexpr std::uint64_t look_every_ns = 60 * second_ns;
  changed_.wait_for(lock, nanoseconds(std::min(left_ns, look_every_ns)));
  return nullptr;
}

void Scrubber::begin_by_itself() {
  const std::uint64_t last_order =
      ledger_.read([](const Catalog& catalog, const Clocks&) { return catalog.last_order(); });
  const std::uint64_t begun_ns = ledger::monotonic_now_ns();
  Walk walk;
  walk.first_order = walk.order = random_number() % (last_order + 1);
  walk.last_order = last_order;
  walk.pass.bytes_per_second = options_.bytes_per_second;
  walk.pass.begun_at_ns = wall_now_ns();
  const std::lock_guard lock(mutex_);
  walk.pass.number = ++passes_begun_;
  next_pass_ns_ = begun_ns + options_.interval_ms * ms_ns;
  own_ = std::move(walk);
}

// Reads one copy.
void Scrubber::step(Walk& walk) {
  if (walk.pending.empty() && !refill(walk)) return end(walk);
  const CopyToCheck copy = walk.pending.front();
  walk.pending.pop_front();
  const bool is_wanted = walk.pass.tier == catalog::no_tier
                             ? walk.pass.requested || tiers_.all()[copy.object.tier].scrub
                             : walk.pass.tier == copy.object.tier;
  if (!is_wanted) return;
  if (copy.object.length < copy_bytes_min) charge(walk, copy_bytes_min - copy.object.length);
  ScrubOutcome outcome;
  const bool is_done = check(
      copy, [&](std::uint64_t bytes) { return wait_turn(walk, bytes); }, outcome);
  if (!is_done) walk.pending.push_front(copy);
  const std::lock_guard lock(mutex_);
  add(walk.pass.counts, outcome.counts);
}

// False: all has been looked at.
bool Scrubber::refill(Walk& walk) {
  while (walk.pending.empty() && !is_stopping()) {
    std::vector<CopyToCheck> found;
    const std::uint64_t end =
        walk.has_wrapped && walk.first_order != 0 ? walk.first_order : walk.last_order;
    const bool more = ledger_.read([&](const Catalog& catalog, const Clocks&) {
      return catalog.copies_to_check(walk.order, end, slice_payloads, found);
    });
    walk.pending.assign(found.begin(), found.end());
    if (more) continue;
    if (walk.has_wrapped) return !walk.pending.empty();
    walk.has_wrapped = true;
    walk.order = 0;
    if (walk.first_order == 0) return !walk.pending.empty();
  }
  return true;
}

void Scrubber::end(Walk& walk) {
  const std::lock_guard lock(mutex_);
  walk.pass.ended_at_ns = wall_now_ns();
  const ScrubCounts& counts = walk.pass.counts;
  log::info("scrub", "pass " + std::to_string(walk.pass.number) + ": " +
                         std::to_string(counts.copies) + " copies, " +
                         std::to_string(counts.bytes) + " bytes, " + std::to_string(counts.bad) +
                         " bad, " + std::to_string(counts.repaired) + " repaired, " +
                         std::to_string(counts.lost) + " lost, " +
                         std::to_string(counts.unreadable) + " unreadable");
  ended_.push_front(walk.pass);
  if (ended_.size() > passes_kept) ended_.pop_back();
  if (walk.pass.requested) {
    requested_.reset();
  } else {
    own_.reset();
  }
}

void Scrubber::serve_requests() {
  while (true) {
    Request request;
    bool stopping = false;
    {
      const std::lock_guard lock(mutex_);
      if (requests_.empty()) return;
      request = std::move(requests_.front());
      requests_.pop_front();
      stopping = stopping_;
    }
    ScrubOutcome outcome;
    outcome.reason = Reason::shutting_down;
    if (!stopping) outcome = check_all(request.id);
    request.done(outcome);
  }
}

ScrubOutcome Scrubber::check_all(const catalog::Id& id) {
  ScrubOutcome outcome;
  std::vector<CopyToCheck> copies;
  outcome.reason = ledger_.read([&](const Catalog& catalog, const Clocks& now) {
    return catalog.copies_to_check(id, now, copies, outcome.lsn);
  });
  for (const CopyToCheck& copy : copies) {
    if (!check(
            copy, [this](std::uint64_t) { return !is_stopping(); }, outcome)) {
      outcome.reason = Reason::shutting_down;
      break;
    }
  }
  return outcome;
}

// ---- the rate ----

// Waits until the pass may read so many bytes more; meanwhile it does what is asked for at once.
// False: the host stops, or a pass that was asked for goes first.
bool Scrubber::wait_turn(const Walk& walk, std::uint64_t bytes) {
  const auto gives_way = [&] { return stopping_ || (requested_ && !walk.pass.requested); };
  while (true) {
    std::unique_lock lock(mutex_);
    if (gives_way()) return false;
    if (!requests_.empty()) {
      lock.unlock();
      serve_requests();
      continue;
    }
    const std::uint64_t now = ledger::monotonic_now_ns();
    if (now >= next_read_ns_) break;
    changed_.wait_for(lock, nanoseconds(next_read_ns_ - now));
  }
  charge(walk, bytes);
  return true;
}

void Scrubber::charge(const Walk& walk, std::uint64_t bytes) {
  if (walk.pass.bytes_per_second == 0) return;
  const std::lock_guard lock(mutex_);
  const std::uint64_t now = ledger::monotonic_now_ns();
  next_read_ns_ = std::max(next_read_ns_, now) + bytes * second_ns / walk.pass.bytes_per_second;
}

// ---- one copy ----

template <typename Command>
std::optional<catalog::Reply> Scrubber::ask(Command command) {
  answers_.remove_if([](Answer& answer) { return answer.is_given(); });
  Answer& answer = answers_.emplace_back();
  command.ticket = ledger::ticket_of(&answer);
  ledger_.submit(command);
  return answer.await([this] { return is_stopping(); });
}

// What is found out is recorded, so it waits while nothing can be.
bool Scrubber::wait_for_journal() {
  while (!ledger_.accepts_changes()) {
    std::unique_lock lock(mutex_);
    if (stopping_) return false;
    changed_.wait_for(lock, std::chrono::milliseconds(100));
  }
  return true;
}

bool Scrubber::check(const CopyToCheck& copy, const mover::MayRead& may_read,
                     ScrubOutcome& outcome) {
  const auto begun = ask(catalog::CheckCopy{0, copy.object.payload, copy.object.generation});
  // It has gone meanwhile, or nobody answers any more.
  if (!begun || begun->reason != Reason::none) return begun.has_value();
  const mover::TierObject object =
      mover::tier_object(tiers_.all()[copy.object.tier].tier, copy.object);
  const auto counted = [&](std::uint64_t bytes) {
    if (!may_read(bytes)) return false;
    outcome.counts.bytes += bytes;
    return true;
  };
  const mover::CheckResult result =
      mover::check_copy(object, copy.object.length, copy.checksum, counted);
  judge(copy, result, outcome);
  return !result.stopped;
}

// Says what was found, whatever it was: the copy is held until then.
void Scrubber::judge(const CopyToCheck& copy, const mover::CheckResult& result,
                     ScrubOutcome& outcome) {
  using Verdict = CopyChecked::Verdict;
  CopyChecked report{0, copy.object.payload, copy.object.generation, result.verdict,
                     result.checksum};
  const bool computes = copy.checksum.kind == catalog::ChecksumKind::none;
  const bool is_news =
      result.verdict == Verdict::bad || (result.verdict == Verdict::good && (computes || copy.bad));
  if (result.verdict != Verdict::unknown) ++outcome.counts.copies;
  if (result.verdict == Verdict::unknown && !result.stopped) {
    ++outcome.counts.unreadable;
    if (outcome.reason == Reason::none) outcome.reason = Reason::storage_error;
    log::warn("scrub", text_of_copy(tiers_, copy) + " could not be read: " + result.words);
  }
  if (is_news && !wait_for_journal()) report.verdict = Verdict::unknown;
  if (!is_news || report.verdict == Verdict::unknown) return ledger_.submit(report);
  const auto reply = ask(report);
  // It has gone meanwhile.
  if (reply && reply->reason == Reason::payload_not_found) return;
  if (result.verdict == Verdict::bad || copy.bad) {
    return report_bad(copy, result.words, reply ? &*reply : nullptr, outcome);
  }
  if (reply && reply->reason == Reason::none) ++outcome.counts.checksums;
}

void Scrubber::report_bad(const CopyToCheck& copy, const std::string& words,
                          const catalog::Reply* reply, ScrubOutcome& outcome) {
  ++outcome.counts.bad;
  const Reason reason = reply != nullptr ? reply->reason : Reason::shutting_down;
  std::string end = "it could not be replaced yet";
  if (reason == Reason::none && words.empty()) {
    ++outcome.counts.repaired;
    end = "it is good again";
  } else if (reason == Reason::none) {
    ++outcome.counts.repaired;
    end = "a good copy has taken its place";
  } else if (reason == Reason::payload_lost) {
    ++outcome.counts.lost;
    outcome.lost_on = copy.object.tier;
    end =
        "there is no other: the payload is lost, and what is left of it stays until it is deleted";
  }
  if (outcome.reason == Reason::none || reason == Reason::payload_lost) outcome.reason = reason;
  log::error("scrub", text_of_copy(tiers_, copy) + " is bad" +
                          (words.empty() ? std::string() : ": " + words) + "; " + end);
}

}  // namespace pm::api
