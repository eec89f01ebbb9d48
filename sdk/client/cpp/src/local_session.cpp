#include "local_session.h"

#include <ctime>

#include <algorithm>
#include <cstring>
#include <thread>
#include <utility>

#include "guarded.h"
#include "status.h"

namespace pm::client::detail {
namespace {

using local::FrameHeader;
using local::FrameKind;

constexpr std::uint32_t spin_us_max = 1000;
constexpr std::uint32_t stream_window = 32;
constexpr std::int64_t look_interval_ns = 20'000'000;
constexpr std::chrono::milliseconds cancel_time(10);
// What is sent or asked without a caller's deadline.
constexpr std::chrono::seconds short_time(1);

Status broke() { return {Code::unavailable, "the connection to the host broke"}; }
Status late() { return {Code::deadline_exceeded, "the host did not answer in time"}; }
Status misspoken(const std::string& what) {
  return {Code::unavailable, "the host's frames break the rules: " + what, "BAD_FRAME"};
}

FrameHeader header_of(FrameKind kind) {
  FrameHeader header{};
  header.kind = kind;
  return header;
}

// A header for a call of `method`, or why it cannot be sent.
Result<FrameHeader> call_header(const std::string& method, const std::string& request,
                                Deadline deadline) {
  if (method.empty() || method.size() > UINT16_MAX) {
    return Status(Code::invalid_argument, "a method's name has 1 to 65535 bytes");
  }
  if (request.size() > local::body_bytes_max - method.size()) {
    return Status(Code::invalid_argument, "a request of " + std::to_string(request.size()) +
                                              " bytes does not fit a frame of " +
                                              std::to_string(local::body_bytes_max));
  }
  FrameHeader header = header_of(FrameKind::call);
  header.method_bytes = static_cast<std::uint16_t>(method.size());
  if (deadline != Deadline::max()) {
    const auto left =
        std::chrono::duration_cast<std::chrono::nanoseconds>(deadline - Clock::now()).count();
    if (left <= 0) return late();
    header.value = static_cast<std::uint64_t>(left);
  }
  return header;
}

std::int64_t coarse_ns() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

}  // namespace

// A call's number and where its answer goes, from before it is sent until nobody waits any more.
class LocalSession::Registration {
 public:
  Registration(LocalSession& session, FrameKind answer) : session_(session) {
    call.answer = answer;
    const std::lock_guard lock(session_.mutex_);
    number_ = session_.next_number_++;
    session_.calls_.emplace(number_, &call);
  }
  ~Registration() {
    bool is_abandoned = false;
    {
      const std::lock_guard lock(session_.mutex_);
      session_.calls_.erase(number_);
      is_abandoned = is_sent && !call.is_done && session_.failure_.ok();
    }
    if (is_abandoned && call.answer == FrameKind::reply) {
      FrameHeader header = header_of(FrameKind::cancel);
      header.call = number_;
      // It saves the host some work; who cannot send it now does without.
      static_cast<void>(session_.send(header, {}, {}, Clock::now() + cancel_time));
    }
  }
  Registration(const Registration&) = delete;
  Registration& operator=(const Registration&) = delete;
  std::uint64_t number() const { return number_; }

  Call call;
  bool is_sent = false;

 private:
  LocalSession& session_;
  std::uint64_t number_ = 0;
};

Result<std::shared_ptr<LocalSession>> LocalSession::make(const std::string& path,
                                                         std::uint32_t spin_us, Deadline deadline) {
  auto socket = FrameSocket::connect(path, deadline);
  if (!socket) return socket.status();
  auto session = std::make_shared<LocalSession>(*std::move(socket), spin_us);
  PM_TRY(session->hear_hello(deadline));
  return session;
}

LocalSession::LocalSession(std::unique_ptr<FrameSocket> socket, std::uint32_t spin_us)
    : socket_(std::move(socket)), spin_us_(std::min(spin_us, spin_us_max)) {}

Status LocalSession::hear_hello(Deadline deadline) {
  while (!is_greeted_) {
    if (!socket_->wait(deadline)) {
      return {Code::deadline_exceeded,
              "no hello came in time: is this the socket of a local "
              "frontend?"};
    }
    PM_TRY(
        socket_->receive([this](FrameSocket::Frame&& frame) { return deliver(std::move(frame)); }));
  }
  return {};
}

std::optional<Result<std::string>> LocalSession::call(const std::string& method,
                                                      const std::string& request,
                                                      Deadline deadline) {
  const auto header = call_header(method, request, deadline);
  if (!header) return header.status();
  Registration own(*this, FrameKind::reply);
  const auto begun = begin(own, *header, method, request, deadline);
  if (!begun) return std::nullopt;
  if (!begun->ok()) return *begun;
  if (Status status = wait(own.call, deadline); !status.ok()) return status;
  if (!own.call.status.ok()) return own.call.status;
  return std::move(own.call.replies.front());
}

std::optional<Status> LocalSession::post(const std::string& method, const std::string& request,
                                         Deadline deadline) {
  auto header = call_header(method, request, deadline);
  if (!header) return header.status();
  header->flags = local::frame_no_reply;
  {
    const std::lock_guard lock(mutex_);
    header->call = next_number_++;
  }
  switch (send(*header, method, request, deadline)) {
    case FrameSocket::Sent::all: return Status();
    case FrameSocket::Sent::late: return late();
    case FrameSocket::Sent::nothing: return std::nullopt;
    case FrameSocket::Sent::part: break;
  }
  return Clock::now() >= deadline ? late() : broke();
}

std::optional<Status> LocalSession::stream(const std::string& method, const std::string& request,
                                           const Transport::Visit& visit) {
  auto header = call_header(method, request, Deadline::max());
  if (!header) return header.status();
  header->number = stream_window;
  Registration own(*this, FrameKind::reply);
  own.call.is_stream = true;
  own.call.credit = stream_window;
  const auto begun = begin(own, *header, method, request, Deadline::max());
  if (!begun) return std::nullopt;
  if (!begun->ok()) return *begun;
  for (;;) {
    if (Status status = wait(own.call, Deadline::max()); !status.ok()) return status;
    std::deque<std::string> replies;
    bool is_done = false;
    {
      const std::lock_guard lock(mutex_);
      replies.swap(own.call.replies);
      is_done = own.call.is_done;
    }
    for (const std::string& reply : replies) {
      if (!visit(reply)) return Status();
    }
    if (is_done) return own.call.status;
    FrameHeader more = header_of(FrameKind::credit);
    more.call = own.number();
    more.number = static_cast<std::uint32_t>(replies.size());
    {
      const std::lock_guard lock(mutex_);
      own.call.credit += more.number;
    }
    static_cast<void>(send(more, {}, {}, Deadline::max()));  // A failure is what wait() tells.
  }
}

Result<std::vector<FileDescriptor>> LocalSession::ask(FrameHeader header, std::string_view body,
                                                      FrameKind answer, Deadline deadline) {
  Registration own(*this, answer);
  const auto begun = begin(own, header, body, {}, deadline);
  if (!begun) return broke();
  if (!begun->ok()) return *begun;
  if (Status status = wait(own.call, deadline); !status.ok()) return status;
  if (!own.call.status.ok()) return own.call.status;
  return std::move(own.call.descriptors);
}

Result<FileDescriptor> LocalSession::open(Handle what, const HandleId& id, Deadline deadline) {
  return open(what, 0, {reinterpret_cast<const char*>(id.data()), id.size()}, deadline);
}

Result<FileDescriptor> LocalSession::open(Handle what, std::uint64_t value, std::string_view id,
                                          Deadline deadline) {
  FrameHeader header = header_of(FrameKind::open);
  header.number = static_cast<std::uint32_t>(what);
  header.value = value;
  auto got = ask(header, id, FrameKind::handle, deadline);
  if (!got) return got.status();
  return std::move(got->front());
}

bool LocalSession::ask_for_pages() {
  auto asked = std::make_shared<Registration>(*this, FrameKind::attached);
  const auto begun =
      begin(*asked, header_of(FrameKind::attach), {}, {}, Clock::now() + cancel_time);
  if (!begun || !begun->ok()) return false;
  const std::lock_guard lock(mutex_);
  pages_ = std::move(asked);
  return true;
}

void LocalSession::wait_for_pages(Deadline deadline) {
  std::shared_ptr<Registration> asked;
  {
    const std::lock_guard lock(mutex_);
    asked = pages_;
  }
  if (asked) static_cast<void>(wait(asked->call, deadline));
}

std::optional<Result<std::vector<FileDescriptor>>> LocalSession::take_pages() {
  std::shared_ptr<Registration> asked;  // Ends without the lock, which it takes.
  const std::lock_guard lock(mutex_);
  if (!pages_ || (!pages_->call.is_done && failure_.ok())) return std::nullopt;
  asked.swap(pages_);
  if (!asked->call.is_done) return failure_;
  if (!asked->call.status.ok()) return asked->call.status;
  return std::move(asked->call.descriptors);
}

bool LocalSession::is_over() noexcept {
  if (is_broken() || is_hung_up_.load(std::memory_order_relaxed)) return true;
  const std::int64_t now_ns = coarse_ns();
  if (now_ns < next_look_ns_.load(std::memory_order_relaxed)) return false;
  next_look_ns_.store(now_ns + look_interval_ns, std::memory_order_relaxed);
  return has_ended();
}

bool LocalSession::has_ended() noexcept {
  if (is_broken() || is_hung_up_.load(std::memory_order_relaxed)) return true;
  if (!socket_->is_hung_up()) return false;
  // Answers may still lie in the socket, so calls under way are left to find out by themselves.
  is_hung_up_.store(true, std::memory_order_relaxed);
  return true;
}

void LocalSession::released() noexcept {
  static_cast<void>(guarded([&]() -> Status {
    static_cast<void>(send(header_of(FrameKind::released), {}, {}, Clock::now() + short_time));
    return {};
  }));
}

Result<FileDescriptor> LocalSession::open_slab(std::uint32_t slab) {
  return open(Handle::slab, slab, {}, Clock::now() + short_time);
}

FrameSocket::Sent LocalSession::send(const FrameHeader& header, std::string_view first,
                                     std::string_view second, Deadline deadline) {
  const auto sent = is_broken() ? FrameSocket::Sent::nothing
                                : socket_->send(header, first, second, deadline,
                                                [this] { return read_if_nobody_does(); });
  if (sent == FrameSocket::Sent::nothing || sent == FrameSocket::Sent::part) {
    fail(broke());
  }
  return sent;
}

std::optional<Status> LocalSession::begin(Registration& own, FrameHeader header,
                                          std::string_view first, std::string_view second,
                                          Deadline deadline) {
  header.call = own.number();
  switch (send(header, first, second, deadline)) {
    case FrameSocket::Sent::all: own.is_sent = true; return Status();
    case FrameSocket::Sent::late: return late();
    case FrameSocket::Sent::nothing: return std::nullopt;
    case FrameSocket::Sent::part: break;
  }
  return Clock::now() >= deadline ? late() : broke();
}

Status LocalSession::wait(Call& call, Deadline deadline) {
  std::unique_lock lock(mutex_);
  const auto is_answered = [&] { return call.is_done || !call.replies.empty(); };
  bool is_in_time = true;
  while (!is_answered() && failure_.ok() && is_in_time) {
    if (!is_reading_) {
      is_reading_ = true;
      lock.unlock();
      is_in_time = read_for_all(deadline);
      lock.lock();
      is_reading_ = false;
    } else {
      followers_.push_back(&call);
      is_in_time = call.wake.wait_until(lock, deadline) == std::cv_status::no_timeout;
      std::erase(followers_, &call);
    }
  }
  if (!is_reading_) hand_over();
  if (is_answered()) return {};
  return failure_.ok() ? late() : failure_;
}

// Receives once; false: nothing came before the deadline.
bool LocalSession::read_for_all(Deadline deadline) {
  if (spin_us_ != 0) {
    const Deadline end = std::min(Clock::now() + std::chrono::microseconds(spin_us_), deadline);
    do {
      if (receive()) return true;
      // Whoever waits for this processor may be the one who makes the answer.
      std::this_thread::yield();
    } while (Clock::now() < end);
  }
  if (!socket_->wait(deadline)) return false;
  receive();
  return true;
}

// Whether anything came, be it the end.
bool LocalSession::receive() noexcept {
  bool came = false;
  Status status = guarded([&] {
    return socket_->receive([&](FrameSocket::Frame&& frame) {
      came = true;
      return deliver(std::move(frame));
    });
  });
  if (status.ok()) return came;
  fail(std::move(status));
  return true;
}

bool LocalSession::read_if_nobody_does() {
  {
    const std::lock_guard lock(mutex_);
    if (is_reading_) return false;
    is_reading_ = true;
  }
  receive();
  const std::lock_guard lock(mutex_);
  is_reading_ = false;
  hand_over();
  return true;
}

// Under the lock.
void LocalSession::hand_over() {
  if (!followers_.empty()) followers_.front()->wake.notify_one();
}

Status LocalSession::deliver(FrameSocket::Frame&& frame) {
  const FrameHeader& header = frame.header;
  if (!is_greeted_) {
    if (header.kind != FrameKind::hello || header.call != local::hello_magic) {
      return misspoken("it does not begin with hello: this is no local frontend's socket");
    }
    if (header.value != local::protocol_version) {
      return {Code::failed_precondition,
              "the host speaks version " + std::to_string(header.value) +
                  " of the local protocol, this client " + std::to_string(local::protocol_version) +
                  ": update the older of the two",
              "VERSION_MISMATCH"};
    }
    is_greeted_ = true;
    return {};
  }
  if (header.kind != FrameKind::reply && header.kind != FrameKind::handle &&
      header.kind != FrameKind::attached) {
    return misspoken("a frame of kind " + std::to_string(static_cast<unsigned>(header.kind)));
  }
  if (header.text_bytes > frame.body.size() ||
      header.value > frame.body.size() - header.text_bytes) {
    return misspoken("the parts of a reply are longer than it");
  }
  return deliver_answer(std::move(frame));
}

Status LocalSession::deliver_answer(FrameSocket::Frame&& frame) {
  const FrameHeader& header = frame.header;
  const std::string_view text = frame.body.substr(0, header.text_bytes);
  const std::string_view details = frame.body.substr(text.size(), header.value);
  const std::string_view bytes = frame.body.substr(text.size() + details.size());
  const std::lock_guard lock(mutex_);
  if (header.call == 0 || header.call >= next_number_) {
    return misspoken("an answer to call " + std::to_string(header.call) + ", which nobody made");
  }
  const auto found = calls_.find(header.call);
  if (found == calls_.end()) return {};  // Nobody waits for it any more.
  Call& call = *found->second;
  if (call.is_done || header.kind != call.answer) {
    return misspoken("call " + std::to_string(header.call) + " is answered twice, or as another");
  }
  call.is_done = header.kind != FrameKind::reply || header.number != 0 ||
                 (header.flags & local::frame_done) != 0;
  if (!call.is_done && call.credit-- == 0) {
    return misspoken("more replies to call " + std::to_string(header.call) + " than it may have");
  }
  call.status = status_from(static_cast<int>(header.number), text, details);
  const bool has_bytes = !call.is_done || (call.is_stream ? !bytes.empty() : call.status.ok());
  if (has_bytes && header.kind == FrameKind::reply) call.replies.emplace_back(bytes);
  call.descriptors = std::move(frame.descriptors);
  call.wake.notify_one();
  return {};
}

void LocalSession::fail(Status status) noexcept {
  socket_->shut_down();
  const std::lock_guard lock(mutex_);
  if (!failure_.ok()) return;
  failure_ = std::move(status);
  is_broken_.store(true, std::memory_order_release);
  for (Call* follower : followers_) follower->wake.notify_one();
}

}  // namespace pm::client::detail
