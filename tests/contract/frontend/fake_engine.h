#pragma once

#include <pm/ext/draft/engine_local.h>
#include <pm/frontend.h>

#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace pm::frontend_contract {

// What one call brought along.
struct SeenCall {
  std::uint64_t deadline_ns = 0;
  std::uint32_t credit = 0;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::int32_t pid = 0;
  bool is_trusted = false;
  std::uint64_t session = 0;
  std::string traceparent;
  std::string token;
  std::string tls_subject;
};

struct Counts {
  std::uint64_t calls = 0;
  std::uint64_t done = 0;
  std::uint64_t cancels = 0;
  std::uint64_t repeated_cancels = 0;  // Of a call that was cancelled already.
  std::uint64_t replies = 0;           // Of streams.
  std::uint64_t opened = 0;            // Sessions.
  std::uint64_t closed = 0;
  std::uint64_t closed_wrongly = 0;  // That were not open, or had calls under way.
  std::uint64_t released = 0;
};

// An engine that stands in for the host. Its services, all of pm.fake.v1, take plain text:
//   Fake.Echo             answers the request, before call() returns
//   Fake.Later "MS"       answers the request from another thread after MS ms, cancelled or not
//   Fake.Fail "CODE TEXT" fails with that status, TEXT and the details "details of TEXT"
//   Fake.Never            answers nothing until it is cancelled
//   Fake.Stuck            does not even then, until release_stuck()
//   Streams.Count "N BYTES"  streams N replies of BYTES bytes that begin with their number
//   Streams.Endless       streams until it is cancelled
//
// It shares descriptors (pm.engine.local/1). The first letter of an id says what becomes of it:
//   n  NOT_FOUND   s  takes 200 ms   H  hangs until release_stuck()   all others (also slabs): a
//   file that says what was asked
// Who is trusted may attach, and gets files that say "directory" and "page".
class FakeEngine {
 public:
  FakeEngine();
  ~FakeEngine();
  FakeEngine(const FakeEngine&) = delete;
  FakeEngine& operator=(const FakeEngine&) = delete;

  const pm_engine_t* face() const { return &face_; }

  Counts counts() const;
  SeenCall last_call() const;
  void release_stuck();

  // Whether `condition` of the counts came true within five seconds.
  template <typename Condition>
  bool eventually(Condition condition) const {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(5), [&] { return condition(counts_); });
  }

 private:
  enum class Behaviour { later, never, stuck, stream };
  struct Call {
    Behaviour behaviour = Behaviour::never;
    pm_on_reply_t on_reply = nullptr;
    void* data = nullptr;
    std::string text;
    std::uint64_t due_ns = 0;
    std::uint64_t remaining = 0;
    std::uint64_t next = 0;
    std::uint64_t credit = 0;
    std::size_t reply_bytes = 0;
    bool cancelled = false;
    std::uint64_t session = 0;
  };
  // What goes on in a session.
  struct Session {
    bool is_trusted = false;
    std::int64_t calls = 0;  // Whose done is not on its way.
  };
  struct Action {
    pm_on_reply_t on_reply = nullptr;
    void* data = nullptr;
    std::string text;
    pm_status_t status = PM_OK;
    bool done = false;
    std::uint64_t session = 0;
  };

  static const pm_engine_local_t* local_face();
  std::uint64_t call(const std::string& method, const std::string& request,
                     const pm_call_info_t& info, pm_on_reply_t on_reply, void* data);
  std::uint64_t open_session(const pm_principal_t& principal);
  void close_session(std::uint64_t session);
  void said_done(std::uint64_t session);
  void note(const pm_call_info_t& info);
  void finish_now(pm_on_reply_t on_reply, void* data, const std::string& method,
                  const std::string& request, std::uint64_t session);
  void cancel(std::uint64_t id);
  void work();
  bool next_action(Action& action, std::uint64_t now_ns);
  bool action_of(Call& call, Action& action, std::uint64_t now_ns) const;

  pm_engine_t face_{};
  std::string descriptors_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::map<std::uint64_t, Call> calls_;
  std::uint64_t last_id_ = 0;
  Counts counts_;
  std::map<std::uint64_t, Session> sessions_;
  std::uint64_t last_session_ = 0;
  SeenCall last_call_;
  bool stuck_released_ = false;
  bool stopping_ = false;
  std::thread worker_;
};

// The same on CLOCK_MONOTONIC as the ABI's deadlines.
std::uint64_t monotonic_ns();

}  // namespace pm::frontend_contract
