#pragma once

#include <pm/frontend.h>

#include <atomic>

#include "call.h"
#include "delivery.h"
#include "local_engine.h"
#include "repository_reader.h"
#include "stream_hub.h"
#include "turns.h"
#include "watch_hub.h"

namespace pm::api {

// The engine as frontends see it: finds the method and calls it. Rights, limits and measurements
// of calls belong here, once for all frontends.
class Dispatcher {
 public:
  Dispatcher(ledger::Ledger& ledger, const TierTable& tiers, const pm_repository_t* repository,
             scrub::Scrubber& scrubber, PolicyDesk& policies, LocalEngine& local, HostFacts host);
  Dispatcher(const Dispatcher&) = delete;
  Dispatcher& operator=(const Dispatcher&) = delete;

  const pm_engine_t* abi() const { return &engine_; }

  // Ends the streaming calls, also those to come: before frontends are drained.
  void end_streams();

  // Ends the threads. The ledger has been stopped.
  void stop();

 private:
  static Dispatcher& self(const pm_engine_t* engine);
  static std::uint64_t call(const pm_engine_t* engine, const char* method,
                            const std::uint8_t* request, std::uint64_t length,
                            const pm_call_info_t* info, pm_on_reply_t on_reply,
                            void* data) noexcept;
  static void credit(const pm_engine_t* engine, std::uint64_t call, std::uint32_t replies) noexcept;
  static void cancel(const pm_engine_t* engine, std::uint64_t call) noexcept;
  void serve_local_clients();

  LocalEngine& local_;
  CallRegistry calls_;
  RepositoryReader reader_;
  Delivery delivery_;
  StreamHub streams_;
  Turns lineage_turns_;
  WatchHub watch_;
  const HostFacts host_;
  Services services_;
  std::atomic<bool> streams_end_{false};
  pm_engine_t engine_{};
};

}  // namespace pm::api
