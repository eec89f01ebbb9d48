#pragma once

#include <grpc/grpc.h>
#include <pm/frontend.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>

#include "contract.h"

namespace pm::frontend {

class Server;

// One call, from the moment a place for it is offered to gRPC until gRPC and the engine have both
// let go of it; then it goes back to the server's pool. It is counted by references: one of the
// thread that handles the request, one of the reply that says done (handed on to the batch that
// sends it), one of every other batch under way.
//
// mutex_ guards everything that a reply, the end of a batch and the client's leaving race for. No
// function of the engine is called under it; gRPC's are, and never call back.
class Call {
 public:
  enum class Event { requested, received, written, closed, finished };
  struct Tag {
    Call* call;
    Event event;
  };

  explicit Call(Server& server);
  ~Call();
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  // Offers this call to gRPC as a place for the next one of `method`.
  void arm(const Method& method);

  // What gRPC reports about `tag`.
  static void dispatch(const Tag& tag, bool ok);

  // The server drains: ends the call if the plugin itself answers it (health, reflection).
  void end_local_stream();

  // The server stops before the engine has said done: no batch starts from here on, and the
  // engine is not called.
  void sever();

  // After sever(), and when no thread of the server runs any more. True: the engine still owes
  // its done, upon which the call frees itself; the caller gives up its ownership.
  bool orphan();

 private:
  void on_requested(bool ok);
  void on_received();
  void on_written(bool ok);
  void on_closed();
  void on_finished();

  void start_local(std::string_view request);
  void call_engine(std::string_view request);
  void watch_health(std::string_view request);
  void read_metadata();
  const char* read_tls_subject();
  std::uint64_t deadline_ns() const;

  static void on_reply(void* data, const pm_reply_t* reply);
  void deliver(const pm_reply_t& reply);
  void deliver_done(const pm_reply_t& reply);
  void deliver_message(const pm_reply_t& reply);
  void deliver_text(Code code, std::string_view text, bool done);
  void start_write(grpc_byte_buffer* message);
  void start_finish();
  void start_close();
  void start_receive();
  void start_batch(const grpc_op* operations, std::size_t count, Tag& tag);

  void unreference();
  void clean();

  Server& server_;
  const Method* method_ = nullptr;
  Tag requested_{this, Event::requested};
  Tag received_{this, Event::received};
  Tag written_{this, Event::written};
  Tag closed_{this, Event::closed};
  Tag finished_{this, Event::finished};

  // Filled by gRPC with the request.
  grpc_call* call_ = nullptr;
  grpc_call_details details_{};
  grpc_metadata_array metadata_{};
  gpr_timespec deadline_{};
  grpc_byte_buffer* payload_ = nullptr;
  std::string token_;
  std::string traceparent_;
  std::string tls_subject_;

  std::atomic<int> references_{0};
  std::mutex mutex_;
  std::deque<grpc_byte_buffer*> queue_;  // Streaming replies that wait for the one being written.
  grpc_byte_buffer* writing_ = nullptr;
  grpc_byte_buffer* last_message_ = nullptr;
  std::uint64_t engine_call_ = 0;
  std::uint32_t outstanding_ = 0;  // Replies of the engine whose credit was not given back.
  std::uint32_t credit_owed_ = 0;  // To be given as soon as engine_call_ is known.
  bool engine_call_known_ = false;
  bool local_open_ = false;  // A stream that the plugin itself answers, not done.
  bool done_ = false;
  bool left_ = false;  // The client is gone.
  bool severed_ = false;
  bool orphaned_ = false;
  bool initial_sent_ = false;
  bool close_started_ = false;
  int cancelled_ = 0;  // Written by gRPC.

  // The end of the call.
  grpc_status_code status_ = GRPC_STATUS_OK;
  grpc_slice status_message_;
  grpc_metadata trailer_{};
  bool has_trailer_ = false;
};

}  // namespace pm::frontend
