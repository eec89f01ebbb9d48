#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "change_ring.h"

namespace pm::ledger {

// What happened in this life of the host, as far as it is remembered: leases apart from the rest,
// so that many leases do not make the rest forgotten. Written under the ledger's lock, read
// outside of it.
class ChangeLog {
 public:
  // Powers of two.
  static constexpr std::size_t changes_kept = 65'536;
  static constexpr std::size_t leases_kept = 16'384;

  explicit ChangeLog(std::size_t changes = changes_kept, std::size_t leases = leases_kept);

  // `lsn` must be durable before anybody is told; it never goes down. [under the ledger's lock]
  void append(const std::vector<catalog::Event>& events, std::uint64_t lsn);

  // The sequence of the newest event. [thread-safe]
  std::uint64_t end() const { return end_.load(std::memory_order_acquire); }

  // Whether all behind `after` is still there. [thread-safe]
  bool remembers(std::uint64_t after, bool with_leases) const {
    return !changes_.forgot_after(after) && !(with_leases && leases_.forgot_after(after));
  }

  // Replaces `out` by the changes behind `after`, in order: at most `count`, none that rests on
  // more than `durable_lsn`, leases only on demand. `upto` is how far all is in `out`. False: some
  // of it is no longer remembered. [thread-safe]
  bool read(std::uint64_t after, bool with_leases, std::uint64_t durable_lsn, std::size_t count,
            std::vector<Change>& out, std::uint64_t& upto) const;

  // The newest changes of one payload first, without leases, at most `count`. [thread-safe]
  std::vector<Change> history(const catalog::Id& id, std::size_t count) const;

  // Calls `on_change` (on any thread, without a lock) whenever there may be more that is durable,
  // as long as watch(true). Set once, before the first event. [control-thread]
  void listen(std::function<void()> on_change) { on_change_ = std::move(on_change); }
  void watch(bool on) { watched_.store(on, std::memory_order_release); }
  bool is_watched() const { return watched_.load(std::memory_order_acquire); }
  void notify() const {
    if (on_change_) on_change_();
  }

 private:
  ChangeRing changes_;
  ChangeRing leases_;
  std::atomic<std::uint64_t> end_{0};
  std::atomic<bool> watched_{false};
  std::function<void()> on_change_;
};

}  // namespace pm::ledger
