#include "ledger.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <pm/cpp/failpoint.hpp>

#include "core/catalog/mutant.h"
#include "core/observe/log.h"

namespace pm::ledger {

namespace {

using catalog::Changes;
using catalog::Command;
using catalog::Effect;
using catalog::RemoveEffect;
using catalog::Reply;

// Vectors that keep their memory from one command to the next. submit() may run inside itself,
// when an effect is done inline, so each depth has its own.
class ChangesPool {
 public:
  std::unique_ptr<Changes> take() {
    if (free_.empty()) return std::make_unique<Changes>();
    std::unique_ptr<Changes> changes = std::move(free_.back());
    free_.pop_back();
    return changes;
  }
  void give(std::unique_ptr<Changes> changes) {
    changes->clear();
    free_.push_back(std::move(changes));
  }

 private:
  std::vector<std::unique_ptr<Changes>> free_;
};

thread_local ChangesPool changes_pool;

}  // namespace

Ledger::Ledger(std::unique_ptr<catalog::Catalog> catalog, const JournalOptions& options,
               const pm_repository_t* repository, std::uint64_t epoch, std::uint64_t last_sequence,
               const TierNames& tiers, std::function<void(Effect)> run_effect,
               std::function<void(const Status&)> on_fatal)
    : runtime_(options.runtime),
      catalog_(std::move(catalog)),
      run_effect_(std::move(run_effect)),
      on_fatal_(std::move(on_fatal)),
      journal_(
          options, repository, epoch, last_sequence, tiers,
          [this](std::uint64_t lsn) { on_durable(lsn); },
          [this](const Status& status) {
            dead_.store(true);
            on_fatal_(status);
          }) {
  if (runtime_.has_threads) timer_ = std::thread([this] { run_timer(); });
}

Ledger::~Ledger() {
  if (timer_.joinable()) stop(monotonic_now_ns());
}

void Ledger::submit(const Command& command) {
  PM_FAILPOINT("ledger.before_command");
  std::unique_ptr<Changes> changes = changes_pool.take();
  bool recorded = false;
  std::uint64_t told_lsn = 0;
  {
    const std::lock_guard lock(mutex_);
    const catalog::Clocks now = runtime_.read_clocks();
    catalog_->apply(command, now, *changes);
    recorded = !changes->records.empty();
    if (recorded) last_lsn_ = changes->lsn;
    if (!on_question_ && !changes->questions.empty()) {
      for (const auto& question : changes->questions) early_questions_.push_back(question);
      changes->questions.clear();
    }
    if (!changes->events.empty()) {
      // Before the journal can make it durable. What needs no record is told after what was
      // recorded before it, so that the order of telling is the order of happening.
      told_lsn = last_lsn_;
      changes_.append(changes->events, told_lsn);
    }
    if (recorded) {
      hold_notices(*changes);
      journal_.append(changes->lsn, changes->power, std::move(changes->records), now.mono_ns);
    }
    arm_timer_locked();
  }
  PM_FAILPOINT("ledger.after_command");
  if (recorded) journal_.wake();
  if (told_lsn != 0) announce(told_lsn);
  follow(*changes);
  changes_pool.give(std::move(changes));
}

void Ledger::follow(Changes& changes) {
  for (Reply& reply : changes.replies) {
    const std::uint64_t lsn =
        catalog::is_planted(catalog::Mutant::reply_comes_before_durable) ? 0 : reply.lsn;
    hold_or_release(lsn, std::move(reply));
  }
  for (Effect& effect : changes.effects) {
    std::uint64_t lsn = 0;
    if (const auto* remove = std::get_if<RemoveEffect>(&effect)) {
      if (!catalog::is_planted(catalog::Mutant::copy_goes_before_durable)) lsn = remove->lsn;
    } else if (const auto* publish = std::get_if<catalog::PublishEffect>(&effect)) {
      lsn = publish->lsn;
    }
    hold_or_release(lsn, std::move(effect));
  }
  if (!changes.questions.empty()) ask(changes.questions);
}

void Ledger::on_question(std::function<void(const catalog::Question&)> handler) {
  std::vector<catalog::Question> early;
  {
    const std::lock_guard lock(mutex_);
    on_question_ = std::move(handler);
    early.swap(early_questions_);
  }
  ask(early);
}

// An answer that comes at once is a command, which may ask again: each question is told when the
// one before has been, so that they do not pile up on the stack.
void Ledger::ask(const std::vector<catalog::Question>& questions) {
  thread_local std::deque<std::pair<Ledger*, catalog::Question>> waiting;
  thread_local bool is_asking = false;
  for (const catalog::Question& question : questions) waiting.emplace_back(this, question);
  if (is_asking) return;
  is_asking = true;
  while (!waiting.empty()) {
    const auto [ledger, question] = waiting.front();
    waiting.pop_front();
    if (!ledger->dead_.load(std::memory_order_relaxed)) ledger->on_question_(question);
  }
  is_asking = false;
}

// Before the journal has the group: so they are released in the order of their LSNs.
void Ledger::hold_notices(Changes& changes) {
  if (changes.stream_notices.empty()) return;
  const std::lock_guard lock(held_mutex_);
  if (stopped_) return;
  for (catalog::StreamNotice& notice : changes.stream_notices) {
    held_[notice.lsn].emplace_back(std::move(notice));
  }
}

// Wakes whoever watches, if what was just appended may be shown already; else on_durable() does.
void Ledger::announce(std::uint64_t lsn) {
  if (!changes_.is_watched()) return;
  if (lsn > durable_lsn_.load(std::memory_order_acquire)) {
    // With the lock, so that either this or on_durable() sees the other's part.
    const std::lock_guard lock(held_mutex_);
    if (lsn > durable_lsn_.load(std::memory_order_relaxed)) return;
  }
  changes_.notify();
}

// Each lock is taken once after watch(true): who had it before has left what can be read now, and
// who gets it later sees that there is a listener.
void Ledger::begin_watch() {
  changes_.watch(true);
  { const std::lock_guard lock(mutex_); }
  { const std::lock_guard lock(held_mutex_); }
}

void Ledger::hold_or_release(std::uint64_t lsn, Held held) {
  if (lsn > durable_lsn_.load(std::memory_order_acquire)) {
    std::unique_lock lock(held_mutex_);
    if (lsn > durable_lsn_.load(std::memory_order_relaxed)) {
      if (!stopped_) {
        held_[lsn].push_back(std::move(held));
        return;
      }
      lock.unlock();
      return give_up(held);
    }
  }
  release(held);
}

// What was done may be durable or not; nobody will know before the next start. Removes are left to
// it, too.
void Ledger::give_up(Held& held) {
  if (dead_.load(std::memory_order_relaxed)) return;
  if (auto* reply = std::get_if<Reply>(&held)) {
    if (reply->ticket == 0) return;
    Reply refusal;
    refusal.ticket = reply->ticket;
    refusal.reason = catalog::Reason::shutting_down;
    handler_of(reply->ticket)->on_reply(refusal);
  } else if (auto* then = std::get_if<Then>(&held)) {
    (*then)(false);
  }
}

void Ledger::release(Held& held) {
  if (dead_.load(std::memory_order_relaxed)) return;
  if (const auto* reply = std::get_if<Reply>(&held)) {
    if (reply->ticket == 0) return;
    PM_FAILPOINT("ledger.before_reply");
    handler_of(reply->ticket)->on_reply(*reply);
    PM_FAILPOINT("ledger.after_reply");
  } else if (auto* effect = std::get_if<Effect>(&held)) {
    PM_FAILPOINT("ledger.before_effect");
    run_effect_(std::move(*effect));
  } else if (const auto* notice = std::get_if<catalog::StreamNotice>(&held)) {
    if (on_stream_notice_) on_stream_notice_(*notice);
  } else {
    std::get<Then>(held)(true);
  }
}

void Ledger::on_durable(std::uint64_t lsn) {
  std::vector<std::vector<Held>> due;
  bool watched = false;
  {
    const std::lock_guard lock(held_mutex_);
    durable_lsn_.store(lsn, std::memory_order_release);
    watched = changes_.is_watched();
    while (!held_.empty() && held_.begin()->first <= lsn) {
      due.push_back(std::move(held_.begin()->second));
      held_.erase(held_.begin());
    }
  }
  for (std::vector<Held>& group : due) {
    for (Held& held : group) release(held);
  }
  if (watched) changes_.notify();
}

void Ledger::when_durable(std::uint64_t lsn, Then then) { hold_or_release(lsn, std::move(then)); }

// ---- time ----

void Ledger::arm_timer_locked() {
  const std::uint64_t due = catalog_->next_due_mono_ns();
  if (due == 0 || due >= due_mono_ns_) return;
  due_mono_ns_ = due;
  timer_wake_.notify_one();
}

bool Ledger::is_tick_due_locked(const catalog::Clocks& now) const {
  const std::uint64_t mono = catalog_->next_due_mono_ns();
  const std::int64_t wall = catalog_->next_due_wall_ns();
  return (mono != 0 && mono <= now.mono_ns) || (wall != 0 && wall <= now.wall_ns);
}

bool Ledger::tick_if_due() {
  {
    const std::lock_guard lock(mutex_);
    if (!is_tick_due_locked(runtime_.read_clocks())) return false;
  }
  submit(catalog::Tick{});
  return true;
}

void Ledger::run_timer() {
  // Wall time may jump, so a life that ends by it is looked at once a second at least.
  constexpr std::uint64_t look_every_ns = 1'000'000'000;
  std::unique_lock lock(mutex_);
  while (!timer_stops_) {
    const catalog::Clocks now = runtime_.read_clocks();
    if (is_tick_due_locked(now)) {
      lock.unlock();
      submit(catalog::Tick{});
      lock.lock();
      continue;
    }
    const std::uint64_t mono = catalog_->next_due_mono_ns();
    const std::int64_t wall = catalog_->next_due_wall_ns();
    due_mono_ns_ = now.mono_ns + look_every_ns;
    if (mono != 0) due_mono_ns_ = std::min(due_mono_ns_, mono);
    if (wall != 0) {
      const auto left = static_cast<std::uint64_t>(wall - now.wall_ns);
      due_mono_ns_ = std::min(due_mono_ns_, now.mono_ns + left);
    }
    timer_wake_.wait_for(lock, std::chrono::nanoseconds(due_mono_ns_ - now.mono_ns));
  }
}

void Ledger::stop(std::uint64_t deadline_ns) {
  submit(catalog::Shutdown{});
  const auto busy = [this] {
    return read([](const catalog::Catalog& catalog, const catalog::Clocks&) {
      return catalog.counts().operations > 0;
    });
  };
  // What the mover has begun ends by itself; nothing new begins.
  while (busy() && monotonic_now_ns() < deadline_ns) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  journal_.stop(deadline_ns);
  std::map<std::uint64_t, std::vector<Held>> left;
  {
    const std::lock_guard lock(held_mutex_);
    stopped_ = true;
    left.swap(held_);
  }
  for (auto& [lsn, group] : left) {
    for (Held& held : group) give_up(held);
  }
  {
    const std::lock_guard lock(mutex_);
    timer_stops_ = true;
  }
  timer_wake_.notify_one();
  if (timer_.joinable()) timer_.join();
}

}  // namespace pm::ledger
