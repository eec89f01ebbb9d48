#include "local_client.h"

#include <sys/socket.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "local_socket.h"

namespace pm::frontend_contract {
namespace {

using SystemClock = std::chrono::system_clock;

grpc::Status status_of(const LocalFrame& frame) {
  return {static_cast<grpc::StatusCode>(frame.header.number), frame.text(), frame.details()};
}

// The connection, and the replies that have come for each call.
class Channel {
 public:
  explicit Channel(const std::string& address) : socket_(LocalSocket::connect(address.substr(5))) {
    if (socket_ == nullptr) {
      broken_ = true;
      return;
    }
    socket_->set_receive_time(std::chrono::milliseconds(0));
    reader_ = std::thread([this] { read(); });
  }

  ~Channel() {
    if (!reader_.joinable()) return;
    ::shutdown(socket_->fd(), SHUT_RDWR);
    reader_.join();
  }

  // Numbers the call and sends it. The frame may be long, so others must not come between.
  std::uint64_t start(const std::string& method, const std::string& request, std::uint32_t credit,
                      std::uint64_t nanoseconds) {
    std::uint64_t number = 0;
    {
      const std::lock_guard lock(mutex_);
      number = ++last_number_;
      calls_[number];
    }
    const std::lock_guard lock(send_mutex_);
    if (socket_ != nullptr) socket_->call(number, method, request, credit, 0, nanoseconds);
    return number;
  }

  void cancel(std::uint64_t number) {
    const std::lock_guard lock(send_mutex_);
    if (socket_ != nullptr) socket_->cancel(number);
  }

  void credit(std::uint64_t number) {
    const std::lock_guard lock(send_mutex_);
    if (socket_ != nullptr) socket_->credit(number, 1);
  }

  // The next reply of a call; a reply that the host did not give says why there is none.
  LocalFrame next(std::uint64_t number, const CallContext& context) {
    std::unique_lock lock(mutex_);
    auto& replies = calls_[number];
    const auto ready = [&] { return !replies.empty() || broken_ || context.is_cancelled(); };
    const auto deadline = context.deadline().value_or(SystemClock::now() + step_time);
    const bool in_time = changed_.wait_until(lock, deadline, ready);
    LocalFrame frame;
    if (!replies.empty()) {
      frame = std::move(replies.front());
      replies.pop_front();
      return frame;
    }
    frame.header.flags = local::frame_done;
    frame.header.number = !in_time  ? grpc::StatusCode::DEADLINE_EXCEEDED
                          : broken_ ? grpc::StatusCode::UNAVAILABLE
                                    : grpc::StatusCode::CANCELLED;
    return frame;
  }

  void wake() {
    const std::lock_guard lock(mutex_);
    changed_.notify_all();
  }

 private:
  void read() {
    while (auto frame = socket_->receive()) {
      const std::lock_guard lock(mutex_);
      calls_[frame->header.call].push_back(std::move(*frame));
      changed_.notify_all();
    }
    const std::lock_guard lock(mutex_);
    broken_ = true;
    changed_.notify_all();
  }

  std::unique_ptr<LocalSocket> socket_;
  std::mutex send_mutex_;
  std::mutex mutex_;  // Guards what follows.
  std::condition_variable changed_;
  std::unordered_map<std::uint64_t, std::deque<LocalFrame>> calls_;
  std::uint64_t last_number_ = 0;
  bool broken_ = false;
  std::thread reader_;
};

class LocalStream : public StreamCall {
 public:
  LocalStream(Channel& channel, std::string method, std::uint32_t credit)
      : channel_(channel), method_(std::move(method)), credit_(credit) {}

  void write(const std::string& request, bool) override {
    number_ = channel_.start(method_, request, credit_, 0);
  }

  bool read(std::string& reply) override {
    if (!take(reply)) return false;
    channel_.credit(number_);
    return true;
  }

  // Gives no credit, so that a stream that does not end dries up.
  grpc::Status finish() override {
    std::string dropped;
    while (number_ != 0 && take(dropped)) {
    }
    return status_;
  }

  void cancel() override {
    if (number_ != 0) channel_.cancel(number_);
  }

 private:
  bool take(std::string& reply) {
    if (done_) return false;
    CallContext context;
    context.set_deadline(SystemClock::now() + std::chrono::seconds(5));
    const LocalFrame frame = channel_.next(number_, context);
    if ((frame.header.flags & local::frame_done) != 0) {
      done_ = true;
      status_ = status_of(frame);
      return false;
    }
    reply = frame.bytes();
    return true;
  }

  Channel& channel_;
  const std::string method_;
  const std::uint32_t credit_;
  std::uint64_t number_ = 0;
  bool done_ = false;
  grpc::Status status_;
};

class LocalClient : public Client {
 public:
  LocalClient(const std::string& address, std::uint32_t credit)
      : channel_(address), credit_(credit) {}

  UnaryReply call(const std::string& method, const std::string& request,
                  CallContext& context) override {
    std::uint64_t nanoseconds = 0;
    if (context.deadline()) {
      const auto left = std::chrono::nanoseconds(*context.deadline() - SystemClock::now()).count();
      if (left <= 0) return {{grpc::StatusCode::DEADLINE_EXCEEDED, "before it began"}, {}};
      nanoseconds = static_cast<std::uint64_t>(left);
    }
    const std::uint64_t number = channel_.start(method, request, 0, nanoseconds);
    context.when_cancelled([this] { channel_.wake(); });
    const LocalFrame frame = channel_.next(number, context);
    context.when_cancelled({});
    const grpc::Status status = status_of(frame);
    const bool given_up = frame.header.kind != local::FrameKind::reply;
    if (given_up) channel_.cancel(number);
    return {status, status.ok() ? frame.bytes() : ""};
  }

  std::unique_ptr<StreamCall> stream(const std::string& method) override {
    return std::make_unique<LocalStream>(channel_, method, credit_);
  }

 private:
  Channel channel_;
  const std::uint32_t credit_;
};

}  // namespace

std::unique_ptr<Client> connect_by_frames(const std::string& address, std::uint32_t credit) {
  return std::make_unique<LocalClient>(address, credit);
}

}  // namespace pm::frontend_contract
