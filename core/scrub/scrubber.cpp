#include "scrubber.h"

#include <algorithm>
#include <chrono>
#include <random>
#include <string>
#include <utility>

#include "core/ledger/clocks.h"
#include "core/observe/log.h"

namespace pm::scrub {

using catalog::Catalog;
using catalog::Clocks;
using catalog::CopyToCheck;
using catalog::Reason;
using std::chrono::nanoseconds;

namespace {

constexpr std::uint64_t second_ns = 1'000'000'000;
constexpr std::uint64_t ms_ns = 1'000'000;
constexpr std::uint32_t slice_payloads = 64;
// A copy costs at least as much of the rate as so many bytes: seeks and commands count, too.
constexpr std::uint64_t copy_bytes_min = 64 << 10;
// Slower ones would not end, and keep others from being asked for.
constexpr std::uint64_t rate_min = 64 << 10;
constexpr std::size_t requests_max = 10'000;
constexpr std::size_t passes_kept = 8;

std::int64_t wall_now_ns() { return ledger::read_clocks().wall_ns; }

void add(Counts& sum, const Counts& more) {
  sum.copies += more.copies;
  sum.bytes += more.bytes;
  sum.checksums += more.checksums;
  sum.bad += more.bad;
  sum.repaired += more.repaired;
  sum.lost += more.lost;
  sum.unreadable += more.unreadable;
}

}  // namespace

Scrubber::Scrubber(ledger::Ledger& ledger, mover::Mover& mover, std::vector<Tier> tiers,
                   const Options& options)
    : ledger_(ledger),
      options_(options),
      checker_(ledger, mover, std::move(tiers)),
      next_pass_ns_(ledger::monotonic_now_ns() + options.first_after_ms * ms_ns),
      passes_([this] { run(); }) {}

Scrubber::~Scrubber() { stop(); }

void Scrubber::begin_stop() {
  checker_.begin_stop();
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
}

void Scrubber::stop() {
  begin_stop();
  server_.stop();
  if (passes_.joinable()) passes_.join();
}

// ---- what is asked of it ----

std::optional<Pass> Scrubber::begin_pass(catalog::TierIndex tier, std::uint64_t bytes_per_second) {
  const std::uint64_t last_order =
      ledger_.read([](const Catalog& catalog, const Clocks&) { return catalog.last_order(); });
  const std::lock_guard lock(mutex_);
  if (requested_) return std::nullopt;
  Walk walk;
  walk.pass.number = ++passes_begun_;
  walk.pass.tier = tier;
  walk.pass.requested = true;
  walk.pass.bytes_per_second =
      bytes_per_second != 0 ? std::max(bytes_per_second, rate_min) : options_.bytes_per_second;
  walk.pass.begun_at_ns = wall_now_ns();
  walk.last_order = last_order;
  walk.has_wrapped = true;
  requested_ = std::move(walk);
  changed_.notify_all();
  return requested_->pass;
}

bool Scrubber::check_payload(const catalog::Id& id, Done done) {
  {
    const std::lock_guard lock(mutex_);
    if (requests_ >= requests_max) return false;
    if (!stopping_) {
      ++requests_;
      server_.add([this, id, done = std::move(done)] {
        done(check_all(id));
        const std::lock_guard served(mutex_);
        --requests_;
      });
      return true;
    }
  }
  done(check_all(id));
  return true;
}

Outcome Scrubber::check_all(const catalog::Id& id) {
  Outcome outcome;
  outcome.reason = Reason::shutting_down;
  if (checker_.is_stopping()) return outcome;
  std::vector<CopyToCheck> copies;
  outcome.reason = ledger_.read([&](const Catalog& catalog, const Clocks& now) {
    return catalog.copies_to_check(id, now, copies, outcome.lsn);
  });
  const auto may_read = [this](std::uint64_t) { return !checker_.is_stopping(); };
  for (const CopyToCheck& copy : copies) {
    if (checker_.check(copy, may_read, outcome)) continue;
    outcome.reason = Reason::shutting_down;
    break;
  }
  if (!outcome.unreadable.empty()) log::warn("scrub", outcome.unreadable);
  return outcome;
}

std::vector<Pass> Scrubber::passes(std::int64_t& next_at_ns) const {
  const std::lock_guard lock(mutex_);
  std::vector<Pass> all;
  if (requested_) all.push_back(requested_->pass);
  if (own_) all.push_back(own_->pass);
  all.insert(all.end(), ended_.begin(), ended_.end());
  std::sort(all.begin(), all.end(),
            [](const Pass& a, const Pass& b) { return a.number > b.number; });
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
    Walk* const walk = next_walk(lock);
    if (walk == nullptr) continue;
    lock.unlock();
    step(*walk);
    lock.lock();
  }
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
  std::random_device random;
  walk.first_order = walk.order =
      std::uniform_int_distribution<std::uint64_t>(0, last_order)(random);
  walk.last_order = last_order;
  walk.has_wrapped = walk.first_order == 0;
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
  if (walk.pending.empty()) return;  // The host stops.
  const CopyToCheck copy = walk.pending.front();
  walk.pending.pop_front();
  const bool is_wanted =
      walk.pass.tier == catalog::no_tier
          ? walk.pass.requested || checker_.tier(copy.object.tier).is_read_unasked
          : walk.pass.tier == copy.object.tier;
  if (!is_wanted) return;
  if (copy.object.length < copy_bytes_min) charge(walk, copy_bytes_min - copy.object.length);
  Outcome outcome;
  const auto may_read = [&](std::uint64_t bytes) { return wait_turn(walk, copy, bytes); };
  if (!checker_.check(copy, may_read, outcome)) walk.pending.push_front(copy);
  if (!outcome.unreadable.empty() && walk.pass.counts.unreadable == 0) {
    log::warn("scrub", outcome.unreadable + "; further ones of this pass are only counted");
  }
  const std::lock_guard lock(mutex_);
  add(walk.pass.counts, outcome.counts);
}

// False: all has been looked at.
bool Scrubber::refill(Walk& walk) {
  while (walk.pending.empty() && !checker_.is_stopping()) {
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
  }
  return true;
}

void Scrubber::end(Walk& walk) {
  const std::lock_guard lock(mutex_);
  walk.pass.ended_at_ns = wall_now_ns();
  const Counts& counts = walk.pass.counts;
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

// ---- the rate ----

// Waits until the pass may read so many bytes more of the copy, or nobody wants it any more. False:
// the host stops, or a pass that was asked for goes first.
bool Scrubber::wait_turn(const Walk& walk, const CopyToCheck& copy, std::uint64_t bytes) {
  constexpr nanoseconds look_every{100 * ms_ns};
  {
    std::unique_lock lock(mutex_);
    while (true) {
      if (stopping_ || (requested_ && !walk.pass.requested)) return false;
      const std::uint64_t now = ledger::monotonic_now_ns();
      if (now >= next_read_ns_) break;
      changed_.wait_for(lock, std::min(nanoseconds(next_read_ns_ - now), look_every));
      lock.unlock();
      if (!checker_.is_wanted(copy)) return true;
      lock.lock();
    }
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

}  // namespace pm::scrub
