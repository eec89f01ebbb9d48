#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

#include "call.h"

namespace pm::api {

// A call with any number of replies. Its owner puts what is to be sent where deliver() finds it,
// and wakes it.
class StreamCall : public Call {
 public:
  StreamCall(const Services& services, const Invocation& invocation);

  // Once, when whole: from now on it gets credit, and is delivered for the first time. What comes
  // before (a cancel, a wake) takes effect here.
  void begin();
  // The client's transport takes `replies` more. [thread-safe]
  void add_credit(std::uint32_t replies);
  // There may be something to send. [thread-safe]
  void wake();
  void cancel() override;
  // The host stops. [thread-safe]
  void end_for_stop();

 protected:
  // Sends what there is until take_credit() refuses, or ends the call. Never overlaps itself.
  virtual void deliver() = 0;
  // The call is about to end: from now on nobody may wake it but those who retain it.
  virtual void leave() = 0;

  // False: nothing may be sent now; credit wakes the call again.
  bool take_credit();
  // At most so many replies on their way at a time, also when the transport would take more.
  // Before begin().
  void limit_credit(std::uint32_t replies);
  void send(const google::protobuf::MessageLite& message);
  void send_bytes(std::string_view message);
  void end(const Status& status, const ErrorFacts& facts = {});

 private:
  friend class Delivery;
  void run();

  std::atomic<std::uint64_t> credit_;
  std::atomic<bool> begun_{false};
  std::atomic<bool> scheduled_{false};
  std::atomic<bool> cancelled_{false};
  std::atomic<bool> host_stops_{false};
  bool ended_ = false;  // Touched by run() alone.
};

}  // namespace pm::api
