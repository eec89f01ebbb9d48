#include "call.h"

#include <grpc/byte_buffer.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>
#include <grpc/support/log.h>
#include <grpc/support/time.h>
#include <strings.h>

#include <utility>

#include "ordering.h"
#include "reflection.h"
#include "request_bytes.h"
#include "server.h"

namespace pm::frontend {
namespace {

grpc_byte_buffer* make_message(const std::uint8_t* bytes, std::uint64_t length) {
  grpc_slice slice = grpc_slice_from_copied_buffer(reinterpret_cast<const char*>(bytes), length);
  auto* message = grpc_raw_byte_buffer_create(&slice, 1);
  grpc_slice_unref(slice);
  return message;
}

pm_reply_t text_reply(Code code, std::string_view text, bool done) {
  pm_reply_t reply{};
  reply.size = sizeof(reply);
  reply.done = done ? 1 : 0;
  reply.status = static_cast<pm_status_t>(code);
  if (code == Code::ok) {
    reply.bytes = reinterpret_cast<const std::uint8_t*>(text.data());
    reply.length = text.size();
  } else {
    reply.message = text.data();
    reply.message_length = static_cast<std::uint32_t>(text.size());
  }
  return reply;
}

grpc_op operation(grpc_op_type type) {
  grpc_op result{};
  result.op = type;
  return result;
}

}  // namespace

Call::Call(Server& server) : server_(server), status_message_(grpc_empty_slice()) {
  grpc_metadata_array_init(&metadata_);
  grpc_call_details_init(&details_);
}

Call::~Call() {
  clean();
  grpc_metadata_array_destroy(&metadata_);
  grpc_call_details_destroy(&details_);
}

void Call::arm(const Method& method) {
  method_ = &method;
  hand_over(&requested_);
  auto* const queue = server_.queue();
  if (method.kind == MethodKind::unknown) {
    grpc_server_request_call(server_.grpc(), &call_, &details_, &metadata_, queue, queue,
                             &requested_);
    return;
  }
  grpc_server_request_registered_call(server_.grpc(), method.registered, &call_, &deadline_,
                                      &metadata_, streams_requests(method) ? nullptr : &payload_,
                                      queue, queue, &requested_);
}

void Call::dispatch(const Tag& tag, bool ok) {
  Call& call = *tag.call;
  switch (tag.event) {
    case Event::requested: call.on_requested(ok); break;
    case Event::received: call.on_received(); break;
    case Event::written: call.on_written(ok); break;
    case Event::closed: call.on_closed(); break;
    case Event::finished: call.on_finished(); break;
  }
}

void Call::on_requested(bool ok) {
  if (!ok) {  // The server shuts down: nobody called.
    server_.give_back(this);
    return;
  }
  const Method& method = *method_;
  references_.store(2);  // This function, and the reply that says done.
  if (method.kind == MethodKind::unknown) {
    deliver_text(Code::unimplemented,
                 "this server has no method " + std::string(view(details_.method)) +
                     "; server reflection lists what it has",
                 true);
  } else if (method.kind == MethodKind::refused) {
    deliver_text(Code::unimplemented, "methods that stream requests are not served: " + method.path,
                 true);
  } else if (method.kind == MethodKind::reflection) {
    start_local({});
  } else if (payload_ == nullptr) {
    deliver_text(Code::invalid_argument, "the call carried no request message", true);
  } else if (const RequestBytes request(payload_); !request.readable()) {
    deliver_text(Code::invalid_argument, "the request cannot be decompressed", true);
  } else if (method.kind == MethodKind::unary || method.kind == MethodKind::stream) {
    call_engine(request.bytes());
  } else {
    start_local(request.bytes());
  }
  // A request need only last for the call; a stream may live for hours.
  if (!streams_requests(method)) grpc_byte_buffer_destroy(std::exchange(payload_, nullptr));
  {
    const std::lock_guard lock(mutex_);
    if (!close_started_ && !severed_) start_close();
  }
  unreference();
  server_.offer(method);  // After the reply: the next caller waits less than this one would.
}

void Call::start_local(std::string_view request) {
  if (method_->kind == MethodKind::health_check) {
    const auto response = server_.health().check(request);
    if (response.ok()) {
      deliver_text(Code::ok, *response, true);
    } else {
      deliver_text(response.status().code(), response.status().message(), true);
    }
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    local_open_ = true;
    if (method_->kind == MethodKind::reflection) start_receive();
  }
  if (method_->kind == MethodKind::health_watch) watch_health(request);
  // Whoever comes while the server looks for streams to end is found here at the latest.
  if (server_.draining()) end_local_stream();
}

void Call::watch_health(std::string_view request) {
  const auto response = server_.health().watch(request);
  if (response.ok()) {
    deliver_text(Code::ok, *response, false);
  } else {
    deliver_text(response.status().code(), response.status().message(), true);
  }
}

void Call::end_local_stream() {
  const std::lock_guard lock(mutex_);
  if (!local_open_ || severed_) return;
  if (method_->kind == MethodKind::health_watch) {
    const std::string response = Health::not_serving();
    deliver_message(text_reply(Code::ok, response, false));
  }
  deliver_done(text_reply(Code::unavailable, "the server is stopping", true));
}

void Call::on_received() {
  if (payload_ == nullptr) {
    deliver_text(Code::ok, {}, true);  // The client has no more questions.
  } else {
    const RequestBytes request(payload_);
    deliver_text(Code::ok, answer_reflection(server_.contract(), request.bytes()), false);
  }
  unreference();
}

void Call::read_metadata() {
  token_.clear();
  traceparent_.clear();
  for (std::size_t i = 0; i < metadata_.count; ++i) {
    const auto key = view(metadata_.metadata[i].key);
    const auto value = view(metadata_.metadata[i].value);
    if (key == "traceparent") {
      traceparent_ = value;
    } else if (key == "authorization" && value.size() > 7 &&
               strncasecmp(value.data(), "Bearer ", 7) == 0) {
      token_ = value.substr(7);
    }
  }
}

const char* Call::read_tls_subject() {
  if (server_.configuration().tls.client_ca.empty()) return nullptr;
  auto* context = grpc_call_auth_context(call_);
  if (context == nullptr) return nullptr;
  tls_subject_.clear();
  if (grpc_auth_context_peer_is_authenticated(context) != 0) {
    auto found =
        grpc_auth_context_find_properties_by_name(context, GRPC_X509_SUBJECT_PROPERTY_NAME);
    if (const auto* subject = grpc_auth_property_iterator_next(&found)) {
      tls_subject_.assign(subject->value, subject->value_length);
    }
  }
  grpc_auth_context_release(context);
  return tls_subject_.empty() ? nullptr : tls_subject_.c_str();
}

std::uint64_t Call::deadline_ns() const {
  if (gpr_time_cmp(deadline_, gpr_inf_future(deadline_.clock_type)) == 0) return 0;
  const gpr_timespec monotonic = gpr_convert_clock_type(deadline_, GPR_CLOCK_MONOTONIC);
  if (monotonic.tv_sec < 0) return 1;
  return static_cast<std::uint64_t>(monotonic.tv_sec) * 1'000'000'000U +
         static_cast<std::uint64_t>(monotonic.tv_nsec);
}

void Call::call_engine(std::string_view request) {
  read_metadata();
  // Who is behind a Unix socket gRPC does not tell: the socket's mode has let them in.
  const pm_principal_t principal{sizeof(principal),
                                 PM_NOBODY,
                                 PM_NOBODY,
                                 0,
                                 read_tls_subject(),
                                 token_.empty() ? nullptr : token_.c_str(),
                                 0,
                                 0};
  const bool streams = method_->kind == MethodKind::stream;
  const pm_call_info_t info{sizeof(info),  streams ? server_.configuration().stream_credit : 0,
                            &principal,    0,
                            deadline_ns(), traceparent_.empty() ? nullptr : traceparent_.c_str()};
  const auto* engine = server_.engine();
  const std::uint64_t id = engine->call(engine, method_->path.c_str(),
                                        reinterpret_cast<const std::uint8_t*>(request.data()),
                                        request.size(), &info, &Call::on_reply, this);
  std::uint32_t owed = 0;
  {
    const std::lock_guard lock(mutex_);
    engine_call_ = id;
    engine_call_known_ = true;
    if (!done_) owed = std::exchange(credit_owed_, 0);
  }
  if (owed != 0) engine->credit(engine, id, owed);
}

void Call::on_reply(void* data, const pm_reply_t* reply) {
  static_cast<Call*>(data)->deliver(*reply);
}

void Call::deliver_text(Code code, std::string_view text, bool done) {
  deliver(text_reply(code, text, done));
}

void Call::deliver(const pm_reply_t& reply) {
  bool forgotten = false;
  {
    const std::lock_guard lock(mutex_);
    if (reply.done != 0) {
      deliver_done(reply);
      forgotten = orphaned_;
    } else {
      deliver_message(reply);
    }
  }
  if (forgotten) delete this;
}

// Under mutex_.
void Call::deliver_done(const pm_reply_t& reply) {
  if (done_) return;
  done_ = true;
  local_open_ = false;
  if (severed_) return;
  status_ = reply.status < 0 || reply.status > PM_UNAUTHENTICATED
                ? GRPC_STATUS_INTERNAL
                : static_cast<grpc_status_code>(reply.status);
  if (status_ == GRPC_STATUS_OK) {
    // One message ends a unary call, also an empty one.
    const bool unary =
        method_->kind == MethodKind::unary || method_->kind == MethodKind::health_check;
    if (unary) last_message_ = make_message(reply.bytes, reply.bytes == nullptr ? 0 : reply.length);
  } else {
    if (reply.message != nullptr) {
      status_message_ = grpc_slice_from_copied_buffer(reply.message, reply.message_length);
    }
    if (reply.details != nullptr && reply.details_length != 0) {
      trailer_.key = grpc_slice_from_static_string("grpc-status-details-bin");
      trailer_.value = grpc_slice_from_copied_buffer(reinterpret_cast<const char*>(reply.details),
                                                     reply.details_length);
      has_trailer_ = true;
    }
  }
  if (writing_ == nullptr) start_finish();
}

// Under mutex_.
void Call::deliver_message(const pm_reply_t& reply) {
  if (severed_ || left_ || done_) return;
  const bool of_engine = method_->kind == MethodKind::stream;
  if (of_engine) ++outstanding_;
  if (method_->kind == MethodKind::unary ||
      (of_engine && outstanding_ > server_.configuration().stream_credit)) {
    server_.host().error("the engine sent more replies than it may to " + method_->path);
    grpc_call_cancel_with_status(call_, GRPC_STATUS_INTERNAL, "too many replies", nullptr);
    return;
  }
  auto* message = make_message(reply.bytes, reply.bytes == nullptr ? 0 : reply.length);
  if (writing_ == nullptr) {
    start_write(message);
  } else {
    queue_.push_back(message);
  }
}

// Under mutex_.
void Call::start_batch(const grpc_op* operations, std::size_t count, Tag& tag) {
  hand_over(&tag);
  const auto error = grpc_call_start_batch(call_, operations, count, &tag, nullptr);
  // Any other answer means that the batch itself is wrong, whatever the client did.
  GPR_ASSERT(error == GRPC_CALL_OK);
}

// Under mutex_.
void Call::start_write(grpc_byte_buffer* message) {
  grpc_op operations[2];
  std::size_t count = 0;
  if (!std::exchange(initial_sent_, true)) {
    operations[count++] = operation(GRPC_OP_SEND_INITIAL_METADATA);
  }
  operations[count] = operation(GRPC_OP_SEND_MESSAGE);
  operations[count++].data.send_message.send_message = message;
  writing_ = message;
  references_.fetch_add(1);
  start_batch(operations, count, written_);
}

// Under mutex_. The reference of the reply that said done goes over to this batch.
void Call::start_finish() {
  grpc_op operations[4];
  std::size_t count = 0;
  if (!std::exchange(initial_sent_, true)) {
    operations[count++] = operation(GRPC_OP_SEND_INITIAL_METADATA);
  }
  if (last_message_ != nullptr) {
    operations[count] = operation(GRPC_OP_SEND_MESSAGE);
    operations[count++].data.send_message.send_message = last_message_;
  }
  operations[count] = operation(GRPC_OP_SEND_STATUS_FROM_SERVER);
  auto& end = operations[count++].data.send_status_from_server;
  end.status = status_;
  end.status_details = &status_message_;
  end.trailing_metadata_count = has_trailer_ ? 1 : 0;
  end.trailing_metadata = &trailer_;
  if (!std::exchange(close_started_, true)) {
    // The usual case of a call that is answered at once: everything in one batch.
    operations[count] = operation(GRPC_OP_RECV_CLOSE_ON_SERVER);
    operations[count++].data.recv_close_on_server.cancelled = &cancelled_;
  }
  start_batch(operations, count, finished_);
}

// Under mutex_. Tells when the client leaves before the call has ended.
void Call::start_close() {
  close_started_ = true;
  auto close = operation(GRPC_OP_RECV_CLOSE_ON_SERVER);
  close.data.recv_close_on_server.cancelled = &cancelled_;
  references_.fetch_add(1);
  start_batch(&close, 1, closed_);
}

// Under mutex_.
void Call::start_receive() {
  grpc_byte_buffer_destroy(std::exchange(payload_, nullptr));
  auto receive = operation(GRPC_OP_RECV_MESSAGE);
  receive.data.recv_message.recv_message = &payload_;
  references_.fetch_add(1);
  start_batch(&receive, 1, received_);
}

void Call::on_written(bool ok) {
  bool give_credit = false;
  {
    const std::lock_guard lock(mutex_);
    grpc_byte_buffer_destroy(std::exchange(writing_, nullptr));
    if (!ok) left_ = true;
    if (left_) {
      for (auto* message : queue_) grpc_byte_buffer_destroy(message);
      queue_.clear();
    }
    if (severed_) {
      // No batch and no word to the engine.
    } else if (!queue_.empty()) {
      start_write(queue_.front());
      queue_.pop_front();
    } else if (done_) {
      start_finish();
    } else if (method_->kind == MethodKind::reflection) {
      start_receive();
    }
    if (method_->kind == MethodKind::stream && !severed_ && !left_ && !done_) {
      --outstanding_;
      give_credit = engine_call_known_;
      if (!give_credit) ++credit_owed_;
    }
  }
  if (give_credit) server_.engine()->credit(server_.engine(), engine_call_, 1);
  unreference();
}

void Call::on_closed() {
  bool tell_engine = false;
  bool end_local = false;
  {
    const std::lock_guard lock(mutex_);
    if (cancelled_ != 0) {
      left_ = true;
      for (auto* message : queue_) grpc_byte_buffer_destroy(message);
      queue_.clear();
      end_local = local_open_;
      tell_engine = !done_ && !local_open_ && !severed_;
    }
  }
  if (tell_engine) server_.engine()->cancel(server_.engine(), engine_call_);
  if (end_local) deliver_text(Code::cancelled, "the client has left", true);
  unreference();
}

void Call::on_finished() {
  // Whoever started the batch may still hold the mutex.
  { const std::lock_guard lock(mutex_); }
  unreference();
}

void Call::sever() {
  const std::lock_guard lock(mutex_);
  severed_ = true;
}

bool Call::orphan() {
  const std::lock_guard lock(mutex_);
  if (call_ == nullptr || done_) return false;
  clean();
  method_ = nullptr;  // It goes with the server.
  orphaned_ = true;
  return true;
}

void Call::unreference() {
  if (references_.fetch_sub(1) != 1) return;
  clean();
  server_.give_back(this);
}

void Call::clean() {
  for (auto* message : queue_) grpc_byte_buffer_destroy(message);
  queue_.clear();
  grpc_byte_buffer_destroy(std::exchange(payload_, nullptr));
  grpc_byte_buffer_destroy(std::exchange(writing_, nullptr));
  grpc_byte_buffer_destroy(std::exchange(last_message_, nullptr));
  grpc_slice_unref(std::exchange(status_message_, grpc_empty_slice()));
  if (std::exchange(has_trailer_, false)) grpc_slice_unref(trailer_.value);
  if (method_ != nullptr && method_->kind == MethodKind::unknown) {
    grpc_call_details_destroy(&details_);
    grpc_call_details_init(&details_);
  }
  metadata_.count = 0;  // Its elements belong to gRPC, its room is used again.
  if (call_ != nullptr) grpc_call_unref(std::exchange(call_, nullptr));
  engine_call_ = 0;
  outstanding_ = 0;
  credit_owed_ = 0;
  engine_call_known_ = local_open_ = done_ = left_ = false;
  initial_sent_ = close_started_ = false;
  cancelled_ = 0;
  status_ = GRPC_STATUS_OK;
}

}  // namespace pm::frontend
