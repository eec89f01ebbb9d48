#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "change_log.h"
#include "clocks.h"
#include "core/catalog/catalog.h"
#include "journal.h"

namespace pm::ledger {

// Receives the one reply to a command whose ticket is its address. May be called before submit()
// returns, on any thread; must not block.
class ReplyHandler {
 public:
  virtual void on_reply(const catalog::Reply& reply) = 0;

 protected:
  ~ReplyHandler() = default;
};

inline catalog::Ticket ticket_of(ReplyHandler* handler) {
  return reinterpret_cast<catalog::Ticket>(handler);
}
inline ReplyHandler* handler_of(catalog::Ticket ticket) {
  return reinterpret_cast<ReplyHandler*>(ticket);
}

// Runs the catalog: one short lock round it, records to the journal in order, effects and replies
// out when what they rest on is durable, time in. No I/O, plugin call or reply happens under the
// lock.
class Ledger {
 public:
  // The catalog has been restored. `run_effect` carries an effect out and has it reported by a
  // Command (Allocated, Sealed, Moved, Removed), perhaps before it returns; it blocks no longer
  // than the tiers' inline calls do. `on_fatal` is called once, on any thread, when the host must
  // end at once; from then on no reply leaves.
  Ledger(std::unique_ptr<catalog::Catalog> catalog, const JournalOptions& options,
         const pm_repository_t* repository, std::uint64_t epoch, std::uint64_t last_sequence,
         const TierNames& tiers, std::function<void(catalog::Effect)> run_effect,
         std::function<void(const Status&)> on_fatal);
  ~Ledger();
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

  // Called, on the thread that writes the journal, with what followers of streams must hear, once
  // it is durable and in the order of LSNs. Set before the first command of a client; it must not
  // block.
  void on_stream_notice(std::function<void(const catalog::StreamNotice&)> handler) {
    on_stream_notice_ = std::move(handler);
  }

  // Called, outside of the lock, with what policies are to be asked; the answer is a command. Once,
  // before the first command of a client; what a Tick has asked before is told then. It must not
  // block.
  void on_question(std::function<void(const catalog::Question&)> handler);

  // Applies a command and lets follow what must. [thread-safe]
  void submit(const catalog::Command& command);

  // False when the journal has no room: then commands of clients that change something are not
  // to be submitted. [thread-safe]
  bool accepts_changes() const { return !journal_.is_full(); }

  // Since when the oldest batch waits for the repository; 0: none does. [thread-safe]
  std::uint64_t unwritten_since_ns() const { return journal_.unwritten_since_ns(); }

  // Runs `read(catalog, clocks)` under the lock. It must be short. [thread-safe]
  template <typename Read>
  auto read(Read&& read) {
    const std::lock_guard lock(mutex_);
    return std::forward<Read>(read)(std::as_const(*catalog_), runtime_.read_clocks());
  }

  // Calls `then(true)` once everything up to `lsn` is durable, at once if it is; `then(false)` when
  // the ledger has stopped before that. [thread-safe]
  using Then = std::function<void(bool is_durable)>;
  void when_durable(std::uint64_t lsn, Then then);

  // What happened, as it is told to watchers. Changes up to durable_lsn() may be shown.
  ChangeLog& changes() { return changes_; }
  // From now on the log's listener is called: who looks into the log after this call, and whenever
  // the listener is called, misses nothing. [thread-safe]
  void begin_watch();
  std::uint64_t durable_lsn() const { return durable_lsn_.load(std::memory_order_acquire); }

  // Runs `submit_all`, which calls submit() on this thread, and then does the journal's work here
  // instead of waking its thread, as long as there is any. [worker]
  template <typename Submit>
  void drive(Submit&& submit_all) {
    {
      const Journal::WillDrive promise;
      std::forward<Submit>(submit_all)();
    }
    journal_.drive();
  }

  // What the ledger's threads do otherwise, for a runtime without: one batch, or an attempt at it;
  // and a Tick, if one is due. [simulation]
  Journal::Written write_journal() { return journal_.write_waiting(); }
  bool tick_if_due();

  // Answers everyone who waits, waits for operations to end, flushes the journal. Whoever is not
  // answered by the deadline, or calls later, is told that the host stops.
  void stop(std::uint64_t deadline_ns);

 private:
  using Held = std::variant<catalog::Reply, catalog::Effect, catalog::StreamNotice, Then>;

  void follow(catalog::Changes& changes);
  void ask(const std::vector<catalog::Question>& questions);
  void hold_notices(catalog::Changes& changes);
  void announce(std::uint64_t lsn);
  void hold_or_release(std::uint64_t lsn, Held held);
  void release(Held& held);
  void give_up(Held& held);
  void on_durable(std::uint64_t lsn);
  void arm_timer_locked();
  bool is_tick_due_locked(const catalog::Clocks& now) const;
  void run_timer();

  const Runtime runtime_;
  std::mutex mutex_;  // Round catalog_, last_lsn_, writing changes_, and due_.
  const std::unique_ptr<catalog::Catalog> catalog_;
  std::uint64_t last_lsn_ = catalog::restored_lsn;
  ChangeLog changes_;
  std::uint64_t due_mono_ns_ = UINT64_MAX;  // When the timer will wake up by itself.
  std::condition_variable timer_wake_;
  bool timer_stops_ = false;

  std::function<void(catalog::Effect)> run_effect_;
  std::function<void(const catalog::StreamNotice&)> on_stream_notice_;
  std::function<void(const catalog::Question&)> on_question_;  // Set under mutex_, once.
  std::vector<catalog::Question> early_questions_;             // Under mutex_: before that.
  std::function<void(const Status&)> on_fatal_;
  std::atomic<bool> dead_{false};
  bool stopped_ = false;  // Under held_mutex_: nothing becomes durable any more.

  std::mutex held_mutex_;
  std::atomic<std::uint64_t> durable_lsn_{catalog::restored_lsn};
  std::map<std::uint64_t, std::vector<Held>> held_;  // By the LSN they wait for.

  Journal journal_;
  std::thread timer_;
};

}  // namespace pm::ledger
