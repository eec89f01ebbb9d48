#include "watch_hub.h"

#include <algorithm>
#include <cstring>

#include "ids.h"
#include "watch_call.h"

namespace pm::api {

using ledger::ChangeLog;

namespace {

// A watcher that was told nothing while so many changes passed is told where it stands, so that its
// token does not grow too old.
constexpr std::uint64_t quiet_changes = ChangeLog::changes_kept / 2;
constexpr std::uint64_t quiet_check_every = ChangeLog::changes_kept / 16;

std::uint64_t random_life() {
  const catalog::Id id = random_id();
  std::uint64_t life = 0;
  std::memcpy(&life, id.bytes.data(), sizeof life);
  return life;
}

}  // namespace

WatchHub::WatchHub(ledger::Ledger& ledger)
    : ledger_(ledger), life_(random_life()), quiet_check_(quiet_check_every) {
  ledger_.changes().listen([this] { wake(); });
  thread_ = std::thread([this] { run(); });
}

void WatchHub::stop() {
  {
    const std::lock_guard lock(wake_mutex_);
    stopping_ = true;
  }
  wake_changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void WatchHub::wake() {
  if (woken_.exchange(true)) return;
  const std::lock_guard lock(wake_mutex_);
  wake_changed_.notify_one();
}

void WatchHub::run() {
  std::unique_lock lock(wake_mutex_);
  while (true) {
    wake_changed_.wait(lock, [this] { return stopping_ || woken_.load(); });
    if (stopping_) return;
    woken_.store(false);  // Before it looks: what comes later wakes it again.
    lock.unlock();
    look();
    lock.lock();
  }
}

// ---- watchers ----

void WatchHub::add(WatchCall& call, std::uint64_t after) {
  {
    const std::lock_guard lock(mutex_);
    if (of_all_.empty() && of_one_.empty()) position_ = after;
    WatchHub::Place& place = call.place();
    place.seen = after;
    place.told_at = count_;
    // What was matched before it was here it reads by itself.
    place.pending = after < position_;
    if (call.filter().one_payload) {
      of_one_.emplace(call.filter().id, &call);
    } else {
      of_all_.push_back(&call);
    }
    if (call.filter().wants_leases()) ++want_leases_;
    ledger_.begin_watch();
  }
  wake();
}

void WatchHub::remove(WatchCall& call) {
  const std::lock_guard lock(mutex_);
  if (call.filter().one_payload) {
    const auto [begin, end] = of_one_.equal_range(call.filter().id);
    const auto found =
        std::find_if(begin, end, [&](const auto& one) { return one.second == &call; });
    if (found == end) return;
    of_one_.erase(found);
  } else {
    const auto found = std::find(of_all_.begin(), of_all_.end(), &call);
    if (found == of_all_.end()) return;
    *found = of_all_.back();
    of_all_.pop_back();
  }
  if (call.filter().wants_leases()) --want_leases_;
  if (of_all_.empty() && of_one_.empty()) ledger_.changes().watch(false);
}

bool WatchHub::take_up(WatchCall& call, std::uint64_t& seen, std::uint64_t& upto) {
  const std::lock_guard lock(mutex_);
  Place& place = call.place();
  if (place.seen >= position_) place.pending = false;
  seen = place.seen;
  upto = position_;
  return place.pending;
}

void WatchHub::put_down(WatchCall& call, std::uint64_t seen, bool told) {
  const std::lock_guard lock(mutex_);
  Place& place = call.place();
  place.seen = seen;
  if (!told) return;
  place.told_at = count_;
  place.quiet = false;
}

bool WatchHub::take_quiet(WatchCall& call, std::uint64_t& seen) {
  const std::lock_guard lock(mutex_);
  Place& place = call.place();
  if (!place.quiet) return false;
  place.quiet = false;
  place.told_at = count_;
  seen = place.seen;
  return true;
}

// ---- matching ----

// The call is retained for the wake that follows outside of the lock.
void WatchHub::mark(WatchCall& call, std::uint64_t seen, std::vector<WatchCall*>& woken) {
  Place& place = call.place();
  if (place.pending || seen < place.seen) return;
  place.pending = true;
  place.seen = seen;
  call.retain();
  woken.push_back(&call);
}

void WatchHub::match(const ledger::Change& change, std::vector<WatchCall*>& woken) {
  if (change.event.kind != catalog::EventKind::leased) ++count_;
  const auto tell = [&](WatchCall& call) {
    if (call.filter().wants(change.event.kind)) mark(call, change.sequence - 1, woken);
  };
  for (WatchCall* const call : of_all_) tell(*call);
  if (of_one_.empty()) return;
  const auto [begin, end] = of_one_.equal_range(change.event.id);
  for (auto one = begin; one != end; ++one) tell(*one->second);
}

void WatchHub::mark_all(bool quiet_only, std::vector<WatchCall*>& woken) {
  const auto tell = [&](WatchCall& call) {
    Place& place = call.place();
    if (quiet_only && (place.pending || count_ - place.told_at < quiet_changes)) return;
    place.quiet = quiet_only;
    mark(call, std::max(place.seen, position_), woken);
  };
  for (WatchCall* const call : of_all_) tell(*call);
  for (const auto& [id, call] : of_one_) tell(*call);
}

void WatchHub::look() {
  constexpr std::size_t slice_max = 256;
  std::vector<WatchCall*> woken;
  bool more = true;
  while (more) {
    std::unique_lock lock(mutex_);
    const std::uint64_t after = position_;
    const bool with_leases = want_leases_ > 0;
    lock.unlock();
    std::uint64_t upto = 0;
    const bool whole =
        ledger_.changes().read(after, with_leases, ledger_.durable_lsn(), slice_max, slice_, upto);
    lock.lock();
    // Watchers that came meanwhile want it read otherwise.
    if (position_ != after || with_leases != (want_leases_ > 0)) continue;
    if (whole) {
      for (const ledger::Change& change : slice_) match(change, woken);
    } else {
      mark_all(false, woken);  // Each finds out whether what it wants was among it.
    }
    position_ = upto;
    if (count_ >= quiet_check_) {
      quiet_check_ = count_ + quiet_check_every;
      mark_all(true, woken);
    }
    more = slice_.size() == slice_max;
    lock.unlock();
    for (WatchCall* const call : woken) {
      call->wake();
      call->drop();
    }
    woken.clear();
  }
}

}  // namespace pm::api
