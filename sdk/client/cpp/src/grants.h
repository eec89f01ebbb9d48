#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "pm/client/client.h"

// Allocations that commits brought along and that wait for their create() (CreateOptions::ahead).

namespace pm::client::detail {

// Requests are told apart by their serialized bytes. `session`: Transport's; when a session ends
// the host gives to others what it had granted there, so what is of another one is forgotten.
// [thread-safe]
class Grants {
 public:
  // A grant for `request` that is fresh enough to be used.
  std::optional<Descriptor> take(const std::string& request, std::uint64_t session);

  // May one more be asked for? After true, exactly one keep() or give_up() must follow.
  bool begin(std::uint64_t session);
  void keep(std::string request, Descriptor descriptor, std::uint64_t session);
  void give_up();

  // Those that were not used in time, and all; the caller deletes them.
  std::vector<PayloadId> take_stale();
  std::vector<PayloadId> take_all();

 private:
  using Time = std::chrono::steady_clock::time_point;
  struct Grant {
    std::string request;
    Descriptor descriptor;
    Time end;
    std::uint64_t session;
  };
  void forget_others(std::uint64_t session);
  std::vector<PayloadId> take_ended(Time now);

  std::mutex mutex_;
  std::size_t asked_ = 0;
  std::vector<Grant> grants_;  // Oldest first.
};

}  // namespace pm::client::detail
