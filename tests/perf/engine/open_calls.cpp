#include "open_calls.h"

#include <unistd.h>

#include <algorithm>

#include "engine_caller.h"
#include "report.h"

namespace pm::perf {

namespace wire = payload::manager::catalog::v1;

namespace {

// Set when a reply came within the call: then its caller goes on at once, on the same thread.
thread_local bool replied_within_call = false;

// So few that another thread finds work too.
constexpr std::size_t ready_taken_max = 8;

}  // namespace

OpenCalls::OpenCalls(Engine& engine, std::size_t callers, std::uint64_t payload_bytes)
    : engine_(engine) {
  wire::AllocatePayloadRequest allocate;
  allocate.set_size_bytes(payload_bytes);
  allocate.set_preferred_tier(payload::manager::core::v1::TIER_RAM);
  allocate.set_layout(wire::MEMORY_LAYOUT_SLAB);
  allocate.SerializeToString(&allocate_);
  for (std::size_t index = 0; index < callers; ++index) {
    callers_.push_back(std::make_unique<Caller>());
    callers_.back()->all = this;
  }
}

double OpenCalls::run(std::size_t count, unsigned threads) {
  const double start = now_seconds();
  // Each caller begins as if its commit had just been answered.
  not_begun_ = count;
  open_ = callers_.size();
  for (const auto& caller : callers_) ready_.push_back(caller.get());
  std::vector<std::thread> running;
  for (unsigned i = 0; i < threads; ++i) running.emplace_back([this] { serve(); });
  for (std::thread& thread : running) thread.join();
  must(!failed_, "a call failed");
  return now_seconds() - start;
}

void OpenCalls::on_reply(void* data, const pm_reply_t* reply) {
  auto& caller = *static_cast<Caller*>(data);
  caller.status = reply->status;
  caller.reply.assign(reinterpret_cast<const char*>(reply->bytes), reply->length);
  if (caller.calls_on == std::this_thread::get_id()) {
    replied_within_call = true;
    return;
  }
  OpenCalls& all = *caller.all;
  bool wakes = false;
  {
    const std::lock_guard lock(all.mutex_);
    all.ready_.push_back(&caller);
    wakes = all.sleeping_ > 0;
    if (wakes) --all.sleeping_;
  }
  if (wakes) all.changed_.notify_one();
}

void OpenCalls::serve() {
  std::vector<Caller*> taken;
  while (true) {
    {
      std::unique_lock lock(mutex_);
      while (ready_.empty() && open_ > 0) {
        ++sleeping_;
        changed_.wait(lock);
      }
      if (open_ == 0) return;
      const auto count = static_cast<std::ptrdiff_t>(std::min(ready_.size(), ready_taken_max));
      taken.assign(ready_.end() - count, ready_.end());
      ready_.erase(ready_.end() - count, ready_.end());
    }
    for (Caller* caller : taken) go_on(*caller);
  }
}

// Makes the caller's calls until one is not answered at once.
void OpenCalls::go_on(Caller& caller) {
  do {
    if (caller.begun && !take_reply(caller)) return end(true);
    replied_within_call = false;
    if (!next_call(caller)) return end(false);
  } while (replied_within_call);
}

bool OpenCalls::take_reply(Caller& caller) {
  if (caller.status != PM_OK) return false;
  if (caller.commits) return caller.committed.ParseFromString(caller.reply);
  return caller.allocated.ParseFromString(caller.reply);
}

// False when the caller has no more to do.
bool OpenCalls::next_call(Caller& caller) {
  const bool commits = caller.begun && !caller.commits;
  // Not the caller's own: its reply may be here, and it on another thread, before the call returns.
  thread_local std::string request;
  if (commits) {
    *caller.commit.mutable_id() = caller.allocated.payload_descriptor().payload_id();
    caller.commit.SerializeToString(&request);
  } else {
    request = allocate_;
    const std::lock_guard lock(mutex_);
    if (not_begun_ == 0) return false;
    --not_begun_;
  }
  caller.begun = true;
  caller.commits = commits;
  caller.calls_on = std::this_thread::get_id();
  static const pm_principal_t principal{sizeof principal, getuid(), getgid(), getpid(),
                                        nullptr,          nullptr,  0,        0};
  const pm_call_info_t info{sizeof info, 0, &principal, 0, 0, nullptr};
  const pm_engine_t* const abi = engine_.abi();
  abi->call(abi, commits ? method::commit : method::allocate,
            reinterpret_cast<const std::uint8_t*>(request.data()), request.size(), &info, &on_reply,
            &caller);
  return true;
}

void OpenCalls::end(bool failed) {
  const std::lock_guard lock(mutex_);
  failed_ = failed_ || failed;
  if (failed) not_begun_ = 0;
  if (--open_ == 0) changed_.notify_all();
}

}  // namespace pm::perf
