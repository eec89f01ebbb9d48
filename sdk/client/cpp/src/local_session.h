#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "directory_reader.h"
#include "frame_socket.h"

namespace pm::client::detail {

// A connection to a local frontend, from its hello to its end. There is no thread of its own: one
// of those who wait reads for all, and hands that over when it has what it waited for.
// [thread-safe]
class LocalSession final : public HoldSession {
 public:
  // Connects and hears the host's hello.
  static Result<std::shared_ptr<LocalSession>> make(const std::string& path, std::uint32_t spin_us,
                                                    Deadline deadline);
  LocalSession(std::unique_ptr<FrameSocket> socket, std::uint32_t spin_us);
  LocalSession(const LocalSession&) = delete;
  LocalSession& operator=(const LocalSession&) = delete;
  ~LocalSession() override = default;

  // No value: nothing was sent, as the connection is broken; another one may do.
  std::optional<Result<std::string>> call(const std::string& method, const std::string& request,
                                          Deadline deadline);
  std::optional<Status> post(const std::string& method, const std::string& request,
                             Deadline deadline);
  std::optional<Status> stream(const std::string& method, const std::string& request,
                               const Transport::Visit& visit);
  // A descriptor of a lease or an allocation.
  Result<FileDescriptor> open(Handle what, const HandleId& id, Deadline deadline);

  // Asks for the directory and a page; false: not sent. Nobody need wait for the answer: it is
  // kept until it is taken, once, and is the directory, then the page.
  bool ask_for_pages();
  void wait_for_pages(Deadline deadline);
  std::optional<Result<std::vector<FileDescriptor>>> take_pages();

  bool is_broken() const noexcept { return is_broken_.load(std::memory_order_acquire); }

  // Looks at the connection, as a host that died cannot say so in memory: at most every 20 ms, so
  // that most of the time it costs a look at a coarse clock.
  bool is_over() noexcept override;
  // The same, looked at now.
  bool has_ended() noexcept;
  void released() noexcept override;
  Result<FileDescriptor> open_slab(std::uint32_t slab) override;

 private:
  // Something sent that is answered under its number.
  struct Call {
    std::condition_variable wake;
    bool is_done = false;
    Status status;
    std::deque<std::string> replies;
    std::vector<FileDescriptor> descriptors;
    local::FrameKind answer = local::FrameKind::reply;
    bool is_stream = false;
    std::uint32_t credit = 0;  // Of a stream: replies that may still come before the last one.
  };
  class Registration;

  FrameSocket::Sent send(const local::FrameHeader& header, std::string_view first,
                         std::string_view second, Deadline deadline);
  // No value: not sent, as the connection is broken.
  std::optional<Status> begin(Registration& own, local::FrameHeader header, std::string_view first,
                              std::string_view second, Deadline deadline);
  // Until there is an answer for it, or the deadline is over: DEADLINE_EXCEEDED.
  Status wait(Call& call, Deadline deadline);
  bool read_for_all(Deadline deadline);
  bool receive() noexcept;
  bool read_if_nobody_does();
  void hand_over();
  Status deliver(FrameSocket::Frame&& frame);
  Status deliver_answer(FrameSocket::Frame&& frame);
  Status hear_hello(Deadline deadline);
  void fail(Status status) noexcept;
  Result<FileDescriptor> open(Handle what, std::uint64_t value, std::string_view id,
                              Deadline deadline);
  Result<std::vector<FileDescriptor>> ask(local::FrameHeader header, std::string_view body,
                                          local::FrameKind answer, Deadline deadline);

  const std::unique_ptr<FrameSocket> socket_;
  const std::uint32_t spin_us_;
  bool is_greeted_ = false;  // Of the one who reads.
  std::atomic<bool> is_broken_{false};
  std::atomic<bool> is_hung_up_{false};
  std::atomic<std::int64_t> next_look_ns_{0};

  std::mutex mutex_;
  Status failure_;
  bool is_reading_ = false;
  std::uint64_t next_number_ = 1;
  std::unordered_map<std::uint64_t, Call*> calls_;
  std::vector<Call*> followers_;         // Those that wait for their answer without reading.
  std::shared_ptr<Registration> pages_;  // The last, as it needs all the others at its end.
};

}  // namespace pm::client::detail
