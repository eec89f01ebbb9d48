#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

#include "core/ledger/ledger.h"

namespace pm::api {

class WatchCall;

// What a watcher wants to be told.
struct WatchFilter {
  std::uint32_t kinds = 0;  // Bit n: catalog::EventKind n.
  bool one_payload = false;
  catalog::Id id;

  bool wants(catalog::EventKind kind) const {
    return (kinds >> static_cast<unsigned>(kind) & 1) != 0;
  }
  bool wants(const catalog::Event& event) const {
    return wants(event.kind) && (!one_payload || event.id == id);
  }
  bool wants_leases() const { return wants(catalog::EventKind::leased); }
};

// Finds, for all watchers together and on one thread, who has something to be told, and wakes it.
// So a watcher that is told nothing costs nothing, and is never too old. [thread-safe]
class WatchHub {
 public:
  // A watcher's place among the changes; the hub's.
  struct Place {
    std::uint64_t seen = 0;     // All up to here was told, or is not wanted.
    bool pending = false;       // There may be something to tell behind `seen`.
    bool quiet = false;         // It was told nothing for long: it is to be told where it stands.
    std::uint64_t told_at = 0;  // The hub's count of changes when it was last told something.
  };

  explicit WatchHub(ledger::Ledger& ledger);
  ~WatchHub() { stop(); }
  WatchHub(const WatchHub&) = delete;
  WatchHub& operator=(const WatchHub&) = delete;

  // Names this life of the host in resume tokens.
  std::uint64_t life() const { return life_; }
  // From now on the call is woken for what comes behind `after`.
  void add(WatchCall& call, std::uint64_t after);
  void remove(WatchCall& call);

  // From where on and how far the call may read; false: it has nothing to read.
  bool take_up(WatchCall& call, std::uint64_t& seen, std::uint64_t& upto);
  // The call has read up to `seen`, and told something of it or not.
  void put_down(WatchCall& call, std::uint64_t seen, bool told);
  // True once when the call was quiet for long; all up to `seen` is not wanted.
  bool take_quiet(WatchCall& call, std::uint64_t& seen);

  void stop();

 private:
  void wake();
  void run();
  void look();
  void match(const ledger::Change& change, std::vector<WatchCall*>& woken);
  void mark(WatchCall& call, std::uint64_t seen, std::vector<WatchCall*>& woken);
  void mark_all(bool quiet_only, std::vector<WatchCall*>& woken);

  struct HashId {
    std::size_t operator()(const catalog::Id& id) const { return catalog::hash_of(id); }
  };

  ledger::Ledger& ledger_;
  const std::uint64_t life_;

  std::mutex mutex_;  // Round what follows, and every Place.
  std::vector<WatchCall*> of_all_;
  std::unordered_multimap<catalog::Id, WatchCall*, HashId> of_one_;
  std::uint32_t want_leases_ = 0;  // So many watchers.
  std::uint64_t position_ = 0;     // All up to here is durable, and was matched.
  std::uint64_t count_ = 0;        // Of the changes that were matched, without leases.
  std::uint64_t quiet_check_ = 0;  // At this count it is looked who was quiet for long.

  std::mutex wake_mutex_;
  std::condition_variable wake_changed_;
  std::atomic<bool> woken_{false};
  bool stopping_ = false;
  std::vector<ledger::Change> slice_;  // Of look() alone.
  std::thread thread_;
};

}  // namespace pm::api
