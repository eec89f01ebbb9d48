#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/post.hpp>
#include <utility>

#include "connection.h"

// The part of a connection that writes, and its end.

namespace pm::frontend_local {
namespace {

using local::FrameHeader;
using local::FrameKind;

constexpr std::size_t spare_calls_max = 64;
// Between two looks whether a client has read its descriptors; no event tells.
constexpr std::chrono::milliseconds pause_min{1};
constexpr std::chrono::milliseconds pause_max{64};

iovec part(const void* bytes, std::size_t length) { return {const_cast<void*>(bytes), length}; }

}  // namespace

Connection::Call& Connection::add_call(std::uint64_t number) {
  begin();
  Call* call = nullptr;
  if (spare_.empty()) {
    call = &calls_.try_emplace(number).first->second;
  } else {
    auto node = std::move(spare_.back());
    spare_.pop_back();
    node.key() = number;
    call = &calls_.insert(std::move(node)).position->second;
  }
  *call = Call{};
  call->connection = this;
  call->number = number;
  return *call;
}

void Connection::begin() { ++open_; }

void Connection::retire(Call& call) {
  auto node = calls_.extract(call.number);
  if (spare_.size() < spare_calls_max) spare_.push_back(std::move(node));
  finished();
}

void Connection::finished() {
  --open_;
  look_for_the_end();
}

void Connection::look_for_the_end() {
  if (open_ != 0) return;
  if (severed_) {
    self_.reset();
  } else if (ended_) {
    if (std::exchange(gone_, true)) return;
    // Not from here: this may be a reply, inside the engine.
    boost::asio::post(loop_, [self = shared_from_this()] { self->close_session(); });
  } else if (quitting_ && outbox_.empty()) {
    boost::asio::post(loop_, [self = shared_from_this()] { self->end(); });
  }
}

std::size_t Connection::open() const {
  const std::lock_guard lock(mutex_);
  return open_;
}

void Connection::on_reply(void* data, const pm_reply_t* reply) {
  auto& call = *static_cast<Call*>(data);
  call.connection->deliver(call, *reply);
}

void Connection::deliver(Call& call, const pm_reply_t& reply) {
  std::shared_ptr<Connection> alive;  // Until the lock is given back.
  const std::lock_guard lock(mutex_);
  if (call.wants_reply && !ended_) send_reply(call, reply);
  if (reply.done == 0) return;
  alive = shared_from_this();
  call.done = true;
  if (call.known) retire(call);  // Else start_call() does, which still uses it.
}

void Connection::send_reply(const Call& call, const pm_reply_t& reply) {
  FrameHeader header{};
  header.kind = FrameKind::reply;
  header.flags = reply.done != 0 ? local::frame_done : 0;
  header.call = call.number;
  header.number = static_cast<std::uint32_t>(
      reply.status < 0 || reply.status > PM_UNAUTHENTICATED ? PM_INTERNAL : reply.status);
  const std::uint64_t text = reply.message == nullptr ? 0 : reply.message_length;
  const std::uint64_t details = reply.details == nullptr ? 0 : reply.details_length;
  const std::uint64_t length = reply.bytes == nullptr ? 0 : reply.length;
  constexpr std::uint64_t most = local::body_bytes_max;
  if (length > most || details > most || text + details + length > most) {
    if (reply.done == 0) return note(Outbox::Result::broken);  // A hole would go unnoticed.
    constexpr std::string_view words = "the reply is larger than 64 MiB; ask for less at a time";
    header.number = PM_RESOURCE_EXHAUSTED;
    header.text_bytes = words.size();
    header.body_bytes = words.size();
    return send(header, std::array{part(words.data(), words.size())});
  }
  header.text_bytes = static_cast<std::uint32_t>(text);
  header.value = details;
  header.body_bytes = static_cast<std::uint32_t>(text + details + length);
  send(header, std::array{part(reply.message, text), part(reply.details, details),
                          part(reply.bytes, length)});
}

void Connection::answer(FrameKind kind, std::uint64_t number, pm_status_t status,
                        std::string_view text, Descriptors descriptors) {
  FrameHeader header{};
  header.kind = kind;
  header.flags = local::frame_done;
  header.call = number;
  header.number = static_cast<std::uint32_t>(status);
  header.text_bytes = static_cast<std::uint32_t>(text.size());
  header.body_bytes = header.text_bytes;
  const std::lock_guard lock(mutex_);
  if (!ended_) send(header, std::array{part(text.data(), text.size())}, std::move(descriptors));
}

void Connection::send(const FrameHeader& header, std::span<const iovec> parts,
                      Descriptors descriptors) {
  if (broken_.load()) return;
  note(outbox_.send(socket_->native_handle(), header, parts, std::move(descriptors)));
}

void Connection::note(Outbox::Result result) {
  switch (result) {
    case Outbox::Result::sent: return;
    case Outbox::Result::queued:
    case Outbox::Result::later:
      if (std::exchange(writing_, true)) return;
      boost::asio::post(loop_, [self = shared_from_this(), result] {
        result == Outbox::Result::queued ? self->wait_to_write() : self->wait_a_while();
      });
      return;
    case Outbox::Result::overflow: overflowed_ = true; break;
    case Outbox::Result::broken: break;
  }
  broken_ = true;
  outbox_.clear();
  // Whoever waits to read sees the end now, and cleans up.
  ::shutdown(socket_->native_handle(), SHUT_RDWR);
}

void Connection::wait_to_write() {
  if (!socket_) return;
  socket_->async_wait(Socket::wait_write, [self = shared_from_this()](const auto& error) {
    if (!error) self->on_writable();
  });
}

// Longer each time that nothing comes of it: many who do not read must not keep the thread busy.
void Connection::wait_a_while() {
  if (!timer_) return;
  pause_ = std::clamp(2 * pause_, pause_min, pause_max);
  timer_->expires_after(pause_);
  timer_->async_wait([self = shared_from_this()](const auto& error) {
    if (!error) self->on_writable();
  });
}

void Connection::on_writable() {
  if (!socket_ || broken_.load()) return;
  Outbox::Result result = Outbox::Result::sent;
  {
    const std::lock_guard lock(mutex_);
    const std::size_t before = outbox_.descriptors();
    result = outbox_.flush(socket_->native_handle());
    if (outbox_.descriptors() < before) pause_ = {};
    start_opens();
    writing_ = result == Outbox::Result::queued || result == Outbox::Result::later;
    if (!writing_) {
      note(result);
      look_for_the_end();
    }
  }
  if (result == Outbox::Result::queued) wait_to_write();
  if (result == Outbox::Result::later) wait_a_while();
}

std::vector<std::uint64_t> Connection::mark_cancelled() {
  std::vector<std::uint64_t> ids;
  for (auto& [number, call] : calls_) {
    if (!std::exchange(call.cancelled, true)) ids.push_back(call.engine_call);
  }
  return ids;
}

void Connection::end() {
  std::vector<std::uint64_t> ids;
  bool overflowed = false;
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(ended_, true)) return;
    outbox_.clear();
    socket_.reset();
    timer_.reset();
    drop_opens();
    overflowed = overflowed_;
    ids = mark_cancelled();
  }
  reader_.clear();
  for (const auto id : ids) service_.engine->cancel(service_.engine, id);
  if (overflowed) report("it does not read its replies, and 64 MiB of them wait");
  const std::lock_guard lock(mutex_);
  look_for_the_end();
}

void Connection::end_when_quiet() {
  std::vector<std::uint64_t> ids;
  {
    const std::lock_guard lock(mutex_);
    if (ended_) return;
    quitting_ = true;
    ids = mark_cancelled();
  }
  for (const auto id : ids) service_.engine->cancel(service_.engine, id);
  const std::lock_guard lock(mutex_);
  look_for_the_end();
}

void Connection::close_session() {
  if (std::exchange(has_session_, false)) {
    service_.engine->session_close(service_.engine, session_);
  }
  on_gone_(*this);
}

std::size_t Connection::sever() {
  std::size_t owed = 0;
  {
    const std::lock_guard lock(mutex_);
    severed_ = true;
    ended_ = true;
    outbox_.clear();
    socket_.reset();
    timer_.reset();
    // No thread is left to do these.
    drop_opens();
    open_ -= std::exchange(opening_, 0);
    owed = open_;
    if (owed != 0) self_ = shared_from_this();
  }
  if (std::exchange(has_session_, false)) {
    service_.engine->session_close(service_.engine, session_);
  }
  return owed;
}

}  // namespace pm::frontend_local
