// The contract over a local frontend's socket, and leases without a call.

#include <sys/un.h>

#include <atomic>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "local_session.h"
#include "transport.h"

namespace pm::client::detail {
namespace {

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
  bool hold(const PayloadId& id, Hold* hold) noexcept override {
    DirectoryReader* reader = reader_.load(std::memory_order_acquire);
    return reader != nullptr && reader->hold(id, hold);
  }

 private:
  // What was not sent, because the host had closed the connection while it was idle, is sent over
  // another one.
  template <typename Doing>
  auto with_session(Deadline deadline, Doing doing) -> std::invoke_result_t<Doing, LocalSession&> {
    for (int attempt = 0; attempt < 2; ++attempt) {
      const auto session = connected(deadline);
      if (!session) return session.status();
      auto result = doing(**session);
      if (result) return result;
    }
    return std::nullopt;
  }

  // The session, made anew where the last one broke.
  Result<std::shared_ptr<LocalSession>> connected(Deadline deadline) {
    const std::lock_guard lock(mutex_);
    if (session_ && !session_->is_broken()) return session_;
    session_.reset();
    if (DirectoryReader* reader = reader_.exchange(nullptr)) reader->retire();
    auto made = LocalSession::make(path_, spin_us_, deadline);
    if (!made) return made.status();
    if (is_direct_) attach(*made, deadline);
    session_ = *std::move(made);
    number_.fetch_add(1);
    return session_;
  }

  // Whatever the host says against it, calls do as well.
  void attach(const std::shared_ptr<LocalSession>& session, Deadline deadline) {
    const auto got = session->attach(deadline);
    if (!got) return;
    auto reader = DirectoryReader::make(got->at(0), got->at(1), session);
    if (!reader) return;
    readers_.push_back(*std::move(reader));
    reader_.store(readers_.back().get(), std::memory_order_release);
  }

  const std::string path_;
  const std::uint32_t spin_us_;
  const bool is_direct_;
  std::atomic<std::uint64_t> number_{0};
  std::atomic<DirectoryReader*> reader_{nullptr};
  std::mutex mutex_;
  std::shared_ptr<LocalSession> session_;
  // Of all sessions, as somebody may just be asking an old one; those have nothing mapped.
  std::vector<std::unique_ptr<DirectoryReader>> readers_;
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
