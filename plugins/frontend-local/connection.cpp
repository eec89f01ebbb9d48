#include "connection.h"

#include <sys/socket.h>

#include <boost/asio/post.hpp>
#include <chrono>
#include <cstring>
#include <utility>

namespace pm::frontend_local {
namespace {

using local::FrameHeader;
using local::FrameKind;

// Replies that may wait for a client that does not read them.
constexpr std::size_t outbox_bytes_max = 64 << 20;
// Calls under way on one connection; a client that wants more than this has lost count.
constexpr std::size_t open_max = 65'536;
// How often one connection reads before the others of its thread get their turn.
constexpr int receives_per_turn = 16;

std::uint64_t deadline_after(std::uint64_t nanoseconds) {
  if (nanoseconds == 0) return 0;
  const auto now = static_cast<std::uint64_t>(
      std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count());
  const std::uint64_t last = INT64_MAX;
  return nanoseconds > last - now ? last : now + nanoseconds;
}

}  // namespace

Connection::Connection(Service& service, boost::asio::io_context& loop, int fd,
                       const pm_principal_t& principal, std::shared_ptr<InputBudget> budget,
                       OnGone on_gone)
    : service_(service),
      loop_(loop),
      principal_(principal),
      on_gone_(std::move(on_gone)),
      reader_(std::move(budget)),
      outbox_(outbox_bytes_max) {
  socket_.emplace(loop, boost::asio::local::stream_protocol(), fd);
  timer_.emplace(loop);
}

void Connection::start() {
  FrameHeader hello{};
  hello.kind = FrameKind::hello;
  hello.call = local::hello_magic;
  hello.value = local::protocol_version;
  session_ = service_.engine->session_open(service_.engine, &principal_);
  has_session_ = true;
  {
    const std::lock_guard lock(mutex_);
    send(hello, {});
  }
  pump();
}

void Connection::wait_to_read() {
  socket_->async_wait(Socket::wait_read, [self = shared_from_this()](const auto& error) {
    if (!error) self->pump();
  });
}

void Connection::pump() {
  if (!socket_) return;  // Only this thread takes it away.
  const int fd = socket_->native_handle();
  for (int turn = 0; turn < receives_per_turn; ++turn) {
    if (broken_.load()) return end();
    switch (reader_.receive(fd)) {
      case FrameReader::Got::bytes: break;
      case FrameReader::Got::nothing: return wait_to_read();
      case FrameReader::Got::ended: return end();
      case FrameReader::Got::descriptors:
        report("it sent file descriptors, which clients may not");
        return end();
      case FrameReader::Got::too_much:
        report("too many large requests of its user have not come whole");
        return end();
    }
    if (!handle_frames()) {
      report(wrong_);
      return end();
    }
    // What came while the calls ran is taken at once, without waiting for the kernel to tell.
    if (reader_.took_all() && turn > 0) return wait_to_read();
  }
  boost::asio::post(loop_, [self = shared_from_this()] { self->pump(); });
}

bool Connection::handle_frames() {
  Frame frame;
  for (;;) {
    switch (reader_.next(frame)) {
      case FrameReader::Cut::incomplete: return true;
      case FrameReader::Cut::broken: wrong_ = reader_.wrong(); return false;
      case FrameReader::Cut::frame: break;
    }
    if (!handle(frame)) return false;
    if (broken_.load()) return true;
  }
}

bool Connection::handle(const Frame& frame) {
  const FrameHeader& header = frame.header;
  if (header.kind == FrameKind::call) return start_call(frame);
  if (header.kind == FrameKind::open) return start_open(frame);
  if (!frame.body.empty()) {
    wrong_ = "a frame with a body that its kind does not have";
    return false;
  }
  if (header.kind == FrameKind::attach) return attach(frame);
  if (header.kind == FrameKind::cancel) {
    cancel(header.call);
  } else if (header.kind == FrameKind::credit) {
    credit(header.call, header.number);
  } else if (service_.local != nullptr) {
    service_.local->released(service_.engine, session_);
  }
  return true;
}

// PM_OK, or why a call or an open is refused. Under mutex_.
pm_status_t Connection::why_not_begin(std::string_view& words) const {
  if (service_.draining.load()) {
    words = "the host is stopping; connect again in a moment";
    return PM_UNAVAILABLE;
  }
  if (open_ >= open_max) {
    words = "65536 calls of this connection are under way; wait for some of them";
    return PM_RESOURCE_EXHAUSTED;
  }
  return PM_OK;
}

bool Connection::start_call(const Frame& frame) {
  const FrameHeader& header = frame.header;
  method_.assign(reinterpret_cast<const char*>(frame.body.data()), header.method_bytes);
  if (method_.find('\0') != std::string::npos) {
    wrong_ = "a method with NUL in it";
    return false;
  }
  const bool wants_reply = (header.flags & local::frame_no_reply) == 0;
  Call* call = nullptr;
  std::string_view refusal;
  pm_status_t status = PM_OK;
  {
    const std::lock_guard lock(mutex_);
    if (calls_.contains(header.call)) {
      wrong_ = "a call with the number of one that is under way";
      return false;
    }
    status = why_not_begin(refusal);
    if (status == PM_OK) {
      call = &add_call(header.call);
      call->wants_reply = wants_reply;
    }
  }
  if (call == nullptr) {
    if (wants_reply) answer(FrameKind::reply, header.call, status, refusal);
    return true;
  }
  const pm_call_info_t info{
      sizeof info, header.number, &principal_, session_, deadline_after(header.value), nullptr};
  const auto request = frame.body.subspan(header.method_bytes);
  const auto* engine = service_.engine;
  const std::uint64_t id = engine->call(engine, method_.c_str(), request.data(), request.size(),
                                        &info, &Connection::on_reply, call);
  const std::lock_guard lock(mutex_);
  call->engine_call = id;
  call->known = true;
  if (call->done) retire(*call);
  return true;
}

void Connection::cancel(std::uint64_t number) {
  std::uint64_t id = 0;
  {
    const std::lock_guard lock(mutex_);
    const auto found = calls_.find(number);
    if (found == calls_.end() || std::exchange(found->second.cancelled, true)) return;
    id = found->second.engine_call;
  }
  service_.engine->cancel(service_.engine, id);
}

void Connection::credit(std::uint64_t number, std::uint32_t replies) {
  std::uint64_t id = 0;
  {
    const std::lock_guard lock(mutex_);
    const auto found = calls_.find(number);
    if (found == calls_.end()) return;
    id = found->second.engine_call;
  }
  service_.engine->credit(service_.engine, id, replies);
}

void Connection::report(const std::string& what) const {
  service_.log.warn("a client (uid " + std::to_string(principal_.uid) + ", pid " +
                    std::to_string(principal_.pid) + ") is disconnected: " + what);
}

}  // namespace pm::frontend_local
