#include "engine_caller.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace pm::perf {

bool EngineCaller::call(const char* name, const google::protobuf::MessageLite& request,
                        google::protobuf::MessageLite& response) {
  request.SerializeToString(&request_);
  state_.store(pending, std::memory_order_relaxed);
  static const pm_principal_t principal{sizeof principal, getuid(), getgid(), getpid(),
                                        nullptr,          nullptr,  0,        0};
  const pm_call_info_t info{sizeof info, 0, &principal, 0, 0, nullptr};
  const pm_engine_t* abi = engine_.abi();
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(request_.data());
  if (drives_) {
    engine_.call_and_drive(name, bytes, request_.size(), &info, &on_reply, this);
  } else {
    abi->call(abi, name, bytes, request_.size(), &info, &on_reply, this);
  }
  wait();
  return status_ == PM_OK && response.ParseFromString(reply_);
}

void EngineCaller::on_reply(void* data, const pm_reply_t* reply) {
  auto& caller = *static_cast<EngineCaller*>(data);
  caller.status_ = reply->status;
  caller.reply_.assign(reinterpret_cast<const char*>(reply->bytes), reply->length);
  if (reply->status != PM_OK) caller.error_.assign(reply->message, reply->message_length);
  if (caller.state_.exchange(done, std::memory_order_acq_rel) == waiting) {
    // The caller may have seen it and gone on: then this wakes it once too often, which it checks.
    syscall(SYS_futex, &caller.state_, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
  }
}

void EngineCaller::wait() {
  std::uint32_t expected = pending;
  if (!state_.compare_exchange_strong(expected, waiting, std::memory_order_acq_rel)) return;
  while (state_.load(std::memory_order_acquire) == waiting) {
    syscall(SYS_futex, &state_, FUTEX_WAIT_PRIVATE, waiting, nullptr, nullptr, 0);
  }
}

}  // namespace pm::perf
