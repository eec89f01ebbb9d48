#pragma once

#include <pm/frontend.h>

#include <array>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "frame_reader.h"
#include "outbox.h"
#include "service.h"

namespace pm::frontend_local {

// One client, from its accept until its last call has ended. Frames are read on the thread of its
// loop, and calls go to the engine from there; replies are written by whichever thread brings them.
//
// mutex_ guards everything that a reply and the end of the connection race for. No function of the
// engine is called under it. The end has two steps: the socket closes and the calls are cancelled;
// and when all of them have said done, the session is closed.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  using Socket = boost::asio::local::stream_protocol::socket;
  using OnGone = std::function<void(Connection&)>;

  // `on_gone` is told once, on the loop's thread, after the session was closed. `budget`: of its
  // user; NULL: without limit.
  Connection(Service& service, boost::asio::io_context& loop, int fd,
             const pm_principal_t& principal, std::shared_ptr<InputBudget> budget, OnGone on_gone);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  boost::asio::io_context& loop() const { return loop_; }
  const pm_principal_t& principal() const { return principal_; }

  // On the loop's thread.
  void start();
  // Cancels what is under way, and ends the connection when that has ended and was told.
  void end_when_quiet();

  // Calls and requests for descriptors that have no answer yet. On any thread.
  std::size_t open() const;

  // When no thread of the frontend runs any more: ends what is left without waiting for the
  // engine. Returns the calls that the engine still owes; their replies go nowhere.
  std::size_t sever();

 private:
  struct Call {
    Connection* connection = nullptr;
    std::uint64_t number = 0;
    std::uint64_t engine_call = 0;
    bool known = false;  // engine_call is.
    bool done = false;
    bool cancelled = false;
    bool wants_reply = true;
  };
  using Calls = std::unordered_map<std::uint64_t, Call>;
  // A request for a descriptor.
  struct Open {
    std::uint64_t number = 0;
    std::uint32_t what = 0;
    std::uint32_t slab = 0;
    std::array<std::uint8_t, 16> id{};
  };
  // One that has begun; it is answered once, by the tier's answer or when that takes too long.
  struct BegunOpen : Open {
    bool is_answered = false;  // Under mutex_.
  };

  void pump();
  void wait_to_read();
  bool handle_frames();
  // False: the frame breaks the protocol; wrong_ says how.
  bool handle(const Frame& frame);
  bool start_call(const Frame& frame);
  bool start_open(const Frame& frame);
  bool attach(const Frame& frame);
  void open_handle(BegunOpen& open);
  void answer_open(BegunOpen& open, pm_status_t status, Descriptors descriptors = {});
  void cancel(std::uint64_t number);
  void credit(std::uint64_t number, std::uint32_t replies);
  pm_status_t why_not_begin(std::string_view& words) const;

  static void on_reply(void* data, const pm_reply_t* reply);
  void deliver(Call& call, const pm_reply_t& reply);
  void answer(local::FrameKind kind, std::uint64_t number, pm_status_t status,
              std::string_view text, Descriptors descriptors = {});
  // These under mutex_. In what runs on the loop, no call is without a known engine_call.
  Call& add_call(std::uint64_t number);
  void retire(Call& call);
  void begin();
  void finished();
  void start_opens();
  void drop_opens();
  void send_reply(const Call& call, const pm_reply_t& reply);
  void send(const local::FrameHeader& header, std::span<const iovec> parts,
            Descriptors descriptors = {});
  void note(Outbox::Result result);
  void look_for_the_end();
  std::vector<std::uint64_t> mark_cancelled();

  void wait_to_write();
  void wait_a_while();
  void on_writable();
  void end();
  void close_session();
  void report(const std::string& what) const;

  Service& service_;
  boost::asio::io_context& loop_;
  const pm_principal_t principal_;
  const OnGone on_gone_;

  // Of the loop's thread.
  FrameReader reader_;
  std::uint64_t session_ = 0;
  bool has_session_ = false;
  std::string method_;
  const char* wrong_ = "";
  std::chrono::milliseconds pause_{0};  // The last one of wait_a_while().

  std::atomic<bool> broken_{false};  // Nothing can be sent any more.

  mutable std::mutex mutex_;  // Guards what follows.
  std::optional<Socket> socket_;
  std::optional<boost::asio::steady_timer> timer_;
  Outbox outbox_;
  Calls calls_;
  std::vector<Calls::node_type> spare_;
  std::size_t open_ = 0;
  std::deque<Open> opens_;   // That wait for their turn.
  std::size_t opening_ = 0;  // That have begun and are not answered.
  bool writing_ = false;     // Somebody waits for the socket to take more.
  bool overflowed_ = false;
  bool quitting_ = false;
  bool ended_ = false;
  bool severed_ = false;
  bool gone_ = false;
  std::shared_ptr<Connection> self_;  // While severed, and calls are open.
};

}  // namespace pm::frontend_local
