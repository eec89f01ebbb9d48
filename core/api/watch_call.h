#pragma once

#include <cstdint>
#include <vector>

#include "stream_call.h"
#include "watch_hub.h"

namespace pm::api {

// One watcher. It reads the changes by itself when the hub wakes it, as far as its client takes
// them.
class WatchCall final : public StreamCall {
 public:
  WatchCall(const Services& services, const Invocation& invocation, const WatchFilter& filter,
            std::uint64_t after)
      : StreamCall(services, invocation), filter_(filter), start_(after) {}

  const WatchFilter& filter() const { return filter_; }
  WatchHub::Place& place() { return place_; }

 private:
  enum class Next : std::uint8_t { more, no_credit, ended };

  void deliver() override;
  void leave() override;
  bool send_sync(std::uint64_t sequence);
  void send_change(const ledger::Change& change);
  Next send_slice(std::uint64_t seen, std::uint64_t upto);

  const WatchFilter filter_;
  const std::uint64_t start_;
  bool joined_ = false;
  bool synced_ = false;
  WatchHub::Place place_;  // The hub's.
  std::vector<ledger::Change> slice_;
};

}  // namespace pm::api
