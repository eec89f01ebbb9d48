// The contract over a local frontend's socket, and leases without a call.

#include <sys/un.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>

#include "direct_holds.h"
#include "guarded.h"
#include "local_session.h"
#include "transport.h"

namespace pm::client::detail {
namespace {

constexpr std::chrono::seconds attach_time(1);

Status gone() { return {Code::unavailable, "the host ends each connection that is made to it"}; }

class LocalTransport final : public Transport {
 public:
  LocalTransport(std::string path, const ConnectOptions& options)
      : path_(std::move(path)), spin_us_(options.spin_us), is_direct_(options.direct) {}

  Result<std::string> call(const std::string& method, const std::string& request,
                           Deadline deadline) override {
    const auto result = with_session(
        deadline, [&](LocalSession& session) { return session.call(method, request, deadline); });
    return result ? *result : Result<std::string>(gone());
  }
  Status post(const std::string& method, const std::string& request, Deadline deadline) override {
    const auto result = with_session(
        deadline, [&](LocalSession& session) { return session.post(method, request, deadline); });
    return result ? *result : gone();
  }
  Status stream(const std::string& method, const std::string& request,
                const Visit& visit) override {
    const auto result = with_session(Deadline::max(), [&](LocalSession& session) {
      return session.stream(method, request, visit);
    });
    return result ? *result : gone();
  }
  std::uint64_t session() const noexcept override { return number_.load(); }
  std::uint64_t live_session() noexcept override {
    const std::lock_guard lock(mutex_);
    return session_ && !session_->has_ended() ? number_.load() : 0;
  }
  bool has_sessions() const noexcept override { return true; }

  Result<FileDescriptor> open(Handle what, const HandleId& id, Deadline deadline) override {
    const auto session = connected(deadline);
    if (!session) return session.status();
    return (*session)->open(what, id, deadline);
  }
  bool hold(const PayloadId& id, Hold* hold) noexcept override { return holds_.hold(id, hold); }

 private:
  // What was not sent, because the host had closed the connection while it was idle, is sent over
  // another one.
  template <typename Doing>
  auto with_session(Deadline deadline, Doing doing) -> std::invoke_result_t<Doing, LocalSession&> {
    for (int attempt = 0; attempt < 2; ++attempt) {
      const auto session = connected(deadline);
      if (!session) return session.status();
      auto result = doing(**session);
      holds_.look();
      if (result) return result;
    }
    return std::nullopt;
  }

  bool has_session() const { return session_ && !session_->is_broken(); }

  // The session, made anew where the last one broke. One thread connects, with its own deadline
  // and without the lock; each of the others waits no longer than its own.
  Result<std::shared_ptr<LocalSession>> connected(Deadline deadline) {
    std::unique_lock lock(mutex_);
    const auto is_decided = [&] { return has_session() || !is_connecting_; };
    if (!has_connected_.wait_until(lock, deadline, is_decided)) {
      return Status(Code::deadline_exceeded, "the host did not answer in time");
    }
    if (has_session()) return session_;
    is_connecting_ = true;
    const auto old = std::move(session_);  // Its end is a call of the system's, too.
    session_.reset();
    lock.unlock();
    holds_.renew(nullptr);
    auto made = guarded([&] { return LocalSession::make(path_, spin_us_, deadline); });
    lock.lock();
    is_connecting_ = false;
    has_connected_.notify_all();
    if (!made) return made.status();
    session_ = *made;
    number_.fetch_add(1);
    if (!is_direct_) return made;
    holds_.renew(*made);
    lock.unlock();
    ask_for_pages(**made, deadline);
    return made;
  }

  // Whoever connects waits for the answer, so that it can hold at once; but not so long that its
  // own call has no time left.
  void ask_for_pages(LocalSession& session, Deadline deadline) {
    holds_.look();
    const Deadline now = Clock::now();
    session.wait_for_pages(now + std::min<Clock::duration>((deadline - now) / 2, attach_time));
    holds_.look();
  }

  const std::string path_;
  const std::uint32_t spin_us_;
  const bool is_direct_;
  std::atomic<std::uint64_t> number_{0};
  DirectHolds holds_;
  std::mutex mutex_;
  std::condition_variable has_connected_;
  bool is_connecting_ = false;
  std::shared_ptr<LocalSession> session_;
};

}  // namespace

Result<std::unique_ptr<Transport>> make_local_transport(const std::string& path,
                                                        const ConnectOptions& options) {
  constexpr std::size_t path_bytes_max = sizeof(sockaddr_un::sun_path) - 1;
  if (!path.starts_with('/') || path.size() > path_bytes_max ||
      path.find('\0') != std::string::npos) {
    return Status(
        Code::invalid_argument,
        "'local:" + path + "' is no address: give local: and an absolute path of at most " +
            std::to_string(path_bytes_max) + " bytes, local:/run/payload-manager/local.sock");
  }
  if (!options.tls_ca_file.empty() || !options.tls_certificate_file.empty() ||
      !options.tls_key_file.empty()) {
    return Status(Code::invalid_argument,
                  "TLS files are for gRPC over TCP: a local socket knows its user by the kernel");
  }
  std::unique_ptr<Transport> made = std::make_unique<LocalTransport>(path, options);
  return made;
}

}  // namespace pm::client::detail
