#include "stream_call.h"

#include <algorithm>

#include "delivery.h"

namespace pm::api {

StreamCall::StreamCall(const Services& services, const Invocation& invocation)
    : Call(services, invocation), credit_(invocation.info->credit) {}

void StreamCall::begin() {
  services().calls.add_stream(this);
  begun_.store(true);
  wake();
}

void StreamCall::add_credit(std::uint32_t replies) {
  // With credit left, deliver() has sent what there was.
  if (credit_.fetch_add(replies, std::memory_order_acq_rel) == 0) wake();
}

void StreamCall::wake() {
  // Ended before it is registered, it would be registered for ever.
  if (!begun_.load()) return;
  if (!scheduled_.exchange(true, std::memory_order_acq_rel)) services().delivery.schedule(*this);
}

void StreamCall::cancel() {
  cancelled_.store(true);
  wake();
}

void StreamCall::end_for_stop() {
  host_stops_.store(true);
  wake();
}

bool StreamCall::take_credit() {
  // Only run() takes, so what is seen here cannot shrink meanwhile.
  if (credit_.load(std::memory_order_acquire) == 0) return false;
  credit_.fetch_sub(1, std::memory_order_relaxed);
  return true;
}

void StreamCall::send(const google::protobuf::MessageLite& message) {
  reply_message(invocation(), message, false);
}

void StreamCall::send_bytes(std::string_view message) { reply_bytes(invocation(), message, false); }

void StreamCall::limit_credit(std::uint32_t replies) {
  credit_.store(std::min<std::uint64_t>(credit_.load(), replies));
}

void StreamCall::end(const Status& status, const ErrorFacts& facts) {
  ended_ = true;
  leave();
  finish(status, facts);
}

void StreamCall::run() {
  // Before deliver() looks: what comes later schedules it again.
  scheduled_.store(false, std::memory_order_release);
  if (ended_) return;
  if (cancelled_.load()) return end(status_of(catalog::Reason::request_cancelled));
  if (host_stops_.load()) return end(status_of(catalog::Reason::shutting_down));
  deliver();
}

}  // namespace pm::api
