#pragma once

#include <pm/frontend.h>

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/api/engine.h"
#include "payload/manager/catalog/v1/catalog.pb.h"

namespace pm::perf {

// Callers as a frontend has them: each has one call open at a time, and no thread waits for it. A
// reply that comes later puts its caller into a queue, from which a few threads make the callers'
// next calls.
class OpenCalls {
 public:
  // Each caller allocates and commits payloads of `payload_bytes`, in turns.
  OpenCalls(Engine& engine, std::size_t callers, std::uint64_t payload_bytes);

  // Commits `count` payloads by `threads` threads; the seconds it took. Throws Failure when a call
  // failed. Called once.
  double run(std::size_t count, unsigned threads);

 private:
  struct Caller {
    OpenCalls* all = nullptr;
    std::thread::id calls_on;  // The thread that is in, or was last in, its call.
    bool begun = false;
    bool commits = false;  // What its open call is; else it allocates.
    pm_status_t status = PM_OK;
    std::string reply;
    payload::manager::catalog::v1::AllocatePayloadResponse allocated;
    payload::manager::catalog::v1::CommitPayloadRequest commit;
    payload::manager::catalog::v1::CommitPayloadResponse committed;
  };

  static void on_reply(void* data, const pm_reply_t* reply);
  void serve();
  void go_on(Caller& caller);
  bool take_reply(Caller& caller);
  bool next_call(Caller& caller);
  void end(bool failed);

  Engine& engine_;
  std::string allocate_;
  std::vector<std::unique_ptr<Caller>> callers_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Caller*> ready_;  // Their replies are here.
  std::size_t sleeping_ = 0;    // Threads that wait for `changed_`.
  std::size_t not_begun_ = 0;   // Payloads.
  std::size_t open_ = 0;        // Callers that have a call open or ready.
  bool failed_ = false;
};

}  // namespace pm::perf
